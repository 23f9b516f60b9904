/** Stop strings over any cut of the text. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { StopStrings } from "./stop-strings";

function stream(pieces: readonly string[], stops: readonly string[]): { text: string; stopped: boolean } {
  const gate = new StopStrings(stops);
  let text = "";
  for (const piece of pieces) text += gate.push(piece);
  return { text: text + gate.flush(), stopped: gate.stopped };
}

test("any cut of any text gives what a search in the whole text gives", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 12 });
  const stop = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 6 }), fc.array(stop, { maxLength: 3 }), (pieces, stops) => {
      const whole = pieces.join("");
      // The stop string that is complete first ends the text; of several at once, the one that began first.
      const ends = stops.map((s) => whole.indexOf(s)).filter((at) => at >= 0);
      const got = stream(pieces, stops);
      expect(got.stopped).toBe(ends.length > 0);
      if (ends.length === 0) expect(got.text).toBe(whole);
      else {
        expect(whole.startsWith(got.text)).toBe(true);
        expect(stops.some((s) => whole.startsWith(got.text + s))).toBe(true);
        for (const s of stops) expect(got.text.includes(s)).toBe(false);
      }
    }),
    { seed: 5, numRuns: 2000 },
  );
});

test("nothing that may become a stop string is shown early, and everything else is at once", () => {
  const gate = new StopStrings(["</s>"]);
  expect(gate.push("a <")).toBe("a ");
  expect(gate.push("b </")).toBe("<b ");
  expect(gate.push("s")).toBe("");
  expect(gate.push("> c")).toBe("");
  expect(gate.stopped).toBe(true);
  expect(gate.push("more")).toBe("");
  expect(gate.flush()).toBe("");
});

test("as many stop strings as one likes", () => {
  const stops = Array.from({ length: 200_000 }, (_, i) => `stop ${i}.`);
  expect(stream(["a b sto", "p 7. c"], stops)).toEqual({ text: "a b ", stopped: true });
});

test("without stop strings text passes through", () => {
  expect(stream(["a", "", "b"], [])).toEqual({ text: "ab", stopped: false });
});
