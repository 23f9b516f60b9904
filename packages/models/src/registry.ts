/** The architectures that run. This list is the only one to edit when a model is added. */

import type { Kernels } from "@qkv/core";
import type { JsonConfig } from "./config/json-config";
import type { DecoderNetwork } from "./decoder/network";
import type { CheckedSource } from "./files/checked";
import type { Gguf } from "./formats/gguf";
import type { Llama2c } from "./formats/llama2c";
import { readLlamaGguf } from "./llama/gguf";
import { Llama, type LlamaConfig, parseLlamaConfig } from "./llama/llama";
import { llamaOfLlama2c } from "./llama/llama2c";
import type { CheckpointTensor, Weights } from "./weights/weights";

/** The parsed config of a model that runs. */
export type ModelConfig = LlamaConfig;

/** A config with the tensors that belong to it, under Hugging Face's names. */
export interface ParsedModel {
  /** Lays the model out; throws where the tensors do not fit the config. */
  readonly create: (weights: Weights, kernels: Kernels) => DecoderNetwork;
  readonly config: ModelConfig;
  /** Renamed tensors; null where the file has Hugging Face's names already. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor> | null;
}

/** How an architecture is read from each kind of file that names it; null where it does not come as that. */
interface Architecture {
  /** What ends a text where config.json has no `eos_token_id`: transformers' default. */
  readonly defaultEndIds: readonly number[];
  readonly fromJson: (json: JsonConfig) => ParsedModel;
  readonly fromGguf: ((gguf: Gguf, json: JsonConfig, files: CheckedSource) => Promise<ParsedModel>) | null;
}

/** By `model_type` of config.json, which is also `general.architecture` of GGUF files. */
export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: {
    defaultEndIds: [2],
    fromJson: (json) => llama({ config: parseLlamaConfig(json), tensors: null }),
    fromGguf: async (gguf, json, files) => llama(await readLlamaGguf(gguf, json, files)),
  },
};

/** llama2.c's files name no architecture: there is one. */
export function readLlama2c(model: Llama2c): ParsedModel {
  return llama(llamaOfLlama2c(model));
}

function llama({ config, tensors }: { config: LlamaConfig; tensors: ParsedModel["tensors"] }): ParsedModel {
  return { config, tensors, create: (weights, kernels) => new Llama(config, weights, kernels) };
}
