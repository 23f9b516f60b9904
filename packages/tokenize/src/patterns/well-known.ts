/** The regular expressions of well-known tokenizers, as their files have them. */

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SMALL_CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d";
const LINES_AND_SPACES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const UPPERS = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const LOWERS = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";

/** GPT-2, and all that goes by it: RoBERTa, OPT, Falcon's last step, Phi, MPT, OLMo, StarCoder. */
export const GPT2 = `${SMALL_CONTRACTIONS}| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+`;

/** Llama 3 with `{1,3}`, Qwen 2 and 3 with one digit. */
export function llama3(digits: "" | "{1,3}" | "+"): string {
  return `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${LINES_AND_SPACES}`;
}

/** GPT-4o and Llama 4 with contractions and `{1,3}`; Mistral's tekken has neither. */
export function o200k(hasContractions: boolean, digits: "" | "{1,3}"): string {
  const suffix = hasContractions ? `${CONTRACTIONS}?` : "";
  const prefix = "[^\\r\\n\\p{L}\\p{N}]?";
  return `${prefix}${UPPERS}*${LOWERS}+${suffix}|${prefix}${UPPERS}+${LOWERS}*${suffix}|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${LINES_AND_SPACES}`;
}

/** DeepSeek V3 and R1, after numbers by `\p{N}{1,3}` and Chinese and Japanese by DEEPSEEK_HAN. */
export const DEEPSEEK = `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${LINES_AND_SPACES}`;
export const DEEPSEEK_HAN = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+";

const CLIP_WORDS = `${SMALL_CONTRACTIONS}|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+`;
/** CLIP, in the two forms of its files. */
export const CLIP = [CLIP_WORDS, `<\\|startoftext\\|>|<\\|endoftext\\|>|${CLIP_WORDS}`] as const;
