/**
 * llama2.c's tokenizer.bin: int32 longest token, then for each id float32 score, int32 byte length, UTF-8 bytes.
 * Source: export() in tokenizer.py and build_tokenizer()/encode()/decode() in run.c, github.com/karpathy/llama2.c.
 */

import { describe, fileError } from "../errors";
import { MAX_VOCAB_SIZE } from "../limits";
import { PLAIN_BPE } from "../models/bpe";
import { MergeTable } from "../models/merge-table";
import { specialPiece, templateAround } from "../post-processors/post-processor";
import { tokenOfByte } from "../utf8";
import { Vocabulary } from "../vocabulary";
import { NO_PARTS, type TokenizerParts } from "./parts";

const UNK_ID = 0;
const BOS_ID = 1;
const EOS_ID = 2;
/** run.c finds the token of byte b at id b + 3. */
const FIRST_BYTE_ID = 3;
const FIRST_TEXT_ID = FIRST_BYTE_ID + 256;
const HEADER_BYTES = 4;
/** Score, length, and at least one byte. */
const MIN_TOKEN_BYTES = 9;
/** run.c starts its search for the best pair at this score, so that nothing at or below it ever merges. */
const SCORE_FLOOR = -1e10;

export function partsOfLlama2c(bytes: Uint8Array, given: number | null, file: string): TokenizerParts {
  const vocabSize = given ?? countTokens(bytes);
  const { tokens, scores } = readTokens(bytes, vocabSize, file);
  const allIds = new Map<string, number>();
  const textIds = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    // Where a token comes twice run.c's search may find either; we take the first.
    if (!allIds.has(token)) allIds.set(token, id);
    if (id >= FIRST_TEXT_ID && !textIds.has(token)) textIds.set(token, id);
  }
  const texts = tokens.map((token, id) => (id >= FIRST_TEXT_ID ? token : null));
  return {
    ...NO_PARTS,
    kind: "llama2.c",
    vocabulary: new Vocabulary(tokens, allIds),
    normalizer: { type: "Prepend", prepend: " " },
    model: {
      // No loose characters: run.c turns unknown characters into bytes before it merges.
      ...PLAIN_BPE,
      ids: textIds,
      merges: MergeTable.fromScores({ texts, ids: textIds, scores }),
      vocabSize,
      byteIds: Int32Array.from({ length: 256 }, (_, byte) => FIRST_BYTE_ID + byte),
    },
    postProcessor: templateAround([specialPiece(BOS_ID, tokens[BOS_ID])], [], 0),
    decoder: {
      type: "Sequence",
      decoders: [{ type: "StripDummyPrefix" }, { type: "ByteFallback", invalid: "each" }],
    },
    specialIds: new Set([UNK_ID, BOS_ID, EOS_ID]),
    bosId: BOS_ID,
    eosId: EOS_ID,
    unkId: UNK_ID,
  };
}

/** How many tokens follow one another from the header on; what is wrong with them is found when they are read. */
function countTokens(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let count = 0;
  for (let offset = HEADER_BYTES; offset < bytes.length && count <= MAX_VOCAB_SIZE; count++) {
    const length = offset + 8 <= bytes.length ? view.getInt32(offset + 4, true) : 0;
    if (length < 1) break;
    offset += 8 + length;
  }
  return count;
}

function readTokens(bytes: Uint8Array, vocabSize: number, file: string): { tokens: string[]; scores: Float64Array } {
  const fail = (at: string, expected: string, got: string): never => {
    throw fileError(file, at, expected, got);
  };
  if (vocabSize < FIRST_TEXT_ID || vocabSize > MAX_VOCAB_SIZE) {
    fail("vocabSize", `${FIRST_TEXT_ID} (3 control tokens and 256 bytes) to ${MAX_VOCAB_SIZE}`, `${vocabSize}`);
  }
  // Before anything is allocated for a count that the file cannot hold.
  const atLeast = HEADER_BYTES + vocabSize * MIN_TOKEN_BYTES;
  if (bytes.length < atLeast) fail("the file", `at least ${atLeast} bytes for ${vocabSize} tokens`, `${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const longest = view.getInt32(0, true);
  if (longest < 1 || longest > bytes.length) fail("max_token_length", `1 to ${bytes.length}`, `${longest}`);
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const tokens: string[] = [];
  const scores = new Float64Array(vocabSize);
  let offset = HEADER_BYTES;
  for (let id = 0; id < vocabSize; id++) {
    const at = `token ${id} at byte ${offset}`;
    if (offset + 8 > bytes.length) fail(at, "a score and a length", "the end of the file");
    const score = view.getFloat32(offset, true);
    const length = view.getInt32(offset + 4, true);
    if (Number.isNaN(score)) fail(at, "a score", "NaN");
    if (length < 1 || length > longest) fail(at, `a length from 1 to max_token_length ${longest}`, `${length}`);
    const end = offset + 8 + length;
    if (end > bytes.length) fail(at, `${length} bytes`, `${bytes.length - offset - 8}`);
    let token = "";
    try {
      // A copy, as browsers refuse to decode shared memory.
      token = utf8.decode(bytes.slice(offset + 8, end));
    } catch {
      fail(at, "UTF-8", "other bytes");
    }
    if (id >= FIRST_BYTE_ID && id < FIRST_TEXT_ID) {
      const byteToken = tokenOfByte(id - FIRST_BYTE_ID);
      if (token !== byteToken) fail(at, byteToken, describe(token));
    }
    tokens.push(token);
    scores[id] = score > SCORE_FLOOR ? score : Number.NEGATIVE_INFINITY;
    offset = end;
  }
  if (offset !== bytes.length) fail(`byte ${offset}`, `the end after ${vocabSize} tokens`, "more bytes");
  return { tokens, scores };
}
