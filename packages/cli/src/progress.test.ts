/** The progress bar, on a clock of its own. */

import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { ProgressBar } from "./progress";

function barOn({ isTTY = true, env = {} }: { isTTY?: boolean; env?: Record<string, string> } = {}) {
  let written = "";
  let time = 0;
  const stream = new Writable({
    write(chunk, _, done) {
      written += String(chunk);
      done();
    },
  });
  const bar = new ProgressBar({ stderr: Object.assign(stream, { isTTY }), env }, () => time);
  const at = (ms: number, texts: number, part: number | null): string => {
    time = ms;
    written = "";
    bar.update(texts, part);
    return written;
  };
  const clear = () => {
    written = "";
    bar.clear();
    return written;
  };
  return { at, clear };
}

test("appears where work is long, is redrawn ten times a second, and goes without a trace", () => {
  const { at, clear } = barOn();
  expect(clear()).toBe("");
  expect(at(999, 10, 0.1)).toBe("");
  expect(at(1000, 500, 0.5)).toBe(`\r[${"=".repeat(12)}${" ".repeat(12)}]  50% 500 texts, 500/s`);
  expect(at(1099, 501, 0.5)).toBe("");
  const line = `[${"=".repeat(24)}] 100% 3,000 texts, 1,500/s`;
  expect(at(2000, 3000, 1.01)).toBe(`\r${line}`);
  expect(clear()).toBe(`\r${" ".repeat(line.length)}\r`);
  expect(clear()).toBe("");
});

test("a shorter line leaves nothing of the longer one", () => {
  const { at } = barOn();
  const long = at(1000, 123_456, 0.25).slice(1);
  expect(at(100_000, 200_000, null)).toBe(`\r${" ".repeat(long.length)}\r200,000 texts, 2,000/s`);
});

test("without an end to be seen it counts", () => {
  const { at } = barOn();
  expect(at(2000, 1, null)).toBe("\r1 text, 0.5/s");
});

test.each([[{ isTTY: false }], [{ env: { TERM: "dumb" } }]])("nowhere but on a terminal that can: %j", (options) => {
  const { at, clear } = barOn(options);
  expect(at(5000, 10, 0.5) + clear()).toBe("");
});
