/** Every encoder-decoder variant against Hugging Face transformers: taps, batches, long inputs, loss, greedy text, beams. */

import type { GenerateOptions, Seq2Seq } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectClose, type Float32Error, tolerance } from "../support/compare";
import { readJson } from "../support/fixtures";
import { loadSeq2Seq } from "../support/load";
import { type Expected, readExpected } from "../support/safetensors";
import { configsOf, goldenVariants, variantSource } from "../support/variants";

interface Greedy {
  readonly eos_token_id: number | null;
  readonly max_new_tokens: number;
  readonly no_repeat_ngram_size?: number;
  readonly tokens: number[];
  readonly top2_gap: number[];
}

/** What transformers' `generate` was given, under its names, and what it gave. */
interface BeamRun {
  readonly num_beams: number;
  readonly eos_token_id: number | number[] | null;
  /** Which ids may come as the n-th new one: entry n modulo the list's length. */
  readonly prefix_allowed_tokens?: number[][];
  readonly sequences: number[][];
  readonly sequences_scores?: number[];
  readonly token_scores?: number[][];
}

/** Options under transformers' names in ours. */
function optionsOf({
  eos_token_id,
  prefix_allowed_tokens: allowed,
  sequences: _sequences,
  sequences_scores: _scores,
  token_scores: _tokenScores,
  ...rest
}: BeamRun): GenerateOptions {
  const camel = (key: string) => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const named = Object.entries(rest).map(([key, value]) => [camel(key), value] as const);
  // Without beams they do nothing, which transformers does not mind.
  const idle = rest.num_beams === 1 ? ["lengthPenalty", "earlyStopping"] : [];
  const prefix =
    allowed === undefined
      ? {}
      : { prefixAllowedTokens: (ids: readonly number[]) => allowed[(ids.length - 1) % allowed.length] };
  const options = Object.fromEntries(named.filter(([key]) => !idle.includes(key)));
  return { scores: true, stopIds: endsOf(eos_token_id), ...prefix, ...options };
}

interface Golden {
  readonly f32_error: Record<string, Float32Error>;
  readonly cases: Record<
    string,
    {
      readonly input_ids: number[];
      readonly decoder_input_ids: number[];
      readonly labels?: number[];
      readonly outputs: Record<string, number[]>;
      readonly loss?: number;
      readonly perplexity?: number;
      readonly generation?: { readonly prompt: number[]; readonly greedy: Greedy[]; readonly beam?: BeamRun[] };
    }
  >;
}

const VARIANTS = goldenVariants(["t5", "mt5", "umt5", "bart", "mbart", "marian", "pegasus"], true);
/** Smallest gap between the best two logits at which an id must agree: float32 noise is far below. */
const DECIDED = 1e-4;
/** A model without a head ends with its decoder's states. */
const ours = (tap: string) => (tap === "final" ? "decoder.final" : tap);

/** The runs were made without what the models' own configs say about generation. */
function unset({ generationDefaults: { settings } }: Seq2Seq): GenerateOptions {
  return Object.fromEntries(Object.keys(settings).map((name) => [name, null]));
}

function endsOf(eos: number | number[] | null): number[] {
  return eos === null ? [] : Array.isArray(eos) ? eos : [eos];
}

/** A sequence without what was filled in behind its end. */
function unpadded(ids: readonly number[], ends: readonly number[]): number[] {
  const end = ids.findIndex((id) => ends.includes(id));
  return end < 0 ? [...ids] : ids.slice(0, end + 1);
}

test("there are variants to test", () => {
  expect(VARIANTS.length).toBeGreaterThanOrEqual(14);
});

const WITH_CONFIGS = VARIANTS.flatMap((variant) => configsOf(variant).map((config) => ({ ...variant, config })));

describe.each(WITH_CONFIGS)("$name, $config", (variant) => {
  const { folder, config } = variant;
  const golden = readJson<Golden>(`${folder}/expected.json`);
  const expected = readExpected(`${folder}/expected.safetensors`);
  const { cases } = golden;
  let model: Seq2Seq;
  beforeAll(async () => {
    model = await loadSeq2Seq(variantSource(variant, config));
  });
  afterAll(() => model.dispose());

  const closeTo = (name: string, captured: Readonly<Record<string, Expected>>) => {
    for (const tap of Object.keys(cases[name].outputs)) {
      const tensor = expected.get(`${name}/${tap}`) as Expected;
      expectClose(`${name}/${tap}`, captured[ours(tap)], tensor, tolerance(tensor.data, golden.f32_error[name]));
    }
  };

  test.each(Object.keys(cases))("%s: every tap within the goldens' tolerance", (name) => {
    const { input_ids, decoder_input_ids, outputs } = cases[name];
    closeTo(name, model.run(input_ids, decoder_input_ids, { capture: Object.keys(outputs).map(ours) }).captured);
  });

  const padded = Object.keys(cases).filter((name) => name.startsWith("padded/"));
  if (padded.length > 0)
    test("the padded cases as one batch: the goldens, and the same bits as alone", () => {
      const inputs = padded.map((name) => ({
        source: cases[name].input_ids,
        decoderIds: cases[name].decoder_input_ids,
      }));
      const capture = ["encoder.final", "decoder.final", "logits"];
      const results = model.runBatch(inputs, { capture });
      for (const [b, name] of padded.entries()) {
        closeTo(name, results[b].captured);
        const alone = model.run(inputs[b].source, inputs[b].decoderIds, { capture });
        for (const tap of capture) expect(results[b].captured[tap].data).toEqual(alone.captured[tap].data);
      }
    });

  const { loss, perplexity, labels } = cases.short;
  if (loss !== undefined && labels !== undefined)
    test("loss and perplexity", () => {
      const got = model.loss(cases.short.input_ids, labels, { decoderIds: cases.short.decoder_input_ids });
      expect(Math.abs(got.loss - loss)).toBeLessThan(1e-5 * loss);
      expect(Math.abs(got.perplexity / (perplexity as number) - 1)).toBeLessThan(1e-4);
    });

  const prompt = cases.short.generation?.prompt as number[];
  test.each(cases.short.generation?.greedy ?? [])(
    "greedy, $eos_token_id ends, n-grams $no_repeat_ngram_size",
    async (run) => {
      const { ids, finishReason } = await model
        .generate(prompt, {
          ...unset(model),
          maxNewTokens: run.max_new_tokens,
          stopIds: endsOf(run.eos_token_id),
          ...(run.no_repeat_ngram_size === undefined ? {} : { noRepeatNgramSize: run.no_repeat_ngram_size }),
        })
        .result();
      expect(Math.min(...run.top2_gap)).toBeGreaterThan(DECIDED);
      expect(ids).toEqual(run.tokens);
      expect(finishReason).toBe(run.tokens.at(-1) === run.eos_token_id ? "stop" : "length");
    },
  );

  const beams = (cases.short.generation?.beam ?? []).map((run) => [JSON.stringify(optionsOf(run)), run] as const);
  test.each(beams)("beams: %s", async (_, run) => {
    const ends = endsOf(run.eos_token_id);
    const { sequences } = await model.generate(prompt, { ...unset(model), ...optionsOf(run) }).result();
    expect(sequences.map(({ ids }) => ids)).toEqual(run.sequences.map((ids) => unpadded(ids, ends)));
    for (const [i, { ids, score, tokenScores }] of sequences.entries()) {
      const expected = run.sequences_scores?.[i];
      if (expected !== undefined) expect(Math.abs((score as number) - expected)).toBeLessThan(1e-4);
      const byToken = run.token_scores?.[i].slice(0, ids.length) ?? [];
      for (const [t, value] of byToken.entries())
        expect(Math.abs((tokenScores?.[t] as number) - value)).toBeLessThan(1e-4);
    }
  });
});
