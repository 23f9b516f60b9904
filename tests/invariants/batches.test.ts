/** An encoder's batches: each text gives the bits that it gives alone, however the batch is made, `===`. */

import { packByTokens, seededRandom } from "@qkv/models";
import { expect, test } from "vitest";
import { fixture } from "../support/fixtures";
import { loadEncoder } from "../support/load";

/** One of each way in which positions and neighbours enter. */
const MODELS = ["bert-pretraining", "mpnet", "modernbert", "albert", "xlm-roberta-seqcls"];
const BATCHES = 200 / MODELS.length;

test.each(MODELS)(`${BATCHES} random batches of %s`, async (name) => {
  await using model = await loadEncoder(fixture(`goldens/tiny/${name}`));
  const random = seededRandom(6);
  const below = (n: number) => Math.floor(random() * n);
  const longest = Math.min(model.contextLength, 48); // past every window edge
  for (let batch = 0; batch < BATCHES; batch++) {
    const lengths = Array.from({ length: 1 + below(6) }, () => 1 + below(longest));
    const texts = lengths.map((length) => Array.from({ length }, () => 5 + below(model.vocabSize - 5)));
    const options = batch % 10 === 0 ? { capture: ["*"] } : {};
    const packed = model.runBatch(texts, options);
    texts.forEach((ids, i) => {
      const alone = model.run(ids, options);
      expect(packed[i]).toEqual(alone);
      expect(alone.hidden.data.every(Number.isFinite)).toBe(true);
    });
    if (batch % 4 !== 0) continue;
    for (const indices of packByTokens(lengths, 1 + below(90))) {
      const part = model.runBatch(indices.map((i) => texts[i]));
      indices.forEach((i, j) => {
        expect(part[j].hidden).toEqual(packed[i].hidden);
      });
    }
  }
});

test("quantised weights too", async () => {
  await using model = await loadEncoder(fixture("goldens/tiny/bert-pretraining"), { dtype: "q8" });
  const texts = [
    [2, 5, 6, 7, 8, 3],
    [2, 90, 3],
    [2, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 3],
  ];
  const packed = model.runBatch(texts);
  texts.forEach((ids, i) => {
    expect(model.run(ids)).toEqual(packed[i]);
  });
});
