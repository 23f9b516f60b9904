/** The architectures that run. This list is the only one to edit when a model is added. */

import type { Kernels } from "@qkv/core";
import { createAlbert, parseAlbertConfig } from "./albert/albert";
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
import { readLlamaGguf } from "./llama/gguf";
import { Llama, type LlamaConfig, parseLlamaConfig } from "./llama/llama";
import { llamaOfLlama2c } from "./llama/llama2c";
import { createModernBert, parseModernBertConfig } from "./modernbert/modernbert";
import { createMpnet, parseMpnetConfig } from "./mpnet/mpnet";
import { createRoberta, parseRobertaConfig, parseXlmRobertaConfig } from "./roberta/roberta";
import { withoutOldNames } from "./weights/old-names";
import type { CheckpointTensor, Weights } from "./weights/weights";

/** The parsed config of a model that runs. */
export type ModelConfig = LlamaConfig | EncoderConfig;

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
);

type Tensors = ReadonlyMap<string, CheckpointTensor>;

/** How an architecture is read from each kind of file that names it; null where it does not come as that. */
interface Architecture {
  /** What ends a text where config.json has no `eos_token_id`: transformers' default. */
  readonly defaultEndIds: readonly number[];
  readonly fromJson: (json: JsonConfig, tensors: Tensors) => ParsedModel;
  readonly fromGguf: ((gguf: Gguf, json: JsonConfig, files: CheckedSource) => Promise<ParsedModel>) | null;
}

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

/** The entry of a config's `model_type`. @throws UnsupportedModelError for one that does not run */
export function architectureOf(json: JsonConfig): Architecture {
  const name = json.string("model_type");
  const known = Object.keys(ARCHITECTURES);
  if (!known.includes(name)) throw json.unsupported("model_type", known);
  return ARCHITECTURES[name];
}

/** llama2.c's files name no architecture: there is one. */
export function readLlama2c(model: Llama2c): ParsedModel {
  return llama(llamaOfLlama2c(model));
}

function llama({ config, tensors }: { config: LlamaConfig; tensors: Tensors | null }): ParsedModel {
  return { kind: "decoder", config, tensors, create: (weights, kernels) => new Llama(config, weights, kernels) };
}
