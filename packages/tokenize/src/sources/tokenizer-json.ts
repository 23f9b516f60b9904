/** Hugging Face's tokenizer.json. Follows the serialization of github.com/huggingface/tokenizers. */

import type { AddedToken } from "../added-tokens";
import { parseDecoder } from "../decoders/decoder";
import { parsePadding } from "../encoding/padding";
import { parseTruncation } from "../encoding/truncation";
import { describe } from "../errors";
import { flagOr, integerFrom, isWellFormed, JsonCursor, optional, readText, textUpTo } from "../json";
import { MAX_ADDED_TOKEN_LENGTH, MAX_MERGES, MAX_PIECE_LENGTH, MAX_VOCAB_SIZE, MAX_WORD_CHARS } from "../limits";
import { byteTokenIds } from "../models/bpe";
import { MergeTable } from "../models/merge-table";
import type { ModelConfig } from "../models/model";
import { parseUnigram } from "../models/unigram";
import { parseNormalizer } from "../normalizers/normalizer";
import { parsePostProcessor } from "../post-processors/post-processor";
import { parsePreTokenizer } from "../pre-tokenizers/pre-tokenizer";
import { idsOf, isPossibleId, Vocabulary } from "../vocabulary";
import { NO_PARTS, type TokenizerParts } from "./parts";
import { readForm } from "./tokenizer-config";

export function partsOfTokenizerJson(document: unknown, file: string): TokenizerParts {
  const json = new JsonCursor(document, file);
  const version = json.get("version");
  if (!version.isNull && version.value !== "1.0") version.unsupported('"1.0"');
  const { model, ids, tokens } = readModel(json.get("model"));
  const added = readAddedTokens(json.get("added_tokens"), ids, tokens);
  const padding = parsePadding(json.get("padding"));
  const specials = added.tokens.filter((token) => token.special);
  const unkId = "unkToken" in model ? (ids.get(model.unkToken ?? "") ?? null) : model.unkId;
  return {
    ...NO_PARTS,
    kind: "tokenizer.json",
    vocabulary: new Vocabulary(tokens, ids, added.ids),
    addedTokens: added.tokens,
    normalizer: parseNormalizer(json.get("normalizer")),
    preTokenizer: parsePreTokenizer(json.get("pre_tokenizer")),
    // The table of merges needs to know where loose ids would begin.
    model: model.type === "BPE" ? { ...model, vocabSize: tokens.length } : model,
    postProcessor: parsePostProcessor(json.get("post_processor"), (id) => tokens[id] !== undefined),
    decoder: parseDecoder(json.get("decoder")),
    specialIds: new Set(specials.map((token) => token.id)),
    unkId,
    padId: padding?.padId ?? specials.find(({ content }) => PAD_TOKENS.includes(content))?.id ?? null,
    truncation: parseTruncation(json.get("truncation")),
    padding,
  };
}

/** What padding tokens are called where a file does not say which it is. */
const PAD_TOKENS = ["[PAD]", "<pad>"];

interface ReadModel {
  readonly model: ModelConfig;
  readonly ids: ReadonlyMap<string, number>;
  readonly tokens: (string | undefined)[];
}

function readModel(json: JsonCursor): ReadModel {
  const type = json.get("type");
  switch (type.isNull ? guessType(json) : type.value) {
    case "BPE":
      return parseBpe(json);
    case "WordPiece": {
      const { vocab, ...options } = json.options({
        vocab: readVocab,
        unk_token: optional("[UNK]", readText),
        continuing_subword_prefix: optional("##", readText),
        max_input_chars_per_word: optional(100, integerFrom(0, MAX_WORD_CHARS)),
      });
      return { ...vocab, model: { type: "WordPiece", ids: vocab.ids, ...options } };
    }
    case "WordLevel": {
      const { vocab, unkToken } = json.options({ vocab: readVocab, unk_token: optional("<unk>", readText) });
      return { ...vocab, model: { type: "WordLevel", ids: vocab.ids, unkToken } };
    }
    case "Unigram": {
      const model = parseUnigram(json);
      // Of equal pieces the last one counts, as in the reference.
      return { ids: idsOf(model.pieces), tokens: [...model.pieces], model };
    }
    default:
      return type.unsupported("BPE, WordPiece, WordLevel, Unigram");
  }
}

/** Files from before the field `type` are told by what else they have. */
function guessType(json: JsonCursor): string {
  if (!json.get("merges").isNull) return "BPE";
  if (Array.isArray(json.get("vocab").value)) return "Unigram";
  return json.get("max_input_chars_per_word").isNull ? "WordLevel" : "WordPiece";
}

export function readVocab(json: JsonCursor): {
  ids: Map<string, number>;
  tokens: (string | undefined)[];
} {
  const vocab = json.object();
  const keys = Object.keys(vocab);
  if (keys.length > MAX_VOCAB_SIZE) json.fail(`at most ${MAX_VOCAB_SIZE} tokens`, `${keys.length}`);
  const ids = new Map<string, number>();
  const tokens = new Array<string | undefined>(keys.length).fill(undefined);
  for (const token of keys) {
    const id = vocab[token];
    if (!isPossibleId(id)) return json.get(token).integer(0, MAX_VOCAB_SIZE - 1) as never;
    if (!isWellFormed(token)) json.fail("tokens without lone surrogates", describe(token));
    if (token.length > MAX_PIECE_LENGTH)
      json.fail(`tokens of at most ${MAX_PIECE_LENGTH} characters`, `${token.length}`);
    while (tokens.length <= id) tokens.push(undefined);
    if (tokens[id] !== undefined) json.get(token).fail(`an id of its own (${id} is ${describe(tokens[id])})`);
    ids.set(token, id);
    tokens[id] = token;
  }
  while (tokens.length > 0 && tokens[tokens.length - 1] === undefined) tokens.pop();
  return { ids, tokens };
}

/** Reads the added tokens; those outside of the model's vocabulary extend `tokens` and come back in `ids`. */
function readAddedTokens(
  json: JsonCursor,
  modelIds: ReadonlyMap<string, number>,
  tokens: (string | undefined)[],
): { tokens: AddedToken[]; ids: Map<string, number> } {
  const added = new Map<number, AddedToken>();
  const ids = new Map<string, number>();
  if (json.isNull) return { tokens: [], ids };
  if (json.array().length > MAX_VOCAB_SIZE) json.fail(`at most ${MAX_VOCAB_SIZE} tokens`, `${json.array().length}`);
  for (let i = 0; i < json.array().length; i++) {
    const item = json.item(i);
    const id = item.get("id").integer(0, MAX_VOCAB_SIZE - 1);
    const content = item.get("content").string(MAX_ADDED_TOKEN_LENGTH);
    if (content === "") continue;
    const known = ids.get(content) ?? modelIds.get(content);
    if (known !== undefined && known !== id) item.get("id").fail(`${known}, the id of ${describe(content)}`);
    if (known === undefined) {
      if (tokens[id] !== undefined) item.get("id").fail(`a free id (${id} is ${describe(tokens[id])})`);
      while (tokens.length <= id) tokens.push(undefined);
      tokens[id] = content;
      ids.set(content, id);
    }
    // Of two with the same text the later one counts, as in the reference.
    added.set(id, { id, ...readForm(item, false) });
  }
  return { tokens: [...added.values()], ids };
}

function parseBpe(json: JsonCursor): ReadModel {
  const affix = optional("", textUpTo(MAX_ADDED_TOKEN_LENGTH));
  const { vocab, merges, byteFallback, dropout, ...options } = json.options({
    vocab: readVocab,
    merges: (list) => list,
    unk_token: optional(null, readText),
    byte_fallback: flagOr(false),
    fuse_unk: flagOr(false),
    ignore_merges: flagOr(false),
    dropout: (rate) => rate,
    continuing_subword_prefix: affix,
    end_of_word_suffix: affix,
  });
  if (!dropout.isNull && dropout.value !== 0) {
    dropout.unsupported("null (merges that are dropped at random train only)");
  }
  const { ids, tokens } = vocab;
  return {
    ids,
    tokens,
    model: {
      type: "BPE",
      ids,
      merges: MergeTable.fromList(readMerges(merges, ids, options.continuingSubwordPrefix)),
      vocabSize: tokens.length,
      looseCharacters: [],
      byteIds: byteFallback ? byteTokenIds((token) => ids.get(token)) : null,
      ...options,
    },
  };
}

/** Triples of left, right and merged id, in order of rank. */
export function readMerges(json: JsonCursor, ids: ReadonlyMap<string, number>, prefix: string): Int32Array {
  const merges = json.array();
  if (merges.length > MAX_MERGES) json.fail(`at most ${MAX_MERGES} merges`, `${merges.length}`);
  const triples = new Int32Array(merges.length * 3);
  let longest = 0;
  for (const token of ids.keys()) longest = Math.max(longest, token.length);
  let count = 0;
  for (let i = 0; i < merges.length; i++) {
    const merge = merges[i];
    // The older form is a line of merges.txt, whose heading some files kept.
    if (typeof merge === "string" && merge.startsWith("#version")) continue;
    let left: unknown;
    let right: unknown;
    if (typeof merge === "string") {
      const space = merge.indexOf(" ");
      left = space === -1 ? null : merge.slice(0, space);
      right = merge.includes(" ", space + 1) ? null : merge.slice(space + 1);
    } else if (Array.isArray(merge) && merge.length === 2) {
      [left, right] = merge as unknown[];
    }
    if (typeof left !== "string" || typeof right !== "string") {
      throw json.item(i).fail('"left right" or ["left", "right"]');
    }
    // The right part loses the prefix that marks it as a continuation.
    const rest = prefix !== "" && right.startsWith(prefix) ? right.slice(prefix.length) : right;
    // Before anything is made of texts that can be no tokens.
    const length = left.length + rest.length;
    if (length > longest) json.item(i).fail(`at most ${longest} characters, as the longest token has`, `${length}`);
    triples[count++] = ids.get(left) ?? unknownToken(json.item(i), left);
    triples[count++] = ids.get(right) ?? unknownToken(json.item(i), right);
    triples[count++] = ids.get(left + rest) ?? unknownToken(json.item(i), left + rest);
  }
  return triples.subarray(0, count);
}

function unknownToken(json: JsonCursor, token: string): never {
  return json.fail("tokens of the vocabulary", describe(token));
}
