/** Ours beside the native tokenizer: what differs, cut down to the shortest text that still does. */

import type { Tokenizer } from "@qkv/tokenize";
import type { Encoded, Input, Oracle, Outcome } from "./native";

/** A difference, in words. */
export interface Failure {
  readonly input: Input;
  readonly what: string;
}

const FIELDS = [
  "ids",
  "tokens",
  "offsets",
  "typeIds",
  "specialTokensMask",
  "attentionMask",
  "wordIds",
  "sequenceIds",
] as const;

function encode(tokenizer: Tokenizer, { text, pair, addSpecialTokens }: Input): Outcome {
  try {
    const encoding = tokenizer.encode(text, pair, { addSpecialTokens });
    return Object.fromEntries(FIELDS.map((field) => [field, encoding[field]])) as unknown as Encoded;
  } catch (error) {
    // A fault of the program is no answer to a text.
    if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) throw error;
    return { error: error.message };
  }
}

function difference(ours: Outcome, theirs: Outcome): string | null {
  if ("error" in ours || "error" in theirs) {
    if ("error" in ours && "error" in theirs) return null;
    const [here, there] = [ours, theirs].map((outcome) => ("error" in outcome ? `"${outcome.error}"` : "encodes"));
    return `${here}, native ${there}`;
  }
  for (const field of FIELDS) {
    if (!same(ours[field], theirs[field])) {
      return `${field} ${JSON.stringify(ours[field])}, native ${JSON.stringify(theirs[field])}`;
    }
  }
  return null;
}

type Value = number | string | null | readonly number[];

function same(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((value, i) => equal(value, b[i]));
}

function equal(a: Value, b: Value): boolean {
  return a === b || (Array.isArray(a) && Array.isArray(b) && a[0] === b[0] && a[1] === b[1]);
}

/** The inputs that have another encoding here and there. */
export async function compareEncodings(
  ours: Tokenizer,
  oracle: Oracle,
  inputs: readonly Input[],
): Promise<{ failures: Failure[]; outcomes: Outcome[] }> {
  const failures: Failure[] = [];
  const outcomes = await oracle.encode(inputs.map(wellFormed));
  for (const [i, input] of inputs.entries()) {
    const what = difference(encode(ours, input), outcomes[i]);
    if (what !== null) failures.push({ input, what });
  }
  return { failures, outcomes };
}

/** Lone surrogates cannot reach the native side; ours take them for U+FFFD, and the offsets are the same. */
function wellFormed(input: Input): Input {
  const replace = (text: string): string => text.replace(/\p{Surrogate}/gu, "\ufffd");
  return { ...input, text: replace(input.text), pair: input.pair === null ? null : replace(input.pair) };
}

/** The same failure with as little text as takes it: parts are left out while anything still differs. */
export async function shrink(ours: Tokenizer, oracle: Oracle, failure: Failure): Promise<Failure> {
  let best = failure;
  const attempt = async (input: Input): Promise<boolean> => {
    const { failures } = await compareEncodings(ours, oracle, [input]);
    best = failures[0] ?? best;
    return failures.length > 0;
  };
  if (failure.input.pair !== null) await attempt({ ...failure.input, pair: null });
  for (const side of ["text", "pair"] as const) {
    let characters = [...(best.input[side] ?? "")];
    for (let size = characters.length; size > 0; size >>= 1) {
      for (let at = 0; at < characters.length; ) {
        const without = [...characters.slice(0, at), ...characters.slice(at + size)];
        if (await attempt({ ...best.input, [side]: without.join("") })) characters = without;
        else at += size;
      }
    }
  }
  return best;
}

/** With everything that is not plain in it written as an escape. */
export function shown({ input: { text, pair, addSpecialTokens }, what }: Failure): string {
  const escaped = (value: string): string =>
    JSON.stringify(value).replace(/[^\x20-\x7e]/gu, (character) => {
      const code = character.codePointAt(0)!.toString(16);
      return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
    });
  const texts = pair === null ? escaped(text) : `${escaped(text)} and ${escaped(pair)}`;
  return `${texts}${addSpecialTokens ? "" : " without special tokens"}: ours ${what}`;
}
