/** Loading models and running them. */

export { ChatTemplateError } from "./chat/errors";
export { loadChatTemplate } from "./chat/load";
export { type ChatMessage, type ChatOptions, ChatTemplate } from "./chat/template";
export { type ApplyChatTemplateOptions, ChatTemplates } from "./chat/templates";
export {
  Decoder,
  type RunOneOptions,
  type RunOptions,
  type RunResult,
} from "./decoder/decoder";
export {
  type CalibrationRanges,
  calibrationRanges,
  type EmbeddingPrecision,
  type QuantizedEmbedding,
  type QuantizeEmbeddingOptions,
  quantizeEmbedding,
} from "./embeddings/quantize";
export { type SearchHit, type SearchOptions, search, VectorIndex, type VectorIndexOptions } from "./embeddings/search";
export type { Pooling, ScoreActivation } from "./embeddings/sentence-settings";
export {
  cosineSimilarity,
  hammingDistance,
  hammingSimilarity,
  type SimilarityMetric,
  similarity,
  type Vector,
} from "./embeddings/similarity";
export type { EncoderConfig } from "./encoder/config";
export {
  Encoder,
  type EncoderResult,
  type EncoderRunBatchOptions,
  type EncoderRunOneOptions,
  type EncoderRunOptions,
} from "./encoder/encoder";
export type { HeadName } from "./encoder/heads";
export type { OutputName } from "./encoder/outputs";
export {
  type PaddedBatch,
  type PaddedBatchesOptions,
  packByTokens,
  paddedBatches,
  restoreOrder,
} from "./encoder/padded-batches";
export type { PaddedInput } from "./encoder/padded-input";
export type { SpanPrediction } from "./encoder/span-boundary";
export { ModelFileError, ModelKindError, UnsupportedModelError } from "./errors";
export type { SourceLike } from "./files/open";
export type { FileSource } from "./files/source";
export {
  type TensorToWrite,
  writeSafetensors,
} from "./formats/safetensors-write";
export { type GeneratedSequence, type GeneratedToken, Generation, type GenerationResult } from "./generate/generation";
export type { GenerationDefaults, TaskDefaults } from "./generate/generation-config";
export type { GenerateOptions, SequenceBias, WatermarkOptions } from "./generate/options";
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
export type { FinishReason, LogitsProcessor } from "./generate/search";
export type { KernelOptions, KernelReport } from "./kernels";
export type { LlamaConfig } from "./llama/llama";
export {
  type Inspection,
  inspect,
  type LoadOptions,
  load,
  loadDecoder,
  loadEncoder,
  loadGenerator,
  loadSeq2Seq,
  type Model,
} from "./load";
export type { LossResult } from "./loss";
export { type BleuOptions, type BleuScore, type BleuSmoothing, corpusBleu, sentenceBleu } from "./metrics/bleu";
export type { BleuTokenizer } from "./metrics/bleu-tokenizers";
export { type ChrfOptions, type ChrfScore, corpusChrf, sentenceChrf } from "./metrics/chrf";
export {
  accuracy,
  type ClassificationScores,
  classificationScores,
  type Label,
  multiLabelScores,
} from "./metrics/classification";
export { pearson, spearman } from "./metrics/correlation";
export type { LabelScores, PrecisionRecallF1 } from "./metrics/counts";
export { corpusRouge, type RougeOptions, type RougeScore, type RougeType, rouge } from "./metrics/rouge";
export { spanScores, type TagScheme, type TagSchemeOptions, type TagSpan, tagSpans } from "./metrics/spans";
export {
  answerF1,
  bestNoAnswerThreshold,
  exactMatch,
  type NoAnswerExample,
  type SquadMeans,
  type SquadScores,
  squadScores,
} from "./metrics/squad";
export type { TextOrTokens, TextTokens } from "./metrics/text";
export { loadTokenizer } from "./model-files";
export { countParameters, type ParameterCount } from "./parameters";
export type { ModelConfig, Seq2SeqConfig } from "./registry";
export { EncodedSource } from "./seq2seq/encoded";
export type { Source } from "./seq2seq/inputs";
export type { Seq2SeqInput, Seq2SeqRunOptions, Seq2SeqRunResult } from "./seq2seq/passes";
export { type EncodeSourceOptions, Seq2Seq, type Seq2SeqLossOptions } from "./seq2seq/seq2seq";
export { summarizeTaps, type Tensor } from "./taps/capture";
export type {
  AnswerDetails,
  AnswerOptions,
  AnswerResult,
  AnswerSpan,
  NoAnswer,
  QuestionInContext,
} from "./tasks/answer";
export type { Classification, ClassifyOptions, ScoreFunction } from "./tasks/classify";
export type { Embedding, EmbeddingInfo, EmbedOptions } from "./tasks/embed";
export type { Aggregation } from "./tasks/entities";
export type { FillMaskOptions, MaskFilling } from "./tasks/fill-mask";
export type { CorruptedSpans, CorruptSpansOptions } from "./tasks/generation/corrupt-spans";
export type { FilledSequence, FilledSpans } from "./tasks/generation/fill-spans";
export type { TextResult, TextSequence, TextToTextOptions } from "./tasks/generation/host";
export type { TranslateOptions } from "./tasks/generation/translate";
export type { TaskOptions, TaskProgress, TextOrPair } from "./tasks/host";
export type { NextSentence, TextPair } from "./tasks/next-sentence";
export type { RankedDocument, RerankOptions } from "./tasks/rerank";
export type { Entity, TokenClassifyOptions } from "./tasks/token-classify";
export type { ZeroShotOptions, ZeroShotResult } from "./tasks/zero-shot";
export type { LoadProgress, WeightDtype } from "./weights/weights";
