/** The public names of @qkv/tokenize. */

export type { DecodeStream } from "./decoders/decode-stream";
export type { EncodeInput, EncodeOptions } from "./encoder";
export type { Encoding } from "./encoding/encoding";
export type { Padding } from "./encoding/padding";
export type { Direction, Truncation, TruncationStrategy } from "./encoding/truncation";
export { TokenizerFileError, UnencodableTextError, UnsupportedTokenizerError } from "./errors";
export { TOKENIZER_FILES, type TokenizerFiles, type TokenizerSource } from "./sources/detect";
export type { FileContent, FileReader } from "./sources/files";
export type { GgufTokenizerMetadata } from "./sources/gguf-metadata";
export type { SourceKind } from "./sources/parts";
export type { VocabAndMergesOptions } from "./sources/vocab-and-merges";
export type { VocabTxtOptions } from "./sources/vocab-txt";
export {
  type DecodeOptions,
  type DecodeStreamOptions,
  type FileOptions,
  type FromOptions,
  Tokenizer,
} from "./tokenizer";
