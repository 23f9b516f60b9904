/** LLaMA as llama2.c's checkpoints hold it: seven numbers for a config, q and k in interleaved order. */

import type { Llama2c } from "../formats/llama2c";
import type { CheckpointTensor } from "../weights/weights";
import type { LlamaConfig } from "./llama";

/** Config and tensors of a llama2.c checkpoint. What its header leaves out is fixed in its run.c. */
export function llamaOfLlama2c(model: Llama2c): {
  config: LlamaConfig;
  tensors: Map<string, CheckpointTensor>;
} {
  const { numAttentionHeads, numKeyValueHeads, hiddenSize } = model.config;
  const headDim = hiddenSize / numAttentionHeads;
  const config: LlamaConfig = {
    ...model.config,
    headDim,
    hiddenAct: "silu",
    rmsNormEps: 1e-5,
    rope: { theta: 10_000, rotaryDim: headDim, scaling: { type: "default" } },
    attentionBias: false,
    mlpBias: false,
  };
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, tensor] of model.tensors) {
    const heads = name.endsWith("q_proj.weight")
      ? numAttentionHeads
      : name.endsWith("k_proj.weight")
        ? numKeyValueHeads
        : null;
    tensors.set(name, heads === null ? tensor : { ...tensor, interleavedHeads: heads });
  }
  return { config, tensors };
}
