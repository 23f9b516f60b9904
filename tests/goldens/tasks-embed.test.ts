/** `embed` against sentence-transformers: poolings, modules, prompts, lengths, cuts. */

import {
  calibrationRanges,
  type EmbedOptions,
  type Encoder,
  type Pooling,
  type QuantizedEmbedding,
  quantizeEmbedding,
} from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { taskFolder, taskGoldens } from "../fixtures/tasks/files";
import { largestDifference } from "../support/compare";
import { loadEncoder } from "../support/load";

interface Run {
  readonly folder: string;
  /** Ids of texts. */
  readonly texts: readonly string[];
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly input_ids?: readonly (readonly number[])[];
  readonly output?: readonly (readonly number[])[];
  readonly error?: string;
}

interface Goldens {
  readonly texts: Readonly<Record<string, string>>;
  readonly runs: readonly Run[];
  readonly quantize: readonly {
    readonly folder?: string;
    readonly texts?: readonly string[];
    readonly output: readonly (readonly number[])[];
  }[];
}

const GOLDENS = taskGoldens<Goldens>("embeddings.json");
const FOLDERS = [...new Set(GOLDENS.runs.map(({ folder }) => folder))];
/** Of a vector's largest number. The reference's own float32 error is up to 1e-6 of it. */
const TOLERANCE = 5e-6;

/** sentence-transformers' names for our options. */
const NAMES: Readonly<Record<string, keyof EmbedOptions>> = {
  normalize_embeddings: "normalize",
  truncate_dim: "dimensions",
  prompt: "prompt",
  prompt_name: "promptName",
};
/** `encode_query` and `encode_document` take these prompts, which every model has. */
const PROMPT_OF_CALL: Readonly<Record<string, string>> = { encode_query: "query", encode_document: "document" };

function optionsOf({ options }: Run): EmbedOptions {
  const { call, ...rest } = options;
  const named = Object.entries(rest).map(([name, value]) => [NAMES[name] as string, value] as const);
  const prompt = call === undefined ? {} : { promptName: PROMPT_OF_CALL[call as string] };
  return { ...Object.fromEntries(named), ...prompt };
}

test("all folders are here", () => {
  expect(FOLDERS).toHaveLength(17);
});

describe.each(FOLDERS)("%s", (folder) => {
  const runs = GOLDENS.runs.filter((run) => run.folder === folder);
  let model: Encoder;
  beforeAll(async () => {
    model = await loadEncoder(taskFolder(folder));
  });
  afterAll(() => model.dispose());

  test.each(runs.map((run) => [JSON.stringify(run.options), run] as const))("%s", async (_, run) => {
    const texts = run.texts.map((id) => GOLDENS.texts[id]);
    const embedded = model.embed(texts, optionsOf(run));
    if (run.error !== undefined) {
      await expect(embedded).rejects.toThrow(/promptName: expected one of query, document, .*got absent/);
      return;
    }
    const output = run.output as NonNullable<Run["output"]>;
    if (Number(run.options.truncate_dim ?? 0) > output[0].length) {
      // sentence-transformers gives what there is; here it is the caller's mistake.
      await expect(embedded).rejects.toThrow(`dimensions: expected an integer from 1 to ${output[0].length}, got 500`);
      return;
    }
    for (const [i, vector] of (await embedded).entries()) {
      const golden = Float32Array.from(output[i]);
      const largest = golden.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      expect(vector, run.texts[i]).toHaveLength(golden.length);
      expect(largestDifference(vector, golden), run.texts[i]).toBeLessThanOrEqual(TOLERANCE * largest);
    }
  });

  test("a text alone has the bits that it has in a batch, whatever the batches", async () => {
    const texts = runs[0].texts.map((id) => GOLDENS.texts[id]);
    const together = await model.embed(texts);
    expect(await model.embed(texts, { batchTokens: 1 })).toEqual(together);
    for (const [i, text] of texts.entries()) expect(await model.embed(text)).toEqual(together[i]);
  });
});

describe("what sentence-transformers has no option for", () => {
  const texts = ["Rome is a city.", "", GOLDENS.texts.long];
  let model: Encoder;
  let dense: Encoder;
  beforeAll(async () => {
    model = await loadEncoder(taskFolder("st-mean"));
    dense = await loadEncoder(taskFolder("st-dense"));
  });
  afterAll(() => {
    model.dispose();
    dense.dispose();
  });

  test("a pooling of one's own is that of the model which has it", async () => {
    const folders: [string, Pooling][] = [
      ["st-cls", "cls"],
      ["st-max", "max"],
      ["st-weightedmean", "weightedMean"],
      ["st-lasttoken", "lastToken"],
      ["st-sqrt", "meanSqrtLength"],
    ];
    for (const [folder, pooling] of folders) {
      const other = await loadEncoder(taskFolder(folder));
      const expected = await other.embed(texts);
      expect(await model.embed(texts, { pooling, normalize: false, maxTokens: 64 }), folder).toEqual(expected);
      other.dispose();
    }
    const [both, cls, max] = await Promise.all(
      [["cls", "max"] as const, "cls" as const, "max" as const].map((pooling) =>
        model.embed(texts, { pooling, normalize: false }),
      ),
    );
    expect(both.map((vector) => [...vector])).toEqual(texts.map((_, i) => [...cls[i], ...max[i]]));
  });

  test("normalize: true, false, and left out", async () => {
    const length = (vector: Float32Array) => Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
    const [as] = await model.embed(texts);
    const [plain] = await model.embed(texts, { normalize: false });
    expect(length(as)).toBeCloseTo(1, 6);
    expect(length(plain)).toBeGreaterThan(1.1);
    expect(length((await model.embed(texts, { dimensions: 8 }))[0])).toBeLessThan(0.9);
    expect(length((await model.embed(texts, { dimensions: 8, normalize: true }))[0])).toBeCloseTo(1, 6);
  });

  test("precisions are those of quantizeEmbedding, and ubinary that of encode", async () => {
    const vectors = await model.embed(texts);
    const ranges = calibrationRanges(vectors);
    for (const precision of ["int8", "uint8", "binary", "ubinary"] as const) {
      expect(await model.embed(texts, { precision })).toEqual(vectors.map((v) => quantizeEmbedding(v, precision)));
    }
    const { values, scale }: QuantizedEmbedding<"int8"> = await model.embed(texts[0], { precision: "int8" });
    expect(values.map((value, d) => Math.abs((scale as number) * value - vectors[0][d])).every((x) => x <= 0.01)).toBe(
      true,
    );
    expect(await model.embed(texts, { precision: "uint8", ranges })).toEqual(
      vectors.map((v) => quantizeEmbedding(v, "uint8", { ranges })),
    );
    const golden = GOLDENS.quantize.find(({ folder }) => folder === "st-mean");
    const given = (golden?.texts ?? []).map((id) => GOLDENS.texts[id]);
    const made = await model.embed(given, { precision: "ubinary" });
    expect(given.length).toBeGreaterThan(5);
    expect(made.map(({ values }) => [...values])).toEqual(golden?.output);
  });

  test("maxTokens cuts, and the model's own limit is that of sentence_bert_config.json", async () => {
    const ids = (text: string, maxLength: number) =>
      model.tokenizer?.encode(text, { truncation: { maxLength } }).ids ?? [];
    for (const [maxTokens, options] of [
      [32, {}],
      [5, { maxTokens: 5 }],
      [64, { maxTokens: 64 }],
    ] as const) {
      const { hidden } = model.run(ids(GOLDENS.texts.long, maxTokens));
      const first = hidden.data.subarray(0, 32);
      expect(hidden.shape).toEqual([maxTokens, 32]);
      const [vector] = await model.embed([GOLDENS.texts.long], { ...options, pooling: "cls", normalize: false });
      expect(vector).toEqual(first);
    }
  });

  test("what is wrong is said before any work", async () => {
    const wrong: [EmbedOptions<"f32" | "int8" | "binary">, RegExp][] = [
      [{ pooling: "median" as Pooling }, /pooling: expected one of mean, cls, .*got median/],
      [{ pooling: [] }, /pooling: expected at least one name, got none/],
      [{ normalize: 1 as unknown as boolean }, /normalize: expected true or false/],
      [{ prompt: "a", promptName: "query" }, /expected prompt or promptName, got both/],
      [{ prompt: 1 as unknown as string }, /prompt: expected a string/],
      [{ promptName: "toString" }, /promptName: expected one of query, document, got toString/],
      [{ maxTokens: 65 }, /maxTokens: expected an integer from 1 to 64, got 65/],
      [{ maxTokens: 1 }, /leaves no room/],
      [{ dimensions: 33 }, /dimensions: expected an integer from 1 to 32, got 33/],
      [{ precision: "int4" as "int8" }, /precision: expected one of f32, int8/],
      [{ ranges: [[0], [1]] }, /ranges: are for the precisions int8 and uint8/],
      [{ precision: "binary", ranges: [[0], [1]] }, /ranges: binary takes none/],
      [{ precision: "int8", ranges: [[0], [1]] }, /ranges: expected 32 numbers each/],
      [{ batchTokens: 0 }, /batchTokens/],
      [{ truncate: 3 } as EmbedOptions, /unknown option "truncate"/],
    ];
    for (const [options, message] of wrong) await expect(model.embed("a", options)).rejects.toThrow(message);
    await expect(model.embed([1] as unknown as string[])).rejects.toThrow(/texts\[0\]: expected a string/);
    await expect(dense.embed("a", { pooling: ["cls", "max"] })).rejects.toThrow(
      /cls and max give 64 numbers, which the model's dense module does not take/,
    );
    const aborted = AbortSignal.abort(new Error("enough"));
    await expect(model.embed("a", { signal: aborted })).rejects.toThrow("enough");
  });

  test("no texts, progress, and what there is to know", async () => {
    expect(await model.embed([])).toEqual([]);
    const seen: string[] = [];
    await model.embed(texts, { batchTokens: 33, onProgress: ({ done, total }) => seen.push(`${done}/${total}`) });
    expect(seen).toEqual(["1/3", "3/3"]);
    expect(dense.embeddings).toEqual({
      dimensions: 16,
      pooling: ["mean"],
      prompts: { query: "", document: "" },
      defaultPrompt: null,
      similarity: "cosine",
    });
  });
});
