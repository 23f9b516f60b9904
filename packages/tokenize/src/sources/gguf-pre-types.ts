/**
 * The values of `tokenizer.ggml.pre`: how the text of a byte-level BPE vocabulary is cut, and defaults that go with it.
 * The names are those of llama.cpp; where it rewrites a regular expression for its own matcher, the original one stands
 * here, of the tokenizer.json that the file was made from.
 */

import { unsupported } from "../errors";
import { DEEPSEEK, DEEPSEEK_HAN, GPT2, llama3, o200k } from "../patterns/well-known";
import type { PreTokenizer } from "../pre-tokenizers/pre-tokenizer";
import type { GgufMetadata } from "./gguf-metadata";

/** No normalizer: llama.cpp normalizes nothing, even where the original tokenizer does (NFC in Qwen 2). */
export interface PreType {
  /** One Split for each regular expression, in order. */
  readonly splits: readonly PreTokenizer[];
  /** Words that are in the vocabulary as they are become one token. */
  readonly ignoreMerges: boolean;
  /** Whether a BOS token comes first, where the file does not say. */
  readonly addBos: boolean;
  /** Whether decoding takes out the spaces before punctuation, where the file does not say. */
  readonly cleanSpaces: boolean;
}

type Entry = readonly [names: string, ...regexes: string[]];

const NUMBERS = "\\p{N}";
const GROUPED = "\\p{N}{1,3}";
const THREE_DIGITS = "[0-9][0-9][0-9]";
const WHOLE_O200K = o200k(true, "{1,3}");
const LLAMA3 = llama3("{1,3}");
const QWEN2 = llama3("");
const BLOOM = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+";
const NO_CONTRACTIONS = QWEN2.slice(QWEN2.indexOf("|[^") + 1);
/** Numbers in groups of three from their right end. */
const FROM_RIGHT = "\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))";
const HAN_OF_DEEPSEEK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";

/** What DeepSeek LLM counts as cased letters: Unicode's, but for some blocks and for what came after Unicode 11. */
const CASED =
  "[\\p{Lu}\\p{Ll}\\p{Lt}\u0295&&[^\u0560-\u0588\u10c7-\u10ff\u1c80-\u1c8a\u2d00-\u2d2d\ua790-\ua7fa\uab30-\uab68\u{10570}-\u{105bc}\u{10d50}-\u{10d85}\u{16e40}-\u{16ed3}\u{1d400}-\u{1df2a}]]";

const LLAMA3_NAMES = "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano";
/** Of those that cut as GPT-2 and StarCoder, the ones that take out spaces. */
const TIDY_GPT2 =
  "gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jina-v1-en jina-v2-code roberta-bpe mpt olmo jais exaone4";
const TIDY_STARCODER = "starcoder refact codeshell exaone minerva-7b mellum2";

/** Names, then the regular expressions in the order in which they cut. */
const ENTRIES: readonly Entry[] = [
  ["default", "[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", THREE_DIGITS],
  [`${TIDY_GPT2} trillion granite-docling`, GPT2],
  [`${TIDY_STARCODER} command-r smollm`, NUMBERS, GPT2],
  ["falcon", "[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, THREE_DIGITS],
  [`${LLAMA3_NAMES} dbrx smaug-bpe glm4 chatglm-bpe`, LLAMA3],
  ["qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2", QWEN2],
  ["laguna", "[^\\n]+|[\\n]+", QWEN2],
  ["ufakzeka", NO_CONTRACTIONS],
  ["minicpm5", GROUPED, llama3("+")],
  ["qwen35", QWEN2.replace("?\\p{L}+", "?[\\p{L}\\p{M}]+").replace("[^\\s\\p{L}\\p{N}]", "[^\\s\\p{L}\\p{M}\\p{N}]")],
  [
    "jais-2",
    LLAMA3.replace(
      "\\s+(?!\\S)|\\s+",
      `${[512, 256, 128, 64, 32, 16, 8, 4].map((count) => `\\s{${count}}(?!\\S)|`).join("")}\\s{1,2}(?!\\S)|\\s{1}`,
    ),
  ],
  [
    "seed-coder",
    QWEN2.replace(`|${NUMBERS}|`, `|${NUMBERS}{1}|`).replace(
      "[^\\s\\p{L}\\p{N}]+[\\r\\n]*",
      "[^\\s\\p{L}\\p{N}\\r\\n]+",
    ),
  ],
  [
    "bailingmoe bailingmoe2 llada-moe",
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  ],
  [
    "exaone-moe",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  ],
  ["gpt-4o llama4 kanana2 talkie minimax-m2", WHOLE_O200K],
  // As gpt-4o, but that marks are letters of either case: they are so in the original expression.
  ["granite-embed-multi-97m", WHOLE_O200K],
  ["tekken", o200k(false, "")],
  ["tiny_aya cohere2moe", "\\d{1,3}(?=(?:\\d{3})*\\b)", WHOLE_O200K],
  [
    "kimi-k2",
    `[\\p{Han}]+|${WHOLE_O200K.replaceAll("\\p{M}]", "\\p{M}&&[^\\p{Han}]]").replace("[\\r\\n/]*", "[\\r\\n]*")}`,
  ],
  ["deepseek-v3 hunyuan-dense joyai-llm hy_v4", GROUPED, DEEPSEEK_HAN, DEEPSEEK],
  [
    "spark2_5",
    GROUPED,
    DEEPSEEK_HAN,
    DEEPSEEK.replace("[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+", "[\\p{P}\\p{S}]+|[\\r\\n]"),
    NUMBERS,
  ],
  [
    "afmoe",
    FROM_RIGHT,
    "[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf\u0e00-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+",
    DEEPSEEK,
  ],
  [
    "deepseek-llm",
    "[\\r\\n]",
    `\\s?${CASED}+`,
    "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
    "\\s+$",
    HAN_OF_DEEPSEEK,
    "\\p{N}+",
  ],
  ["deepseek-coder", "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", HAN_OF_DEEPSEEK, NUMBERS],
  [
    "youtu",
    "[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    o200k(true, ""),
  ],
  ["poro-chat bloom gpt3-finnish", BLOOM],
  ["viking", BLOOM, NUMBERS],
  ["superbpe", "\\p{N}+", "(?=(\\d{3})+(?!\\d))"],
  [
    "chameleon",
    "<sentinel:[0-9]+>",
    "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
    "([\\t\\n]|    |  )",
    NUMBERS,
    "[\\p{P}!-/:-@\\[-`{-~]",
    GPT2,
  ],
];

const IGNORE_MERGES = `${LLAMA3_NAMES} minicpm5 youtu granite-embed-multi-97m tekken`;
const ADD_BOS = `${LLAMA3_NAMES} tekken chameleon`;
const CLEAN_SPACES = `${LLAMA3_NAMES} dbrx smaug-bpe glm4 chatglm-bpe ${TIDY_GPT2} ${TIDY_STARCODER} default minicpm5 falcon jais-2 stablelm2 bloom gpt3-finnish exaone-moe megrez`;

function has(names: string, name: string): boolean {
  return names.split(" ").includes(name);
}

/** What `name` stands for; undefined for a name that is not known here. */
export function findPreType(name: string): PreType | undefined {
  const entry = ENTRIES.find(([names]) => has(names, name));
  if (entry === undefined) return undefined;
  const [, ...regexes] = entry;
  return {
    splits: regexes.map((regex) => ({
      type: "Split",
      pattern: { type: "Regex", regex },
      behavior: "Isolated",
      invert: false,
    })),
    ignoreMerges: has(IGNORE_MERGES, name),
    addBos: has(ADD_BOS, name),
    cleanSpaces: has(CLEAN_SPACES, name),
  };
}

export function preTypeNames(): string[] {
  return ENTRIES.flatMap(([names]) => names.split(" "));
}

/** The pre type that a file names; llama.cpp takes "default" where it names none. */
export function preTypeOf(source: GgufMetadata): PreType {
  const name = source.get("pre") ?? "default";
  if (typeof name !== "string") return source.fail("pre", "a string", name);
  const found = findPreType(name);
  if (found !== undefined) return found;
  throw unsupported(source.file, "tokenizer.ggml.pre", name, preTypeNames().join(", "));
}
