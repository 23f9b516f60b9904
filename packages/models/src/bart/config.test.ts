import { expect, test } from "vitest";
import { JsonConfig } from "../config/json-config";
import { ModelFileError, UnsupportedModelError } from "../errors";
import { parseMarianConfig } from "../marian/marian";
import { parseMbartConfig } from "../mbart/mbart";
import { countParameters } from "../parameters";
import { parsePegasusConfig } from "../pegasus/pegasus";
import { parseBartConfig } from "./bart";

const parse = {
  bart: parseBartConfig,
  mbart: parseMbartConfig,
  marian: parseMarianConfig,
  pegasus: parsePegasusConfig,
};
type Family = keyof typeof parse;

function parsed(family: Family, config: object) {
  return parse[family](new JsonConfig({ model_type: family, ...config }, "config.json"));
}

test("an empty config is transformers' default", () => {
  const stack = { layers: 12, attentionHeads: 16, ffnDim: 4096 };
  const bart = {
    vocabSize: 50265,
    decoderVocabSize: 50265,
    dModel: 1024,
    encoder: stack,
    decoder: stack,
    activationFunction: "gelu",
    maxPositionEmbeddings: 1024,
    scaleEmbedding: false,
    tieWordEmbeddings: true,
    padTokenId: 1,
  };
  expect(parsed("bart", {})).toEqual(bart);
  expect(parsed("mbart", {})).toEqual(bart);
  expect(parsed("pegasus", {})).toEqual({ ...bart, padTokenId: 0 });
  expect(parsed("marian", {})).toEqual({
    ...bart,
    vocabSize: 58101,
    decoderVocabSize: 58101,
    padTokenId: 58100,
    shareEncoderDecoderEmbeddings: true,
  });
});

test("the stacks have shapes of their own", () => {
  const config = parsed("bart", {
    d_model: 12,
    encoder_layers: 1,
    encoder_attention_heads: 2,
    encoder_ffn_dim: 5,
    decoder_layers: 3,
    decoder_attention_heads: 6,
    decoder_ffn_dim: 7,
  });
  expect(config.encoder).toEqual({ layers: 1, attentionHeads: 2, ffnDim: 5 });
  expect(config.decoder).toEqual({ layers: 3, attentionHeads: 6, ffnDim: 7 });
});

/** Keys beyond the sizes, as published files have them. */
const published: [name: string, family: Family, config: object][] = [
  [
    "bart-large-cnn",
    "bart",
    {
      _num_labels: 3,
      architectures: ["BartForConditionalGeneration"],
      add_bias_logits: false,
      add_final_layer_norm: false,
      normalize_before: false,
      static_position_embeddings: false,
      force_bos_token_to_be_generated: true,
      forced_bos_token_id: 0,
      num_hidden_layers: 12,
      prefix: " ",
      output_past: true,
      task_specific_params: { summarization: { num_beams: 4 } },
    },
  ],
  ["bart-base", "bart", { architectures: ["BartModel"], normalize_before: false, normalize_embedding: true }],
  [
    "a student of bart-large",
    "bart",
    { encoder_layers: 12, decoder_layers: 3, num_hidden_layers: 6, extra_pos_embeddings: 2 },
  ],
  ["no class", "bart", { architectures: null, do_blenderbot_90_layernorm: false, save_step: 12 }],
  [
    "mbart-large-50",
    "mbart",
    {
      architectures: ["MBartForConditionalGeneration"],
      add_bias_logits: false,
      add_final_layer_norm: true,
      normalize_before: true,
      normalize_embedding: true,
      static_position_embeddings: false,
      scale_embedding: true,
      activation_function: "relu",
    },
  ],
  [
    "mBART of the class that ran it first",
    "mbart",
    { architectures: ["BartForConditionalGeneration"], normalize_before: true },
  ],
  [
    "opus-mt-en-de",
    "marian",
    {
      architectures: ["MarianMTModel"],
      activation_function: "swish",
      vocab_size: 58101,
      decoder_vocab_size: 58101,
      bad_words_ids: [[58100]],
      normalize_before: false,
      normalize_embedding: false,
      add_final_layer_norm: false,
      static_position_embeddings: true,
      extra_pos_embeddings: 58101,
      scale_embedding: true,
    },
  ],
  [
    "pegasus-xsum",
    "pegasus",
    {
      architectures: ["PegasusForConditionalGeneration"],
      activation_function: "relu",
      add_final_layer_norm: true,
      extra_pos_embeddings: 1,
      normalize_before: true,
      normalize_embedding: false,
      static_position_embeddings: true,
      length_penalty: 0.6,
    },
  ],
];
test.each(published)("accepted: %s", (_, family, config) => {
  expect(parsed(family, config).dModel).toBe(1024);
});

const unsupported: [family: Family, config: object, message: RegExp][] = [
  ["bart", { architectures: ["BartForSequenceClassification"] }, /"architectures".*BartForConditionalGeneration/],
  ["bart", { architectures: ["BartForQuestionAnswering"] }, /"architectures"/],
  ["mbart", { architectures: ["MBartForCausalLM"] }, /"architectures".*MBartModel/],
  ["marian", { architectures: ["MarianForCausalLM"] }, /"architectures".*MarianMTModel/],
  ["pegasus", { architectures: ["PegasusXForConditionalGeneration"] }, /"architectures"/],
  ["bart", { is_encoder_decoder: false }, /"is_encoder_decoder".*true/],
  ["bart", { activation_function: "mish" }, /"activation_function".*gelu/],
  ["bart", { normalize_before: true }, /"normalize_before".*false/],
  ["bart", { normalize_embedding: false }, /"normalize_embedding".*true/],
  ["bart", { add_final_layer_norm: true }, /"add_final_layer_norm".*false/],
  ["bart", { static_position_embeddings: true }, /"static_position_embeddings".*false/],
  ["bart", { extra_pos_embeddings: 0 }, /"extra_pos_embeddings".*2/],
  ["bart", { do_blenderbot_90_layernorm: true }, /"do_blenderbot_90_layernorm".*false/],
  ["mbart", { normalize_before: false }, /"normalize_before".*true/],
  ["mbart", { add_final_layer_norm: false }, /"add_final_layer_norm".*true/],
  ["marian", { normalize_before: true }, /"normalize_before".*false/],
  ["marian", { normalize_embedding: true }, /"normalize_embedding".*false/],
  ["marian", { static_position_embeddings: false }, /"static_position_embeddings".*true/],
  ["pegasus", { normalize_before: false }, /"normalize_before".*true/],
  ["pegasus", { static_position_embeddings: false }, /"static_position_embeddings".*true/],
];
test.each(unsupported)("%s does not run %j", (family, config, message) => {
  expect(() => parsed(family, config)).toThrow(UnsupportedModelError);
  expect(() => parsed(family, config)).toThrow(message);
});

const wrong: [family: Family, config: object, message: RegExp][] = [
  ["bart", { encoder_attention_heads: 3 }, /"encoder_attention_heads": expected a divisor of d_model 1024, got 3/],
  ["bart", { decoder_attention_heads: 3 }, /"decoder_attention_heads": expected a divisor/],
  [
    "bart",
    { d_model: 2 ** 16, encoder_attention_heads: 1 },
    /"encoder_attention_heads": expected heads of at most 16384/,
  ],
  ["bart", { hidden_size: 512, d_model: 768 }, /"hidden_size": expected 768, as "d_model" says, got 512/],
  ["bart", { num_attention_heads: 8, encoder_attention_heads: 4 }, /"num_attention_heads": expected 4/],
  ["bart", { encoder_layers: 0 }, /"encoder_layers": expected an integer from 1 to 16384/],
  ["bart", { decoder_layers: 2 ** 31 - 1 }, /"decoder_layers"/],
  ["bart", { d_model: 2 ** 31 - 1 }, /"d_model"/],
  ["bart", { max_position_embeddings: 0 }, /"max_position_embeddings"/],
  ["bart", { scale_embedding: 1 }, /"scale_embedding": expected true or false, got 1/],
  ["bart", { normalize_before: "no" }, /"normalize_before": expected true or false/],
  ["marian", { decoder_vocab_size: 31 }, /"decoder_vocab_size": expected 58101.*share their words.*got 31/],
];
test.each(wrong)("%s with %j is damaged", (family, config, message) => {
  expect(() => parsed(family, config)).toThrow(ModelFileError);
  expect(() => parsed(family, config)).toThrow(message);
});

test("general names of the sizes serve where the family's own are missing", () => {
  const config = parsed("bart", { hidden_size: 512, num_attention_heads: 8 });
  expect(config.dModel).toBe(512);
  expect([config.encoder.attentionHeads, config.decoder.attentionHeads]).toEqual([8, 16]); // as transformers reads it
});

test("Marian's target has words of its own where they are not shared", () => {
  const config = { vocab_size: 26, decoder_vocab_size: 31, share_encoder_decoder_embeddings: false };
  expect(parsed("marian", config)).toMatchObject({ vocabSize: 26, decoderVocabSize: 31 });
  expect(parsed("marian", { ...config, decoder_vocab_size: 0 })).toMatchObject({ decoderVocabSize: 26 });
});

test("parameters of the published sizes, as transformers counts them without the constant sinusoids", () => {
  const total = (model_type: Family, config: object) => countParameters({ model_type, ...config }).total;
  const base = (layers: number, heads: number, ffn: number) => ({
    encoder_layers: layers,
    decoder_layers: layers,
    encoder_attention_heads: heads,
    decoder_attention_heads: heads,
    encoder_ffn_dim: ffn,
    decoder_ffn_dim: ffn,
  });
  expect(total("bart", {})).toBe(406_291_456);
  expect(total("bart", { d_model: 768, ...base(6, 12, 3072) })).toBe(139_420_416);
  expect(total("mbart", { vocab_size: 250054 })).toBe(610_879_488);
  const opus = { d_model: 512, ...base(6, 8, 2048), max_position_embeddings: 512 };
  expect(total("marian", opus)).toBe(73_886_208);
  const two = { vocab_size: 50000, decoder_vocab_size: 40000, share_encoder_decoder_embeddings: false };
  expect(total("marian", { ...opus, ...two })).toBe(90_218_496);
  expect(total("pegasus", { vocab_size: 96103, ...base(16, 16, 4096) })).toBe(568_699_904);
});
