/** Ctrl-C and readers that leave: `qkv` ends at once, and cleanly. */

import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { EXECUTABLE, start } from "./run";

/** So many tokens take minutes: whoever waits for them has been hung up. */
const ENDLESS = [EXECUTABLE, "generate", "-n", "50000", "--ignore-eos"];
/** An interruption is heard within a slice of work and one write; the rest is for a busy machine. */
const SOON_MS = 3000;

describe.concurrent("signals", () => {
  test("Ctrl-C ends the text with a newline, exit code 130", async () => {
    const { child, ended } = start(process.execPath, ENDLESS);
    await once(child.stdout, "data");
    const sent = performance.now();
    child.kill("SIGINT");
    const { code, stdout, stderr } = await ended;
    expect(performance.now() - sent).toBeLessThan(SOON_MS);
    expect(code).toBe(130);
    expect(stdout).toMatch(/^Once/);
    expect(stdout.endsWith("\n")).toBe(true);
    expect(stderr).toMatch(/^qkv: note: [^\n]*\n$/);
  });

  test("Ctrl-C with --json prints no half object", async () => {
    const { child, ended } = start(process.execPath, [...ENDLESS, "--json"]);
    await once(child.stderr, "data"); // the note: generation is about to start
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 130, stdout: "" });
  });

  test("a reader that leaves ends it quietly, as it does other commands", async () => {
    const { child, ended } = start(process.execPath, ENDLESS);
    await once(child.stdout, "data");
    child.stdout.destroy();
    const { code, stderr } = await ended;
    expect(code).toBe(141);
    expect(stderr).toMatch(/^qkv: note: [^\n]*\n$/);
  });

  test("qkv generate | head -c 10", async () => {
    const command = '"$0" "$1" generate | head -c 10';
    const { code, stdout, stderr } = await start("sh", ["-c", command, process.execPath, EXECUTABLE]).ended;
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "Once upon ", stderr: "" });
  });
});
