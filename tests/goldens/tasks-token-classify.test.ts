/** `tokenClassify` against the token-classification pipeline of transformers: every strategy, and windows. */

import type { Aggregation, Encoder, TokenClassifyOptions } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { taskFolder, taskGoldens } from "../fixtures/tasks/files";
import { loadEncoder } from "../support/load";

interface Run {
  readonly model: string;
  readonly text: string;
  readonly strategy: Aggregation;
  readonly ignore_labels?: readonly string[];
  readonly stride?: number;
  /** [entity, score, index, word, start, end] for "none", else [entity_group, score, word, start, end] */
  readonly output?: readonly (readonly (string | number)[])[];
  readonly error?: string;
}

const { texts, runs } = taskGoldens<{ texts: Record<string, string>; runs: Run[] }>("token-classification.json");

/** Where a code point begins, in UTF-16 units. */
function utf16(text: string): (codePoint: number) => number {
  const starts = [0];
  for (const character of text) starts.push(starts[starts.length - 1] + character.length);
  return (codePoint) => starts[codePoint];
}

interface Span {
  readonly label: string;
  readonly score: number;
  readonly start: number;
  readonly end: number;
}

function wantedOf({ text, strategy, output }: Run): Span[] {
  const unit = utf16(texts[text]);
  const at = strategy === "none" ? 4 : 3;
  return output!.map((row) => ({
    label: row[0] as string,
    score: row[1] as number,
    start: unit(row[at] as number),
    end: unit(row[at + 1] as number),
  }));
}

/**
 * Runs whose results are others on purpose, by text and strategy:
 * - a text longer than the model is read to its end, where transformers cuts it unless it is told a stride;
 * - a WordPiece token that continues no word is a word; transformers takes one whose text lost characters in the
 *   normalizer (combining accents) for a continuation;
 * - words of other tokenizers end at any white space (line feeds, no-break spaces), not at spaces alone.
 */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  "tokens-uncased": ["combining first", "combining average", "combining max", "long simple", "long max"],
  "tokens-cased": ["long simple", "long max"],
  "tokens-roberta": [
    ...["newlines first", "newlines average", "newlines max"],
    ...["controls first", "controls average", "controls max", "long average", "twice average with stride 8"],
  ],
};
const differing: Readonly<Record<string, readonly string[]>> = { ...OTHERS, "tokens-xlmr": OTHERS["tokens-roberta"] };

const place = ({ label, start, end }: Span) => `${label} ${start}-${end}`;

describe.each(["tokens-uncased", "tokens-cased", "tokens-roberta", "tokens-xlmr"])("%s", (name) => {
  let model: Encoder;
  beforeAll(async () => {
    model = await loadEncoder(taskFolder(name));
  });
  afterAll(() => model.dispose());

  const mine = runs.filter((run) => run.model === name);
  const optionsOf = ({ strategy, ignore_labels: ignoreLabels, stride }: Run): TokenClassifyOptions => ({
    aggregation: strategy,
    ...(ignoreLabels === undefined ? {} : { ignoreLabels }),
    ...(stride === undefined ? {} : { stride }),
  });

  test("every run", async () => {
    const others: string[] = [];
    let compared = 0;
    for (const run of mine.filter(({ output }) => output !== undefined)) {
      const text = texts[run.text];
      const got = await model.tokenClassify(text, optionsOf(run));
      for (const entity of got) expect(entity.text).toBe(text.slice(entity.start, entity.end));
      const wanted = wantedOf(run);
      const isSame =
        JSON.stringify(got.map(place)) === JSON.stringify(wanted.map(place)) &&
        wanted.every(({ score }, i) => Math.abs(got[i].score - score) < 1e-5);
      if (isSame) compared += wanted.length;
      else others.push(`${run.text} ${run.strategy}${run.stride === undefined ? "" : ` with stride ${run.stride}`}`);
    }
    expect(compared).toBeGreaterThan(300);
    expect(others).toEqual(differing[name]);
  });

  test("a stride that leaves no step throws before any work", async () => {
    const wrong = mine.filter(({ strategy, error }) => strategy !== "none" && error !== undefined);
    expect(wrong.length).toBeGreaterThan(1);
    for (const run of wrong) await expect(model.tokenClassify("", optionsOf(run))).rejects.toThrow(RangeError);
  });

  test("every token once where a text is longer than the model", async () => {
    for (const text of [texts.long, texts.twice]) {
      const { offsets } = model.tokenizer!.encode(text, { addSpecialTokens: false });
      for (const stride of [0, 1, 15, 60]) {
        const got = await model.tokenClassify(text, { aggregation: "none", ignoreLabels: [], stride });
        expect(got.map(({ start, end }) => [start, end])).toEqual(offsets);
      }
    }
  });

  test("a text gives the same bits alone and in any batch", async () => {
    const all = Object.values(texts);
    for (const aggregation of ["none", "simple", "average"] as const) {
      const together = await model.tokenClassify(all, { aggregation });
      expect(await model.tokenClassify(all, { aggregation, batchTokens: 1 })).toEqual(together);
      for (const [i, text] of all.entries())
        expect(await model.tokenClassify(text, { aggregation })).toEqual(together[i]);
    }
  });
});
