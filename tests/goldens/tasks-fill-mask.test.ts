/** `fillMask` against the fill-mask pipeline of transformers. */

import type { Encoder } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { taskFolder, taskGoldens } from "../fixtures/tasks/files";
import { loadEncoder } from "../support/load";

interface Run {
  readonly model: string;
  readonly text: string;
  readonly options: { readonly top_k?: number; readonly targets?: string | readonly string[] };
  readonly output?: readonly (readonly { score: number; token: number; token_str: string; sequence: string }[])[];
  readonly error?: string;
}

const { runs } = taskGoldens<{ runs: Run[] }>("fill-mask.json");

/** With several masks transformers leaves the special tokens around the text in; ours has none of them. */
const withoutEnds = (sequence: string, several: boolean) =>
  several ? sequence.replace(/^(\[CLS\] ?|<s>)/, "").replace(/( ?\[SEP\]|<\/s>)$/, "") : sequence;

const optionsOf = ({ top_k, targets }: Run["options"]) => ({
  ...(top_k === undefined ? {} : { topK: top_k }),
  ...(targets === undefined ? {} : { targets }),
});

describe.each(["mask-uncased", "mask-roberta"])("%s", (name) => {
  let model: Encoder;
  beforeAll(async () => {
    model = await loadEncoder(taskFolder(name));
  });
  afterAll(() => model.dispose());

  const mine = runs.filter((run) => run.model === name);
  /** Words that transformers takes the first piece of, with a warning. */
  const isSingle = (target: string): boolean => {
    const tokenizer = model.tokenizer!;
    return (
      tokenizer.tokenToId(target) !== null || tokenizer.encode(target, { addSpecialTokens: false }).ids.length === 1
    );
  };

  test("every run", async () => {
    expect(mine.length).toBeGreaterThan(25);
    let compared = 0;
    for (const { text, options, output, error } of mine) {
      const what = JSON.stringify({ text: text.slice(0, 40), ...options });
      const targets = options.targets === undefined ? [] : [options.targets].flat();
      if (error !== undefined || !targets.every(isSingle)) {
        await expect(model.fillMask(text, optionsOf(options)), what).rejects.toThrow(RangeError);
        continue;
      }
      const got = await model.fillMask(text, optionsOf(options));
      const wanted = output!.map((mask) =>
        mask.map(({ token, token_str, sequence, score }) => {
          const whole = withoutEnds(sequence, output!.length > 1);
          // float32 against double: the softmax's sum, and logits that differ in their last bits.
          return { token: token_str, id: token, score: expect.closeTo(score, 5), text: whole };
        }),
      );
      expect(got, what).toEqual(wanted);
      for (const [m, mask] of output!.entries()) {
        for (const [i, { score }] of mask.entries()) {
          expect(Math.abs(got[m][i].score / score - 1), what).toBeLessThan(2e-4);
          compared++;
        }
      }
    }
    expect(compared).toBeGreaterThan(80);
  });

  test("a text gives the same bits alone and in any batch", async () => {
    const texts = [...new Set(mine.filter(({ output }) => output !== undefined).map(({ text }) => text))];
    const together = await model.fillMask(texts);
    for (const [i, text] of texts.entries()) expect(await model.fillMask(text)).toEqual(together[i]);
    expect(await model.fillMask(texts, { batchTokens: 1 })).toEqual(together);
  });
});
