/** Who hears Ctrl-C, and when. */

import { expect, test } from "vitest";
import { processTerminal } from "./terminal";

test("Ctrl-C is the system's while work blocks the event loop, and the signal's before and after", () => {
  const before = process.listeners("SIGINT");
  const terminal = processTerminal();
  const listening = () => process.listenerCount("SIGINT") - before.length;
  expect(listening()).toBe(1);
  expect(terminal.blocking(() => listening())).toBe(0);
  expect(() =>
    terminal.blocking(() => {
      throw new Error("work failed");
    }),
  ).toThrow("work failed");
  expect(listening()).toBe(1);

  const ours = process.listeners("SIGINT").find((listener) => !before.includes(listener)) as () => void;
  ours();
  expect(terminal.signal.aborted).toBe(true);
  process.off("SIGINT", ours);
});
