/** The mathematics of transformer inference: memory, kernels, positions, caches, and functions on plain arrays. */

export { checkInteger, checkOptions } from "./check";
export { type Block, blockSizes, bytesFor, type Dtype, decode, isDtype, isQuantized, rowBytes } from "./dtypes/dtype";
export { QUANTIZED_BLOCK, quantizeQ4_1, quantizeQ8_0 } from "./dtypes/quantize";
export { exp, log, pow } from "./elementary";
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
export type {
  ActivationPrecision,
  FeatureMap,
  Kernels,
  LinearAttentionCall,
  Matrix,
  Product,
  RopeLayout,
} from "./kernels/kernels";
export { attentionMask, BIDIRECTIONAL, CAUSAL, type Mask, type MaskOptions, visibleKeys } from "./kernels/mask";
export { ReferenceKernels } from "./kernels/reference/reference-kernels";
export { type Address, Arena, type ArenaMark, type ArenaOptions, OutOfMemoryError } from "./memory/arena";
export { KvCache, type KvCacheShape } from "./nn/kv-cache";
export type { LayerNorm, Linear, RmsNorm } from "./nn/layers";
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
  frequenciesGoByLength,
  longropeAttentionFactor,
  type RopeConfig,
  type RopeFrequencies,
  type RopeScaling,
  ropeAngles,
  ropeFrequencies,
  yarnAttentionFactor,
} from "./nn/rope";
export { processors, sharingAvailable } from "./threads/host";
export { MAX_THREADS, ThreadError } from "./threads/pool";
export { type EngineFeatures, engineFeatures, memory64Available, simdAvailable } from "./wasm/engine";
export { turboFeatures } from "./wasm/turbo";
export { setLeastSharedWork, WasmKernels, type WasmKernelsOptions } from "./wasm/wasm-kernels";
