/** Every LLaMA variant against Hugging Face transformers: taps, padded batches, long inputs, loss, greedy text, beams. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type Decoder, type FileSource, writeSafetensors } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectClose, type Float32Error, tolerance } from "../support/compare";
import { fixture, readJson } from "../support/fixtures";
import { load } from "../support/load";
import { type Expected, readExpected } from "../support/safetensors";

interface Golden {
  readonly f32_error: Record<string, Float32Error>;
  readonly cases: Record<
    string,
    {
      readonly input_ids: number[];
      readonly outputs: Record<string, number[]>;
      readonly loss?: number;
      readonly perplexity?: number;
      readonly generation?: {
        readonly prompt: number[];
        readonly greedy: readonly {
          readonly eos_token_id: number | null;
          readonly max_new_tokens: number;
          readonly no_repeat_ngram_size?: number;
          readonly tokens: number[];
          readonly top2_gap: number[];
        }[];
        readonly beam?: readonly {
          readonly num_beams: number;
          readonly num_return_sequences: number;
          readonly max_new_tokens: number;
          readonly eos_token_id: number | null;
          readonly length_penalty: number;
          readonly early_stopping: boolean | "never";
          readonly no_repeat_ngram_size?: number;
          readonly sequences: number[][];
          readonly sequences_scores: number[];
        }[];
      };
    }
  >;
}

const TINY = fixture("goldens/tiny");
const VARIANTS = readdirSync(TINY).filter((name) => name.startsWith("llama-"));
/** Smallest gap between the best two logits at which an id must agree: float32 noise is far below. */
const DECIDED = 1e-4;

/** A variant's folder, with its config in the keys of transformers 5 or 4. */
function variant(name: string, config: string): FileSource {
  return {
    name: `${name} with ${config}`,
    async read(path, start, end) {
      const file = `${TINY}/${name}/${path === "config.json" ? config : path}`;
      return existsSync(file) ? new Uint8Array(readFileSync(file).subarray(start, end)) : null;
    },
  };
}

/**
 * Phi-3 computes what LLaMA does, with q, k, v and gate, up stored as one matrix each: taken apart, it is a golden of
 * `longrope`, which no LLaMA checkpoint here uses.
 */
function phi3AsLlama(folder: string): FileSource {
  const config = readJson<Record<string, number>>(`${folder}/config.json`);
  const D = config.hidden_size;
  const K = D / config.num_attention_heads;
  const parts: Record<string, readonly (readonly [name: string, rows: number])[]> = {
    qkv_proj: [
      ["q_proj", config.num_attention_heads * K],
      ["k_proj", config.num_key_value_heads * K],
      ["v_proj", config.num_key_value_heads * K],
    ],
    gate_up_proj: [
      ["gate_proj", config.intermediate_size],
      ["up_proj", config.intermediate_size],
    ],
  };
  const tensors = [...readExpected(`${folder}/model.safetensors`)].flatMap(([name, { shape, data }]) => {
    const fused = Object.keys(parts).find((key) => name.includes(key));
    if (fused === undefined) return [{ name, shape, data }];
    let row = 0;
    return parts[fused].map(([part, rows]) => {
      const rowsOf = data.slice(row * D, (row + rows) * D);
      row += rows;
      return { name: name.replace(fused, part), shape: [rows, D], data: rowsOf };
    });
  });
  const files: Record<string, Uint8Array> = {
    "config.json": new TextEncoder().encode(JSON.stringify({ ...config, model_type: "llama" })),
    "model.safetensors": writeSafetensors(tensors),
  };
  return { read: async (path, start, end) => files[path]?.slice(start, end) ?? null };
}

function closeTo(model: Decoder, golden: Golden, expected: Map<string, Expected>, name: string): void {
  const { input_ids, outputs } = golden.cases[name];
  const { captured } = model.run(input_ids, { capture: Object.keys(outputs) });
  for (const tap of Object.keys(outputs)) {
    const tensor = expected.get(`${name}/${tap}`) as Expected;
    expectClose(`${name}/${tap}`, captured[tap], tensor, tolerance(tensor.data, golden.f32_error[name]));
  }
}

test("there are variants to test", () => {
  expect(VARIANTS.length).toBeGreaterThanOrEqual(13);
});

describe.each(VARIANTS.flatMap((name) => [[name, "config.json"] as const, [name, "config.v4.json"] as const]))(
  "%s, %s",
  (name, config) => {
    const golden = readJson<Golden>(`${TINY}/${name}/expected.json`);
    const expected = readExpected(`${TINY}/${name}/expected.safetensors`);
    const { cases } = golden;
    let model: Decoder;
    beforeAll(async () => {
      model = await load(variant(name, config));
    });
    afterAll(() => model.dispose());

    test.each(Object.keys(cases))("%s: every tap within the goldens' tolerance", (name) => {
      closeTo(model, golden, expected, name);
    });

    const padded = Object.keys(cases).filter((name) => name.startsWith("padded/"));
    if (padded.length > 0)
      test("the padded cases as one batch: the goldens, and the same bits as alone", () => {
        const sequences = padded.map((name) => cases[name].input_ids);
        const results = model.runBatch(sequences, { capture: ["final", "logits"] });
        for (const [b, name] of padded.entries()) {
          for (const tap of Object.keys(cases[name].outputs)) {
            const tensor = expected.get(`${name}/${tap}`) as Expected;
            expectClose(
              `${name}/${tap}`,
              results[b].captured[tap],
              tensor,
              tolerance(tensor.data, golden.f32_error[name]),
            );
          }
          const alone = model.run(sequences[b], { capture: ["final"] });
          expect(results[b].logits.data).toEqual(alone.logits.data);
          expect(results[b].captured.final.data).toEqual(alone.captured.final.data);
        }
      });

    const { loss, perplexity } = cases.short;
    if (loss !== undefined)
      test("loss and perplexity", () => {
        const got = model.loss(cases.short.input_ids);
        expect(Math.abs(got.loss - (loss as number))).toBeLessThan(1e-5 * (loss as number));
        expect(Math.abs(got.perplexity / (perplexity as number) - 1)).toBeLessThan(1e-4);
      });

    test.each(cases.short.generation?.greedy ?? [])(
      "greedy, $eos_token_id ends, n-grams $no_repeat_ngram_size",
      async (run) => {
        const { ids, finishReason } = await model
          .generate(cases.short.generation?.prompt as number[], {
            maxNewTokens: run.max_new_tokens,
            stopIds: run.eos_token_id === null ? [] : [run.eos_token_id],
            ...(run.no_repeat_ngram_size === undefined ? {} : { noRepeatNgramSize: run.no_repeat_ngram_size }),
          })
          .result();
        expect(Math.min(...run.top2_gap)).toBeGreaterThan(DECIDED);
        expect(ids).toEqual(run.tokens);
        expect(finishReason).toBe(run.tokens.at(-1) === run.eos_token_id ? "stop" : "length");
      },
    );

    test.each(cases.short.generation?.beam ?? [])(
      "$num_beams beams, $eos_token_id ends, length penalty $length_penalty, early $early_stopping, n-grams $no_repeat_ngram_size",
      async (run) => {
        const end = run.eos_token_id;
        const { sequences } = await model
          .generate(cases.short.generation?.prompt as number[], {
            numBeams: run.num_beams,
            numReturnSequences: run.num_return_sequences,
            maxNewTokens: run.max_new_tokens,
            lengthPenalty: run.length_penalty,
            earlyStopping: run.early_stopping,
            noRepeatNgramSize: run.no_repeat_ngram_size ?? null,
            stopIds: end === null ? [] : [end],
          })
          .result();
        // What is filled in behind an end is the end token again.
        const ended = (ids: number[]) => (end !== null && ids.includes(end) ? ids.slice(0, ids.indexOf(end) + 1) : ids);
        expect(sequences.map(({ ids }) => ids)).toEqual(run.sequences.map(ended));
        for (const [i, { score }] of sequences.entries()) {
          expect(Math.abs((score as number) - run.sequences_scores[i])).toBeLessThan(1e-4);
        }
      },
    );
  },
);

test("longrope, by way of a Phi-3: short and long table, every tap", async () => {
  const folder = `${TINY}/phi3-longrope`;
  const golden = readJson<Golden>(`${folder}/expected.json`);
  const expected = readExpected(`${folder}/expected.safetensors`);
  await using model = await load(phi3AsLlama(folder));
  expect(Object.keys(golden.cases)).toContain("long");
  for (const name of Object.keys(golden.cases)) closeTo(model, golden, expected, name);
});
