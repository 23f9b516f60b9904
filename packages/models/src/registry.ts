/** The architectures that run. This list is the only one to edit when a model is added. */

import type { Kernels } from "@qkv/core";
import { createAlbert, parseAlbertConfig } from "./albert/albert";
import { createBart, parseBartConfig } from "./bart/bart";
import type { BartConfig } from "./bart/config";
import { createBert, parseBertConfig } from "./bert/bert";
import { readBertGguf } from "./bert/gguf";
import type { JsonConfig } from "./config/json-config";
import type { DecoderNetwork } from "./decoder/network";
import { createDistilBert, parseDistilBertConfig } from "./distilbert/distilbert";
import { createElectra, parseElectraConfig } from "./electra/electra";
import type { SentenceFiles } from "./embeddings/sentence-files";
import { PLAIN_SENTENCES } from "./embeddings/sentence-settings";
import { type EncoderConfig, withoutMissingHead } from "./encoder/config";
import type { EncoderNetwork } from "./encoder/network";
import type { CheckedSource } from "./files/checked";
import type { Gguf } from "./formats/gguf";
import type { Llama2c } from "./formats/llama2c";
import { type GenerationDefaults, NO_DEFAULTS } from "./generate/generation-config";
import { readLlamaGguf } from "./llama/gguf";
import { Llama, type LlamaConfig, parseLlamaConfig } from "./llama/llama";
import { llamaOfLlama2c } from "./llama/llama2c";
import { createMarian, parseMarianConfig } from "./marian/marian";
import { createMbart, parseMbartConfig } from "./mbart/mbart";
import { createModernBert, parseModernBertConfig } from "./modernbert/modernbert";
import { createMpnet, parseMpnetConfig } from "./mpnet/mpnet";
import { createPegasus, parsePegasusConfig } from "./pegasus/pegasus";
import { createRoberta, parseRobertaConfig, parseXlmRobertaConfig } from "./roberta/roberta";
import type { Seq2SeqNetwork } from "./seq2seq/network";
import { parseMt5Config, parseT5Config, parseUmt5Config, type T5Config, t5EncoderConfig } from "./t5/config";
import { readT5Gguf, type T5Gguf } from "./t5/gguf";
import { createT5, createT5Encoder } from "./t5/t5";
import { withoutOldNames } from "./weights/old-names";
import type { CheckpointTensor, Weights } from "./weights/weights";

/** The parsed config of a model that runs. */
export type ModelConfig = LlamaConfig | EncoderConfig | Seq2SeqConfig;

/** The parsed config of an encoder-decoder. */
export type Seq2SeqConfig = T5Config | BartConfig;

/** A config with the tensors that belong to it, under Hugging Face's names. */
export type ParsedModel = {
  /** Renamed tensors; null where the file has Hugging Face's names already. */
  readonly tensors: Tensors | null;
} & (
  | {
      readonly kind: "decoder";
      readonly config: LlamaConfig;
      /** Lays the model out; throws where the tensors do not fit the config. */
      readonly create: (weights: Weights, kernels: Kernels) => DecoderNetwork;
    }
  | {
      readonly kind: "encoder";
      readonly config: EncoderConfig;
      /** What the file itself says about embeddings, as GGUF files do; null where others say it. */
      readonly sentence: SentenceFiles | null;
      readonly create: (weights: Weights, kernels: Kernels) => EncoderNetwork;
    }
  | {
      readonly kind: "seq2seq";
      readonly config: Seq2SeqConfig;
      /** What the file itself says about generation, as GGUF files do; for others, see `parseGenerationConfig`. */
      readonly generation: GenerationDefaults;
      /** In training, a text's last token was put before its first, in place of one start token for all texts. */
      readonly startsWithLast: boolean;
      readonly create: (weights: Weights, kernels: Kernels) => Seq2SeqNetwork;
    }
);

type Tensors = ReadonlyMap<string, CheckpointTensor>;

/** How an architecture is read from each kind of file that names it; null where it does not come as that. */
interface Architecture {
  /** What ends a text where config.json has no `eos_token_id`: transformers' default. */
  readonly defaultEndIds: readonly number[];
  readonly fromJson: ((json: JsonConfig, tensors: Tensors) => ParsedModel) | null;
  readonly fromGguf: ((gguf: Gguf, json: JsonConfig, files: CheckedSource) => Promise<ParsedModel>) | null;
}

/** An architecture that config.json names. */
type JsonArchitecture = Architecture & { readonly fromJson: NonNullable<Architecture["fromJson"]> };

/** By `model_type` of config.json, which is also `general.architecture` of GGUF files. */
export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  albert: encoder(parseAlbertConfig, ["predictions."], createAlbert),
  bert: encoder(parseBertConfig, ["cls."], createBert, async (gguf, json) => {
    const { config, tensors, pooling } = readBertGguf(gguf, json);
    // llama.cpp makes vectors of length 1, unless it is told not to.
    const sentence: SentenceFiles = { ...PLAIN_SENTENCES, pooling: [pooling], modules: [{ type: "normalize" }] };
    const create = (weights: Weights, kernels: Kernels) => createBert(config, weights, kernels);
    return { kind: "encoder", config, sentence, tensors, create };
  }),
  distilbert: encoder(parseDistilBertConfig, ["vocab_"], createDistilBert),
  electra: encoder(parseElectraConfig, ["discriminator_predictions.", "generator_"], createElectra),
  modernbert: encoder(parseModernBertConfig, ["head.", "decoder."], createModernBert),
  mpnet: encoder(parseMpnetConfig, ["lm_head."], createMpnet),
  roberta: encoder(parseRobertaConfig, ["lm_head."], createRoberta),
  "xlm-roberta": encoder(parseXlmRobertaConfig, ["lm_head."], createRoberta),
  bart: seq2seq([2], parseBartConfig, createBart),
  marian: seq2seq([0], parseMarianConfig, createMarian),
  mbart: seq2seq([2], parseMbartConfig, createMbart, true),
  pegasus: seq2seq([1], parsePegasusConfig, createPegasus),
  mt5: t5(parseMt5Config),
  t5: t5(parseT5Config, async (gguf, json) => t5OfGguf(readT5Gguf(gguf, json, "t5"))),
  t5encoder: {
    defaultEndIds: [1],
    fromJson: null,
    fromGguf: async (gguf, json) => t5OfGguf(readT5Gguf(gguf, json, "t5encoder")),
  },
  umt5: t5(parseUmt5Config),
  llama: {
    defaultEndIds: [2],
    fromJson: (json) => llama({ config: parseLlamaConfig(json), tensors: null }),
    fromGguf: async (gguf, json, files) => llama(await readLlamaGguf(gguf, json, files)),
  },
};

/**
 * An encoder's entry, from its page.
 *
 * @param pretraining how the names of tensors begin that belong to the heads that it was pretrained with
 */
function encoder<C extends EncoderConfig>(
  parse: (json: JsonConfig) => C,
  pretraining: readonly string[],
  create: (config: C, weights: Weights, kernels: Kernels) => EncoderNetwork,
  fromGguf: Architecture["fromGguf"] = null,
): Architecture {
  return {
    defaultEndIds: [],
    fromJson: (json, tensors) => {
      const config = withoutMissingHead(parse(json), tensors.keys(), pretraining);
      return {
        kind: "encoder",
        config,
        sentence: null,
        tensors: withoutOldNames(tensors),
        create: (weights, kernels) => create(config, weights, kernels),
      };
    },
    fromGguf,
  };
}

/** An encoder-decoder's entry, from its page. */
function seq2seq<C extends Seq2SeqConfig>(
  defaultEndIds: readonly number[],
  parse: (json: JsonConfig) => C,
  create: (config: C, weights: Weights, kernels: Kernels) => Seq2SeqNetwork,
  startsWithLast = false,
): Architecture {
  return {
    defaultEndIds,
    fromJson: (json) => {
      const config = parse(json);
      return {
        kind: "seq2seq",
        config,
        tensors: null,
        generation: NO_DEFAULTS,
        startsWithLast,
        create: (weights, kernels) => create(config, weights, kernels),
      };
    },
    fromGguf: null,
  };
}

/** T5's entries. */
function t5(parse: (json: JsonConfig) => T5Config, fromGguf: Architecture["fromGguf"] = null): Architecture {
  const fromJson = (json: JsonConfig) => t5Model(parse(json), null, NO_DEFAULTS);
  return { defaultEndIds: [1], fromJson, fromGguf };
}

function t5OfGguf({ config, tensors, generation }: T5Gguf): ParsedModel {
  return t5Model(config, tensors, generation);
}

/** A checkpoint may hold the encoder alone. */
function t5Model(config: T5Config, tensors: Tensors | null, generation: GenerationDefaults): ParsedModel {
  if (config.encoderOnly) {
    return {
      kind: "encoder",
      config: t5EncoderConfig(config),
      sentence: tensors === null ? null : PLAIN_SENTENCES,
      tensors,
      create: (weights, kernels) => createT5Encoder(config, weights, kernels),
    };
  }
  return {
    kind: "seq2seq",
    config,
    tensors,
    generation,
    startsWithLast: false,
    create: (weights, kernels) => createT5(config, weights, kernels),
  };
}

/** The entry of a config's `model_type`. @throws UnsupportedModelError for one that does not run */
export function architectureOf(json: JsonConfig): JsonArchitecture {
  const name = json.string("model_type");
  const known = Object.keys(ARCHITECTURES).filter((each) => ARCHITECTURES[each].fromJson !== null);
  if (!known.includes(name)) throw json.unsupported("model_type", known);
  return ARCHITECTURES[name] as JsonArchitecture;
}

/** llama2.c's files name no architecture: there is one. */
export function readLlama2c(model: Llama2c): ParsedModel {
  return llama(llamaOfLlama2c(model));
}

function llama({ config, tensors }: { config: LlamaConfig; tensors: Tensors | null }): ParsedModel {
  return { kind: "decoder", config, tensors, create: (weights, kernels) => new Llama(config, weights, kernels) };
}
