/** all-MiniLM-L6-v2 with its real weights against Hugging Face transformers; in 8 bits against itself in 32. */

import { cosineSimilarity, type Encoder, similarity } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { largestDifference } from "../support/compare";
import { externalFile, fixture, readJson } from "../support/fixtures";
import { loadEncoder, TEST_KERNELS } from "../support/load";
import { type Expected, readExpected } from "../support/safetensors";

const FOLDER = externalFile("QKV_MODELS", "all-MiniLM-L6-v2");
const golden = readJson<{
  readonly cases: Readonly<Record<string, { readonly text: string; readonly ids: readonly number[] }>>;
  readonly f32_error: Readonly<Record<string, number>>;
}>(fixture("goldens/real/minilm.json"));
const expected = readExpected(fixture("goldens/real/minilm.safetensors"));
const cases = Object.values(golden.cases);
const texts = cases.map(({ text }) => text);

/** The promise of these embeddings, in every component: 60 times the reference's own float32 error. */
const TOLERANCE = 1e-5;
/** The goldens' README: 20 times the largest difference between float32 and float64. */
const TIMES_F32_ERROR = 20;
/** The reference kernels take minutes for what the others do in seconds: they get a few short texts. */
const SLOW = TEST_KERNELS.kernels === "reference";
const VARIED = 200;
/** In ms; for machines that others use too. */
const LONG = 300_000;

// ---- Sentences of many kinds and lengths, the same at each run

const SUBJECTS = [
  "The old harbour",
  "A quantum computer",
  "My neighbour's cat",
  "The central bank",
  "Dr. Yamada",
  "Rust",
  "An email",
  "Le petit prince",
  "The 1998 census",
  "Chocolate",
];
const VERBS = [
  "was described in",
  "depends on",
  "rarely mentions",
  "cost $3.50 more than",
  "translated",
  "sued",
  "can't explain",
  "evaporates near",
  "was born before",
  "outperforms",
];
const OBJECTS = [
  "the second edition",
  "a frozen lake",
  "every user's password",
  "Beethoven's late quartets",
  "https://example.org/a?b=1",
  "interest rates in São Paulo",
  "photosynthesis",
  "an unread novel",
  "東京タワー",
  "the defendant's appeal",
];
const TAILS = [
  ".",
  ", although nobody expected it.",
  "!",
  "; see section 4.2 for details, tables and the usual caveats about sampling.",
  "?",
  " 🙂",
  " because the wind had turned, the road was closed, and the last ferry had already left the island.",
];

function variedTexts(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const sentence = (n: number) =>
      `${SUBJECTS[n % 10]} ${VERBS[Math.floor(n / 3) % 10]} ${OBJECTS[Math.floor(n / 7) % 10]}${TAILS[n % 7]}`;
    // Most have one sentence, every third two, every eighth five.
    return Array.from({ length: i % 8 === 7 ? 5 : i % 3 === 2 ? 2 : 1 }, (_, k) => sentence(i * 11 + k * 29)).join(" ");
  });
}

const all = [...texts, ...variedTexts(VARIED)];
const varied = SLOW ? all.filter(({ length }) => length < 80).slice(0, 3) : all;

describe.skipIf(FOLDER === null)("float32", () => {
  let model: Encoder;
  beforeAll(async () => {
    model = await loadEncoder(FOLDER as string);
  });
  afterAll(() => model.dispose());

  test("ids: 256 tokens of sentence_bert_config.json, not the 128 of tokenizer.json", () => {
    expect(model.tokenizer?.truncation?.maxLength).toBe(128);
    expect(cases.map(({ ids }) => ids.length)).toContain(256);
    const truncation = { maxLength: 256 };
    for (const { text, ids } of cases) expect(model.tokenizer?.encode(text, { truncation }).ids).toEqual(ids);
  });

  test("every layer of the first text", () => {
    const { captured, hidden } = model.run(cases[0].ids, { capture: ["embeddings", "layers.*.output"] });
    const taps = [...expected.keys()].filter((key) => /^0\/(embeddings|layers\..*\.output)$/.test(key));
    expect(taps).toHaveLength(7);
    for (const name of taps) {
      const { data, shape } = expected.get(name) as Expected;
      const tensor = captured[name.slice(2)];
      // The goldens hold the first 8 values of each token.
      const first = Float32Array.from(data, (_, i) => tensor.data[Math.floor(i / 8) * 384 + (i % 8)]);
      expect(shape).toEqual([tensor.shape[0], 8]);
      expect(largestDifference(first, data), name).toBeLessThanOrEqual(TIMES_F32_ERROR * golden.f32_error[name]);
    }
    const last = expected.get("0/last_hidden_state") as Expected;
    expect(hidden.shape).toEqual(last.shape);
    expect(largestDifference(hidden.data, last.data)).toBeLessThanOrEqual(
      TIMES_F32_ERROR * golden.f32_error["0/last_hidden_state"],
    );
  });

  test("every component of every embedding, and their cosines", async () => {
    const vectors = await model.embed(texts);
    const { data, shape } = expected.get("sentence_embeddings") as Expected;
    expect(shape).toEqual([texts.length, 384]);
    const flat = Float32Array.from(vectors.flatMap((vector) => [...vector]));
    const worst = largestDifference(flat, data);
    console.log(`largest difference of a component: ${worst.toExponential(2)}`);
    expect(flat).toHaveLength(data.length);
    expect(worst).toBeLessThanOrEqual(TOLERANCE);
    const cosines = similarity(vectors, vectors);
    const goldenCosines = (expected.get("cosine") as Expected).data;
    for (const [i, row] of cosines.entries()) {
      expect(largestDifference(row, goldenCosines.subarray(8 * i, 8 * i + 8))).toBeLessThanOrEqual(TOLERANCE);
    }
  });

  test(
    "a text alone has the bits that it has in a batch",
    async () => {
      await expectAloneAsTogether(model);
    },
    LONG,
  );
});

describe.skipIf(FOLDER === null)("q8", () => {
  let exact: Encoder;
  let model: Encoder;
  beforeAll(async () => {
    exact = await loadEncoder(FOLDER as string);
    model = await loadEncoder(FOLDER as string, { dtype: "q8" });
  });
  afterAll(() => {
    exact.dispose();
    model.dispose();
  });

  // A mean over the few texts that the reference has time for would say little.
  test.skipIf(SLOW)(
    "cosine to float32: at least 0.9995 in the mean, 0.998 for each",
    async () => {
      const [wanted, got] = [await exact.embed(varied), await model.embed(varied)];
      const cosines = wanted.map((vector, i) => cosineSimilarity(vector, got[i]));
      const mean = cosines.reduce((sum, x) => sum + x, 0) / cosines.length;
      const least = Math.min(...cosines);
      console.log(`q8, ${varied.length} texts: cosine ${mean.toFixed(6)} in the mean, ${least.toFixed(6)} at least`);
      expect(mean).toBeGreaterThanOrEqual(0.9995);
      expect(least).toBeGreaterThanOrEqual(0.998);
    },
    LONG,
  );

  test(
    "a text alone has the bits that it has in a batch",
    async () => {
      await expectAloneAsTogether(model);
    },
    LONG,
  );
});

async function expectAloneAsTogether(model: Encoder): Promise<void> {
  const some = varied.slice(0, 24);
  const together = await model.embed(some);
  for (const [i, text] of some.entries()) {
    const alone = await model.embed(text);
    for (let d = 0; d < alone.length; d++) expect(alone[d] === together[i][d]).toBe(true);
  }
}
