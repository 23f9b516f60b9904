/** Lines of standard input: whatever the chunks are, and however much comes. */

import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import type { Terminal } from "./terminal";
import { type LineSlice, lineSlices, stdinSize } from "./text-lines";

const terminalOf = (stdin: Terminal["stdin"], signal = new AbortController().signal) => ({ stdin, signal }) as Terminal;

async function slicesOf(chunks: readonly Uint8Array[]): Promise<LineSlice[]> {
  const slices: LineSlice[] = [];
  for await (const slice of lineSlices(terminalOf(Readable.from(chunks)))) slices.push(slice);
  return slices;
}

const TEXT = "a\n\nbé🙂\r\nlast";
const LINES = ["a", "", "bé🙂\r", "last"];

describe("lineSlices", () => {
  test.each([1, 2, 3, 5, 100])("chunks of %i bytes", async (size) => {
    const bytes = Buffer.from(TEXT);
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    );
    const slices = await slicesOf(chunks);
    expect(slices.flatMap(({ lines }) => lines)).toEqual(LINES);
    let first = 0;
    for (const slice of slices) {
      expect(slice.first).toBe(first);
      first += slice.lines.length;
    }
    expect(slices.at(-1)?.end).toBe(bytes.length);
  });

  test("a line feed at the end begins no line; nothing has no lines", async () => {
    expect((await slicesOf([Buffer.from("a\n")])).flatMap(({ lines }) => lines)).toEqual(["a"]);
    expect(await slicesOf([])).toEqual([]);
    expect((await slicesOf([Buffer.from("\n")])).flatMap(({ lines }) => lines)).toEqual([""]);
  });

  test("what comes at once is cut into slices of 1000 lines that lie behind each other", async () => {
    const slices = await slicesOf([Buffer.from("a\n".repeat(2500))]);
    expect(slices.map(({ first, lines, start, end }) => [first, lines.length, start, end])).toEqual([
      [0, 1000, 0, 2000],
      [1000, 1000, 2000, 4000],
      [2000, 500, 4000, 5000],
    ]);
  });

  test("what comes apart is there at once", async () => {
    const stdin = new Readable({ read() {} });
    const slices = lineSlices(terminalOf(stdin));
    stdin.push("first\nsec");
    expect((await slices.next()).value).toMatchObject({ first: 0, lines: ["first"] });
    stdin.push("ond\n");
    expect((await slices.next()).value).toMatchObject({ first: 1, lines: ["second"] });
    stdin.push(null);
    expect((await slices.next()).done).toBe(true);
  });

  test.each([
    ["a byte that is none", [Buffer.from("a\n"), Buffer.from([0xff, 10])], 1],
    ["a character that has no end", [Buffer.from("a\nb"), Buffer.from([0xc3])], 1],
  ])("%s: an error that says where", async (_, chunks, line) => {
    await expect(slicesOf(chunks)).rejects.toThrow(`standard input is not UTF-8 text (after line ${line})`);
  });

  test("the signal ends the wait", async () => {
    const controller = new AbortController();
    const slices = lineSlices(terminalOf(new Readable({ read() {} }), controller.signal));
    const next = slices.next();
    controller.abort(new Error("interrupted"));
    await expect(next).rejects.toThrow();
  });
});

test("stdinSize: of a file, of nothing else", () => {
  const folder = mkdtempSync(join(tmpdir(), "qkv-lines-"));
  const path = join(folder, "file");
  writeFileSync(path, "1234567");
  const fd = openSync(path, "r");
  const withFd = (value: unknown) => stdinSize(terminalOf(Object.assign(Readable.from([]), { fd: value })));
  expect(withFd(fd)).toBe(7);
  closeSync(fd);
  const folderFd = openSync(folder, "r");
  expect(withFd(folderFd)).toBe(null);
  closeSync(folderFd);
  expect(withFd(undefined)).toBe(null);
  expect(withFd(1e9)).toBe(null);
  rmSync(folder, { recursive: true });
});
