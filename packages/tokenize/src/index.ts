/** The public names of @qkv/tokenize. */

export type { DecodeStream } from "./decode-stream";
export { TokenizerFileError, UnsupportedTokenizerError } from "./errors";
export type { GgufTokenizerMetadata } from "./sources/gguf";
export {
  type DecodeOptions,
  type DecodeStreamOptions,
  type EncodeOptions,
  type Encoding,
  type FileOptions,
  Tokenizer,
} from "./tokenizer";
