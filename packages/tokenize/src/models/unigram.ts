/**
 * Unigram: of all ways to cut a word into pieces, the one with the highest sum of scores (Kudo 2018, arXiv:1804.10959),
 * found from left to right by dynamic programming. Two references, tokenizers and sentencepiece, which differ in details.
 */

import { describe, UnencodableTextError } from "../errors";
import { isWellFormed, type JsonCursor } from "../json";
import { MAX_KEPT_SYMBOLS, MAX_PIECE_LENGTH, MAX_VOCAB_SIZE } from "../limits";
import { pushUtf8 } from "../utf8";
import { byteTokenIds } from "./bpe";
import type { Tokens } from "./tokens";
import { ROOT, Trie } from "./trie";
import { WordCache } from "./word-cache";

export interface UnigramConfig {
  readonly type: "Unigram";
  /** By id. */
  readonly pieces: readonly string[];
  /** By id, finite. */
  readonly scores: Float64Array;
  /** The scores as the file says them, where they were read otherwise: see `asSerdeReads`. */
  readonly written?: Float64Array;
  /** For characters that are no piece; without it they are an error. */
  readonly unkId: number | null;
  /** Ids of the 256 byte tokens, -1 where there is none; null turns byte fallback off. */
  readonly byteIds: Int32Array | null;
  /** By id, what sentencepiece does with a piece; null computes as tokenizers does, where every piece is normal. */
  readonly roles: Uint8Array | null;
}

/** Roles of a piece. A reserved one (control, unknown, byte, unused) never comes from a text. */
export const NORMAL_PIECE = 0;
export const USER_DEFINED_PIECE = 1;
export const RESERVED_PIECE = 2;

/** How far below the worst piece an unknown character scores, in both references. */
const UNKNOWN_PENALTY = 10;
/** Marks a unit that no cut has reached. */
const NO_CUT = -1;
/** C's FLT_MAX. */
const FLT_MAX = (2 - 2 ** -23) * 2 ** 127;

export class Unigram {
  readonly #config: UnigramConfig;
  /** Made when the first word comes. */
  #pieces: Trie | null = null;
  readonly #cache = new WordCache();
  /** By id: what a piece adds to the sum. */
  readonly #scores: Float64Array;
  readonly #unkScore: number;
  /** sentencepiece keeps its sums as floats, tokenizers as doubles. */
  readonly #isFloat: boolean;
  /** Of the best cut that ends before unit i: its sum, where its last piece starts, and that piece's id. */
  #sums: Float32Array | Float64Array = new Float64Array(0);
  #starts = new Int32Array(0);
  #ids = new Int32Array(0);

  constructor(config: UnigramConfig) {
    this.#config = config;
    const { pieces, roles, scores } = config;
    this.#isFloat = roles !== null;
    let lowest = roles === null ? Number.POSITIVE_INFINITY : FLT_MAX;
    for (let id = 0; id < scores.length; id++) {
      if (scores[id] < lowest && (roles === null || roles[id] === NORMAL_PIECE)) lowest = scores[id];
    }
    this.#unkScore = lowest - UNKNOWN_PENALTY;
    this.#scores = scores;
    if (roles === null) return;
    this.#unkScore = Math.fround(this.#unkScore);
    const utf8 = new TextEncoder();
    // sentencepiece 0.2.3 (as measured) gives each byte but the first a bonus, so that a user-defined symbol mostly wins.
    this.#scores = scores.map((score, id) =>
      roles[id] === USER_DEFINED_PIECE ? Math.fround((utf8.encode(pieces[id]).length - 1) * 0.1) : score,
    );
  }

  get #trie(): Trie {
    if (this.#pieces === null) {
      const { pieces, roles } = this.#config;
      this.#pieces = new Trie();
      for (let id = 0; id < pieces.length; id++) if (roles?.[id] !== RESERVED_PIECE) this.#pieces.add(pieces[id], id);
    }
    return this.#pieces;
  }

  /**
   * Appends the tokens of `text.slice(start, end)`. Time linear in the length times the longest piece.
   *
   * @throws UnencodableTextError if a character is no piece and there is no unknown token
   */
  encode(text: string, start: number, end: number, out: Tokens): void {
    const length = end - start;
    if (length === 0) return;
    const word = this.#cache.takes(length) ? text.slice(start, end) : "";
    if (word !== "" && this.#cache.replay(word, start, out)) return;
    const first = out.length;
    const texts = out.texts.size;
    if (length >= this.#ids.length) this.#allocate(length + 64);
    this.#search(text, start, length);
    this.#turnRound(length);
    const starts = this.#starts;
    const ids = this.#ids;
    const { unkId } = this.#config;
    for (let at = 0; at < length; ) {
      const id = ids[at];
      let to = starts[at];
      if (id !== unkId) {
        out.push(id, start + at, start + to);
      } else {
        while (to < length && ids[to] === id) to = starts[to];
        this.#pushUnknown(text, start + at, start + to, id, out);
      }
      at = to;
    }
    if (this.#ids.length > MAX_KEPT_SYMBOLS) this.#allocate(0);
    if (word !== "" && out.texts.size === texts) this.#cache.store(word, start, out, first);
  }

  #allocate(length: number): void {
    this.#sums = this.#isFloat ? new Float32Array(length) : new Float64Array(length);
    this.#starts = new Int32Array(length);
    this.#ids = new Int32Array(length);
  }

  #search(text: string, start: number, length: number): void {
    const sums = this.#sums;
    const starts = this.#starts;
    const ids = this.#ids;
    const scores = this.#scores;
    const trie = this.#trie;
    starts.fill(NO_CUT, 0, length + 1);
    sums[0] = 0;
    for (let from = 0; from < length; ) {
      const sum = sums[from];
      const next = from + ((text.charCodeAt(start + from) & 0xfc00) === 0xd800 ? 2 : 1);
      let isPiece = false;
      for (let to = from, node = ROOT; to < length && node >= 0; ) {
        const edge = trie.edge(node, text.charCodeAt(start + to++));
        if (edge < 0) break;
        node = trie.target(edge);
        const id = trie.value(edge);
        if (id < 0) continue;
        if (to === next) isPiece = true;
        const candidate = this.#isFloat ? Math.fround(sum + scores[id]) : sum + scores[id];
        if (starts[to] !== NO_CUT && candidate <= sums[to]) continue;
        sums[to] = candidate;
        starts[to] = from;
        ids[to] = id;
      }
      if (!isPiece) {
        const candidate = this.#isFloat ? Math.fround(sum + this.#unkScore) : sum + this.#unkScore;
        if (starts[next] === NO_CUT || candidate > sums[next]) {
          sums[next] = candidate;
          starts[next] = from;
          ids[next] = this.#unkId(text, start + from);
        }
      }
      from = next;
    }
  }

  /** Turns the chain of pieces round: afterwards starts[i] is where the piece that begins at unit i ends, ids[i] its id. */
  #turnRound(length: number): void {
    const starts = this.#starts;
    const ids = this.#ids;
    let end = length;
    let from = starts[end];
    let id = ids[end];
    while (end > 0) {
      const before = starts[from];
      const idBefore = ids[from];
      starts[from] = end;
      ids[from] = id;
      end = from;
      from = before;
      id = idBefore;
    }
  }

  #unkId(text: string, at: number): number {
    const { unkId } = this.#config;
    if (unkId !== null) return unkId;
    const character = String.fromCodePoint(text.codePointAt(at) as number);
    throw new UnencodableTextError(`${describe(character)} is no piece of the vocabulary, which has no unknown token`);
  }

  /** A run of unknown characters: its bytes if all of them are tokens, else one unknown token that reads as the run. */
  #pushUnknown(text: string, start: number, end: number, unkId: number, out: Tokens): void {
    const { byteIds } = this.#config;
    // In tokenizers a run is looked up once more, which matters for "<unk>" itself and where scores are high above zero.
    const known = this.#isFloat ? -1 : this.#trie.find(text, start, end);
    if (known >= 0) {
      out.push(known, start, end);
      return;
    }
    const first = out.length;
    const bytes: number[] = [];
    for (let at = start; at < end && byteIds !== null; ) {
      const code = text.codePointAt(at) as number;
      const width = code > 0xffff ? 2 : 1;
      bytes.length = 0;
      pushUtf8(code, bytes);
      for (let i = 0; i < bytes.length; i++) {
        const id = byteIds[bytes[i]];
        if (id < 0) {
          out.truncate(first);
          break;
        }
        if (!this.#isFloat) out.push(id, start, end);
        // sentencepiece gives the character to its last byte; the others are empty and stand before it.
        else out.push(id, at, i === bytes.length - 1 ? at + width : at);
      }
      if (out.length === first) break;
      at += width;
    }
    if (out.length === first) out.pushText(unkId, start, end, text.slice(start, end));
  }
}

/** Reads a `model` of type Unigram in a tokenizer.json. */
export function parseUnigram(json: JsonCursor): UnigramConfig {
  json.onlyKeys(["type", "unk_id", "vocab", "byte_fallback"]);
  const vocab = json.get("vocab");
  const count = vocab.array().length;
  if (count > MAX_VOCAB_SIZE) vocab.fail(`at most ${MAX_VOCAB_SIZE} pieces`, `${count}`);
  const pieces: string[] = [];
  const scores = new Float64Array(count);
  const written = new Float64Array(count);
  const ids = new Map<string, number>();
  for (let id = 0; id < count; id++) {
    const entry = vocab.array()[id];
    if (!Array.isArray(entry) || entry.length !== 2) return vocab.item(id).fail('["piece", score]');
    const [piece, score] = entry as [unknown, unknown];
    if (typeof piece !== "string" || !isWellFormed(piece) || piece.length > MAX_PIECE_LENGTH) {
      return vocab.item(id).fail(`a well-formed string of at most ${MAX_PIECE_LENGTH} units`, describe(piece));
    }
    if (typeof score !== "number" || !Number.isFinite(score)) {
      return vocab.item(id).fail("a finite score", describe(score));
    }
    pieces.push(piece);
    scores[id] = asSerdeReads(score);
    written[id] = score;
    ids.set(piece, id);
  }
  const unk = json.get("unk_id");
  return {
    type: "Unigram",
    pieces,
    scores,
    written,
    unkId: unk.isNull ? null : unk.integer(0, count - 1),
    byteIds: json.get("byte_fallback").boolean(false) ? byteTokenIds((token) => ids.get(token)) : null,
    roles: null,
  };
}

/**
 * A number as Rust's serde_json reads it by default, in which tokenizers is built: the digits as one integer, rounded,
 * divided by a power of ten. From 16 digits on that may be another double than the nearest, which decides ties.
 */
function asSerdeReads(score: number): number {
  const text = String(score);
  if (text.length < 17) return score;
  const [mantissa, power = "0"] = text.split("e");
  const [whole, fraction = ""] = mantissa.split(".");
  const digits = Number(whole + fraction);
  const exponent = Number(power) - fraction.length;
  return exponent < 0 ? digits / Number(`1e${-exponent}`) : digits * Number(`1e${exponent}`);
}

/** The `model` of a tokenizer.json. Roles have no place in it: reserved and user-defined pieces become added tokens. */
export function formatUnigram(config: UnigramConfig): unknown {
  return {
    type: "Unigram",
    unk_id: config.unkId,
    vocab: config.pieces.map((piece, id) => [piece, (config.written ?? config.scores)[id]]),
    byte_fallback: config.byteIds !== null,
  };
}
