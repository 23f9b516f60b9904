/** The mathematics of transformer inference: memory, kernels, positions, caches, and functions on plain arrays. */

export { checkInteger, checkOptions } from "./check";
export { exp, log } from "./elementary";
export {
  type AttentionOptions,
  attention,
  type LinearAttentionOptions,
  linearAttention,
} from "./functional/attention";
export {
  activate,
  embedding,
  geglu,
  gelu,
  layerNorm,
  linear,
  quickGelu,
  relu,
  rmsNorm,
  silu,
  softCap,
  softmax,
  swiglu,
} from "./functional/layers";
export { applyRope, type RopeOptions } from "./functional/rope";
export { ACTIVATIONS, type Activation } from "./kernels/activation";
export type { AttentionCall, PositionBias } from "./kernels/attention-call";
export type { FeatureMap, Kernels, LinearAttentionCall, Matrix, RopeLayout } from "./kernels/kernels";
export { attentionMask, BIDIRECTIONAL, CAUSAL, type Mask, type MaskOptions, visibleKeys } from "./kernels/mask";
export { ReferenceKernels } from "./kernels/reference/reference-kernels";
export { type Address, Arena, type ArenaMark, OutOfMemoryError } from "./memory/arena";
export { KvCache, type KvCacheShape } from "./nn/kv-cache";
export type { Linear, RmsNorm } from "./nn/layers";
export {
  alibiBias,
  alibiSlopes,
  learnedPositions,
  type RelativeBucketOptions,
  relativeBias,
  relativeBucket,
  sinusoidalPositions,
} from "./nn/positions";
export {
  longropeAttentionFactor,
  type RopeConfig,
  type RopeFrequencies,
  type RopeScaling,
  ropeAngles,
  ropeFrequencies,
  yarnAttentionFactor,
} from "./nn/rope";
