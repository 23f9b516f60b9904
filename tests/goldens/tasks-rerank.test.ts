/** `rerank` against sentence-transformers' CrossEncoder. */

import type { Encoder, ScoreActivation } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { taskFolder, taskGoldens } from "../fixtures/tasks/files";
import { loadEncoder } from "../support/load";

interface Goldens {
  readonly pairs: readonly (readonly [string, string])[];
  readonly documents: readonly string[];
  readonly predict: readonly {
    readonly model: string;
    /** The first so many. */
    readonly pairs: number;
    readonly options: { readonly activation_fn?: ScoreActivation; readonly apply_softmax?: boolean };
    readonly output: readonly number[];
  }[];
  readonly rank: readonly {
    readonly model: string;
    readonly query: string;
    readonly options: { readonly top_k?: number };
    readonly output?: readonly { readonly corpus_id: number; readonly score: number }[];
    readonly error?: string;
  }[];
}

const GOLDENS = taskGoldens<Goldens>("rerank.json");
/** Logits go up to 4; the reference's own float32 error is about 1e-6. */
const TOLERANCE = 1e-5;

describe.each(["rerank-xlmr", "rerank-identity", "rerank-old-key"])("%s", (name) => {
  const predictions = GOLDENS.predict.filter(({ model }) => model === name);
  const rankings = GOLDENS.rank.filter(({ model }) => model === name);
  let model: Encoder;
  beforeAll(async () => {
    model = await loadEncoder(taskFolder(name));
  });
  afterAll(() => model.dispose());

  test.each(predictions.map((each) => [JSON.stringify(each.options), each] as const))("scores, %s", async (_, each) => {
    const { activation_fn: activation } = each.options;
    const options = activation === undefined ? {} : { activation };
    for (const [i, [query, document]] of GOLDENS.pairs.slice(0, each.pairs).entries()) {
      const [{ score }] = await model.rerank(query, [document], options);
      expect(Math.abs(score - each.output[i]), `${query} | ${document}`).toBeLessThanOrEqual(TOLERANCE);
    }
  });

  test.each(rankings.map((each) => [JSON.stringify([each.query, each.options]), each] as const))(
    "%s",
    async (_, each) => {
      const options = each.options.top_k === undefined ? {} : { topK: each.options.top_k };
      const ranked = await model.rerank(each.query, GOLDENS.documents, options);
      const expected = each.output ?? [];
      expect(ranked.map(({ index }) => index)).toEqual(expected.map(({ corpus_id }) => corpus_id));
      for (const [i, { index, score, document }] of ranked.entries()) {
        expect(Math.abs(score - expected[i].score)).toBeLessThanOrEqual(TOLERANCE);
        expect(document).toBe(GOLDENS.documents[index]);
      }
    },
  );

  test("a pair alone has the score that it has among others", async () => {
    const query = GOLDENS.pairs[0][0];
    const { documents } = GOLDENS;
    for (const { index, score } of await model.rerank(query, documents, { batchTokens: 100 })) {
      expect((await model.rerank(query, [documents[index]]))[0].score).toBe(score);
    }
  });
});

describe("what is no cross-encoder, and wrong options", () => {
  let classes: Encoder;
  let sentences: Encoder;
  let model: Encoder;
  beforeAll(async () => {
    classes = await loadEncoder(taskFolder("rerank-classes"));
    sentences = await loadEncoder(taskFolder("st-mean"));
    model = await loadEncoder(taskFolder("rerank-identity"));
  });
  afterAll(() => {
    for (const each of [classes, sentences, model]) each.dispose();
  });

  test("several classes", async () => {
    expect(GOLDENS.rank.find((each) => each.model === "rerank-classes")?.error).toMatch(/num_labels=1/);
    await expect(classes.rerank("a", ["b"])).rejects.toThrow(
      /needs a cross-encoder.* has 3 \(irrelevant, related, relevant\): see classify/,
    );
  });

  test("no classifier", async () => {
    await expect(sentences.rerank("a", ["b"])).rejects.toThrow(/rerank needs a classifier of texts.*heads pooler/);
  });

  test("wrong options", async () => {
    await expect(model.rerank("a", "b" as unknown as string[])).rejects.toThrow(
      /documents: expected an array of texts/,
    );
    await expect(model.rerank(1 as unknown as string, ["b"])).rejects.toThrow(/query: expected a string/);
    await expect(model.rerank("a", ["b"], { topK: 0 })).rejects.toThrow(/topK: expected an integer/);
    await expect(model.rerank("a", ["b"], { activation: "tanh" as ScoreActivation })).rejects.toThrow(
      /activation: expected/,
    );
    await expect(model.rerank("a", ["b"], { top: 1 } as object)).rejects.toThrow(/unknown option "top"/);
    expect(await model.rerank("a", [])).toEqual([]);
  });
});
