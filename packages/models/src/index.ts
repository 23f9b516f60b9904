/** Loading models and running them. */

export { ChatTemplateError } from "./chat/errors";
export { loadChatTemplate } from "./chat/load";
export { type ChatMessage, type ChatOptions, ChatTemplate } from "./chat/template";
export { type ApplyChatTemplateOptions, ChatTemplates } from "./chat/templates";
export { summarizeTaps, type Tensor } from "./decoder/capture";
export {
  Decoder,
  type LossResult,
  type RunOneOptions,
  type RunOptions,
  type RunResult,
} from "./decoder/decoder";
export { ModelFileError, UnsupportedModelError } from "./errors";
export type { SourceLike } from "./files/open";
export type { FileSource } from "./files/source";
export {
  type TensorToWrite,
  writeSafetensors,
} from "./formats/safetensors-write";
export type {
  FinishReason,
  GeneratedToken,
  GenerationResult,
} from "./generate/generate";
export { Generation } from "./generate/generate";
export type { GenerateOptions } from "./generate/options";
export { seededRandom } from "./generate/random";
export {
  applyTemperature,
  argmax,
  crossEntropy,
  forbidRepeatedNgrams,
  keepTopK,
  keepTopP,
  sample,
  subtractMax,
} from "./generate/sampling";
export type { KernelOptions, KernelReport } from "./kernels";
export type { LlamaConfig } from "./llama/llama";
export { type Inspection, inspect, type LoadOptions, load } from "./load";
export { loadTokenizer } from "./model-files";
export type { ModelConfig } from "./registry";
export type { LoadProgress, WeightDtype } from "./weights/weights";
