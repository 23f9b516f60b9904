import { describe, expect, test } from "vitest";
import { fixture } from "../../../../tests/support/fixtures";
import type { Expected } from "../../../../tests/support/safetensors";
import { loadSeq2Seq } from "../load";
import { changed, outcome, rename, scaled, type Tensors } from "./testing";

const ONE = "bart-one-embedding";
const one = await outcome(fixture(`goldens/seq2seq/${ONE}`));
const WORDS = "model.decoder.embed_tokens.weight";

/** The words of this golden, which it has under this name alone. */
const words = (tensors: Tensors) => tensors.get(WORDS) as Expected;

describe("a file may name the words as it likes", () => {
  test.each(["model.shared.weight", "model.encoder.embed_tokens.weight", "lm_head.weight"])(
    "%s alone",
    async (name) => {
      expect(await outcome(changed(ONE, {}, (tensors) => rename(tensors, WORDS, name)))).toEqual(one);
    },
  );

  test("all names at once, with equal numbers", async () => {
    const source = changed(ONE, {}, (tensors) => {
      for (const name of ["model.shared.weight", "model.encoder.embed_tokens.weight", "lm_head.weight"])
        tensors.set(name, words(tensors));
    });
    expect(await outcome(source)).toEqual(one);
  });

  test("tables that differ each serve their own part, tied or not", async () => {
    const source = (tie: boolean) =>
      changed(ONE, { tie_word_embeddings: tie }, (tensors) => {
        tensors.set("model.shared.weight", scaled(words(tensors), 3)); // which nobody reads
        tensors.set("model.encoder.embed_tokens.weight", scaled(words(tensors), 2));
        tensors.set("lm_head.weight", scaled(words(tensors), 4));
      });
    const { captured, logits } = await outcome(source(true));
    const decoderOnly = await outcome(
      changed(ONE, {}, (tensors) => tensors.set("model.encoder.embed_tokens.weight", scaled(words(tensors), 2))),
    );
    expect(captured).toEqual(decoderOnly.captured);
    expect(captured["encoder.embeddings"]).not.toEqual(one.captured["encoder.embeddings"]);
    expect(captured["decoder.embeddings"]).toEqual(one.captured["decoder.embeddings"]);
    expect(logits.data).toEqual(decoderOnly.logits.data.map((value) => 4 * value)); // a power of two rounds nothing
    expect(await outcome(source(false))).toEqual(await outcome(source(true)));
  });

  test("none at all is an error, and so is a missing head where it is not tied", async () => {
    const none = changed(ONE, {}, (tensors) => tensors.delete(WORDS));
    await expect(outcome(none)).rejects.toThrow(/"model.shared.weight": missing.*\[26, 6\]/);
    await expect(outcome(changed(ONE, { tie_word_embeddings: false }))).rejects.toThrow(/"lm_head.weight": missing/);
  });
});

describe("what else a file may hold or leave out", () => {
  test("final_logits_bias: added to the logits, zeros where it is missing", async () => {
    const bias = Float32Array.from({ length: 26 }, (_, i) => i - 13);
    const source = changed(ONE, {}, (tensors) => tensors.set("final_logits_bias", { shape: [1, 26], data: bias }));
    const { logits } = await outcome(source);
    for (const [i, value] of logits.data.entries()) expect(value).toBeCloseTo(one.logits.data[i] + bias[i % 26], 5);
    const short = changed(ONE, {}, (tensors) =>
      tensors.set("final_logits_bias", { shape: [1, 25], data: bias.slice(1) }),
    );
    await expect(outcome(short)).rejects.toThrow(/"final_logits_bias": expected shape \[1, 26\].*got \[1, 25\]/);
  });

  test.each(["encoder.version", "model.encoder.version"])("%s means nothing", async (name) => {
    const source = changed(ONE, {}, (tensors) => {
      rename(tensors, "encoder.version", name);
      rename(tensors, "decoder.version", name.replace("encoder", "decoder"));
    });
    expect(await outcome(source)).toEqual(one);
  });

  test("no prefix, whatever class it says", async () => {
    const bare = (tensors: Tensors) => {
      for (const name of [...tensors.keys()])
        if (name.startsWith("model.")) rename(tensors, name, name.slice("model.".length));
    };
    expect(await outcome(changed(ONE, {}, bare))).toEqual(one);
    expect(await outcome(changed(ONE, { architectures: ["BartModel"] }, bare))).toEqual(one);
    expect(await outcome(changed(ONE, { architectures: ["BartModel"] }))).toEqual(one);
  });

  test("the two rows before the first position", async () => {
    const name = "model.encoder.embed_positions.weight";
    const without = changed(ONE, {}, (tensors) => {
      const { data } = tensors.get(name) as Expected;
      tensors.set(name, { shape: [12, 6], data: data.slice(12) });
    });
    await expect(outcome(without)).rejects.toThrow(/embed_positions.weight": expected shape \[14, 6\].*got \[12, 6\]/);
    const other = changed(ONE, {}, (tensors) => {
      const { shape, data } = tensors.get(name) as Expected;
      tensors.set(name, { shape, data: data.map((value, i) => (i < 12 ? 100 : value)) });
    });
    expect(await outcome(other)).toEqual(one);
  });

  const damaged: [what: string, edit: (tensors: Tensors) => void, message: RegExp][] = [
    [
      "a bias is missing",
      (tensors) => tensors.delete("model.encoder.layers.0.self_attn.k_proj.bias"),
      /"model.encoder.layers.0.self_attn.k_proj.bias": missing/,
    ],
    [
      "mBART's norm is there",
      (tensors) => tensors.set("model.encoder.layer_norm.weight", { shape: [6], data: new Float32Array(6) }),
      /"model.encoder.layer_norm.weight": belongs to no part/,
    ],
    [
      "a classifier is there",
      (tensors) => tensors.set("classification_head.dense.bias", { shape: [6], data: new Float32Array(6) }),
      /"classification_head.dense.bias": belongs to no part/,
    ],
  ];
  test.each(damaged)("refused: %s", async (_, edit, message) => {
    await expect(outcome(changed(ONE, {}, edit))).rejects.toThrow(message);
  });
});

test.each(["bart-beams", "mbart-plain", "marian-two-vocabularies", "pegasus-no-positions"])(
  "%s: position by position gives the bits of one pass",
  async (name) => {
    await using model = await loadSeq2Seq(fixture(`goldens/seq2seq/${name}`), { threads: 1 });
    const source = [5, 9, 3, 7, 2];
    const ids = [2, 4, 11, 5, 6];
    const { data } = model.run(source, ids).logits;
    const cache = model.createCache();
    const steps = ids.flatMap((id) => [...model.run(source, [id], { cache }).logits.data]);
    expect(steps).toEqual([...data]);
  },
);
