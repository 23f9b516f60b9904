/**
 * The values of `tokenizer.ggml.pre`: how the text of a byte-level BPE vocabulary is cut, and defaults that go with it.
 * The names are those of llama.cpp; where it rewrites a regular expression for its own matcher, the original one stands
 * here, of the tokenizer.json that the file was made from.
 */

import { UnsupportedTokenizerError } from "../errors";
import type { Normalizer } from "../normalizers/normalizer";
import { DEEPSEEK, DEEPSEEK_HAN, GPT2, llama3, o200k } from "../patterns/well-known";
import type { PreTokenizer } from "../pre-tokenizers/pre-tokenizer";
import type { GgufMetadata } from "./gguf-metadata";

export interface PreType {
  /** llama.cpp normalizes nothing, even where the original tokenizer does (NFC in Qwen 2). */
  readonly normalizer: Normalizer | null;
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

/** The cased letters of DeepSeek LLM above ASCII, as code points. */
const CASED =
  "b5 c0-d6 d8-f6 f8-1ba 1bc-1bf 1c4-293 295-2af 370-373 376-377 37b-37d 37f 386 388-38a 38c 38e-3a1 3a3-3f5 3f7-481 48a-52f 531-556 10a0-10c5 13a0-13f5 13f8-13fd 1c90-1cba 1cbd-1cbf 1d00-1d2b 1d6b-1d77 1d79-1d9a 1e00-1f15 1f18-1f1d 1f20-1f45 1f48-1f4d 1f50-1f57 1f59 1f5b 1f5d 1f5f-1f7d 1f80-1fb4 1fb6-1fbc 1fbe 1fc2-1fc4 1fc6-1fcc 1fd0-1fd3 1fd6-1fdb 1fe0-1fec 1ff2-1ff4 1ff6-1ffc 2102 2107 210a-2113 2115 2119-211d 2124 2126 2128 212a-212d 212f-2134 2139 213c-213f 2145-2149 214e 2183-2184 2c00-2c7b 2c7e-2ce4 2ceb-2cee 2cf2-2cf3 a640-a66d a680-a69b a722-a76f a771-a787 a78b-a78e ab70-abbf fb00-fb06 fb13-fb17 ff21-ff3a ff41-ff5a 10400-1044f 104b0-104d3 104d8-104fb 10c80-10cb2 10cc0-10cf2 118a0-118df 1e900-1e943".replace(
    /[0-9a-f]+/g,
    "\\x{$&}",
  );

/** Names, then the regular expressions in the order in which they cut. */
const ENTRIES: readonly Entry[] = [
  ["default", "[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", THREE_DIGITS],
  [
    "gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jina-v1-en jina-v2-code roberta-bpe mpt olmo jais trillion granite-docling exaone4",
    GPT2,
  ],
  ["starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", NUMBERS, GPT2],
  ["falcon", "[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, THREE_DIGITS],
  [
    "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano dbrx smaug-bpe glm4 chatglm-bpe",
    LLAMA3,
  ],
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
    `\\s?[A-Za-z${CASED.replaceAll(" ", "")}]+`,
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

const IGNORE_MERGES =
  "minicpm5 llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano youtu granite-embed-multi-97m tekken";
const ADD_BOS = "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano tekken chameleon";
const CLEAN_SPACES =
  "default minicpm5 llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano falcon mpt starcoder gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jais-2 jina-v1-en jina-v2-code roberta-bpe refact stablelm2 olmo dbrx smaug-bpe glm4 chatglm-bpe jais codeshell bloom gpt3-finnish exaone exaone4 exaone-moe minerva-7b megrez mellum2";

function has(names: string, name: string): boolean {
  return names.split(" ").includes(name);
}

/** What `name` stands for; undefined for a name that is not known here. */
export function findPreType(name: string): PreType | undefined {
  const entry = ENTRIES.find(([names]) => has(names, name));
  if (entry === undefined) return undefined;
  const [, ...regexes] = entry;
  return {
    normalizer: null,
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
  throw new UnsupportedTokenizerError({
    file: source.file,
    component: "tokenizer.ggml.pre",
    value: name,
    supported: preTypeNames().join(", "),
  });
}
