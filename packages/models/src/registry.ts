/** The architectures that run. This list is the only one to edit when a model is added. */

import type { Kernels } from "@qkv/core";
import type { JsonConfig } from "./config/json-config";
import type { DecoderNetwork } from "./decoder/network";
import type { CheckedSource } from "./files/checked";
import type { Gguf } from "./formats/gguf";
import type { Llama2c } from "./formats/llama2c";
import { readLlamaGguf } from "./llama/gguf";
import { Llama, type LlamaConfig, parseLlamaConfig } from "./llama/llama";
import { readLlama2c } from "./llama/llama2c";
import type { CheckpointTensor, Weights } from "./weights/weights";

/** A config with the tensors that belong to it, under Hugging Face's names. */
export interface ParsedModel {
  /** Lays the model out; throws where the tensors do not fit the config. */
  readonly create: (weights: Weights, kernels: Kernels) => DecoderNetwork;
  /** The parsed config, for people to look at. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Renamed tensors; null where the file has Hugging Face's names already. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor> | null;
}

/** How an architecture is read from each kind of file; null where it does not come as that. */
interface Architecture {
  readonly fromJson: (json: JsonConfig) => ParsedModel;
  readonly fromGguf: ((gguf: Gguf, files: CheckedSource, file: string) => Promise<ParsedModel>) | null;
  readonly fromLlama2c: ((model: Llama2c) => ParsedModel) | null;
}

/** By `model_type` of config.json, which is also `general.architecture` of GGUF files. */
export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: {
    fromJson: (json) => llama(parseLlamaConfig(json), null),
    fromGguf: async (gguf, files, file) => {
      const { config, tensors } = await readLlamaGguf(gguf, files, file);
      return llama(config, tensors);
    },
    fromLlama2c: (model) => {
      const { config, tensors } = readLlama2c(model);
      return llama(config, tensors);
    },
  },
};

function llama(config: LlamaConfig, tensors: ReadonlyMap<string, CheckpointTensor> | null): ParsedModel {
  return {
    config: { ...config },
    tensors,
    create: (weights, kernels) => new Llama(config, weights, kernels),
  };
}
