/** `qkv trace`, as a user runs it: the file holds the bits that `run` captures. */

import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { load, loadDecoder } from "@qkv/models";
import { describe, expect, test } from "vitest";
import { readExpected } from "../support/safetensors";
import { FORMS, qkv, STORIES, temporaryFolder } from "./run";

const { ids } = STORIES.prompt;

describe.concurrent("qkv trace", () => {
  test("a file of the model is not overwritten, by whatever name", async () => {
    const folder = temporaryFolder();
    const model = join(folder, "model");
    cpSync(FORMS.safetensors, model, { recursive: true });
    const weights = join(model, "model.safetensors");
    const before = readFileSync(weights);
    symlinkSync(weights, join(folder, "link.safetensors"));
    for (const out of [weights, join(folder, "link.safetensors")]) {
      const result = await qkv(["trace", model, "--ids", "1", "--tap", "logits", "--out", out]);
      expect(result).toMatchObject({ code: 1, stdout: "" });
      expect(result.stderr).toMatch(/this is a file of the model; give another name/);
    }
    expect(readFileSync(weights).equals(before)).toBe(true);
  });

  test("--ids and --text write what `run` captures, bit for bit", async () => {
    const folder = temporaryFolder();
    const files = ["ids.safetensors", "text.safetensors"].map((name) => join(folder, name));
    writeFileSync(files[1] as string, "something old, to be replaced");
    const model = ["trace", FORMS.gguf];
    const [byIds, byText] = await Promise.all([
      qkv([
        ...model,
        "--ids",
        ids.join(","),
        "--tap",
        "layers.*.output",
        "--tap",
        "logits",
        "--out",
        files[0] as string,
      ]),
      qkv([...model, "--text", "Once upon a time", "--tap", "layers.*.output,logits", `--out=${files[1]}`]),
    ]);
    expect(byIds).toMatchObject({ code: 0, stdout: "" });
    expect(byIds.stderr).toContain("layers.4.output [5, 64]\nlogits [5, 512]\n");
    expect(byIds.stderr).toMatch(/ids\.safetensors: 6 tensors, [\d.]+ kB\n$/);
    expect(byText).toMatchObject({ code: 0, stdout: "" });
    expect(readFileSync(files[0] as string).equals(readFileSync(files[1] as string))).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(["ids.safetensors", "text.safetensors"]);

    const decoder = await loadDecoder(FORMS.gguf);
    const { captured } = decoder.run(ids, { capture: ["layers.*.output", "logits"] });
    decoder.dispose();
    const written = readExpected(files[0] as string);
    expect([...written.keys()]).toEqual(Object.keys(captured));
    for (const [name, { shape, data }] of written) {
      expect(shape, name).toEqual(captured[name]?.shape);
      expect(
        Buffer.from(data.buffer).equals(Buffer.from((captured[name] as { data: Float32Array }).data.slice().buffer)),
        name,
      ).toBe(true);
    }
  });

  test("--list prints the names of all taps", async () => {
    const { code, stdout } = await qkv(["trace", FORMS.safetensors, "--list"]);
    const decoder = await load(FORMS.safetensors);
    expect(stdout).toBe(decoder.taps.map((name) => `${name}\n`).join(""));
    decoder.dispose();
    expect(code).toBe(0);
  });

  test("what goes wrong leaves no file, and an old one as it was", async () => {
    const folder = temporaryFolder();
    const out = join(folder, "old.safetensors");
    writeFileSync(out, "old");
    const wrongId = await qkv(["trace", FORMS.safetensors, "--ids", "1,512", "--out", out, "--tap", "logits"]);
    expect(wrongId).toMatchObject({ code: 2, stderr: expect.stringMatching(/^qkv: --ids: 512 [^\n]*\n$/) });
    expect(readdirSync(folder)).toEqual(["old.safetensors"]);
    expect(readFileSync(out, "utf8")).toBe("old");
  });
});
