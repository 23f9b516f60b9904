/** The longest common subsequence of two texts, 32 cells of its table at a time: what ROUGE-L counts. */

/** Where a token stands in a text. */
interface Occurrences {
  readonly positions: number[];
  /** The same as bits, where that takes no more room; otherwise null. */
  mask: Int32Array | null;
}

/**
 * A text whose longest common subsequence (LCS) with others is asked for.
 *
 * Of the table t of LCS lengths over prefixes, only differences are kept, one bit each (Hyyrö 2004, "Bit-parallel LCS-
 * length computation revisited"): after j tokens of the other text, bit i of the row is 0 where t[i + 1][j] is one more
 * than t[i][j]. Time O(n · m / 32).
 */
export class LcsText {
  readonly #ids: Int32Array;
  readonly #occurrences = new Map<number, Occurrences>();
  /** Length of a row, in words of 32 bits. */
  readonly #words: number;
  /** For tokens that keep no bits; zeros between calls. */
  readonly #mask: Int32Array;
  /** Rows that `addPositions` keeps, made larger as needed. */
  #kept = new Int32Array(0);
  #block = new Int32Array(0);

  constructor(ids: Int32Array) {
    this.#ids = ids;
    this.#words = Math.ceil(ids.length / 32);
    this.#mask = new Int32Array(this.#words);
    for (let i = 0; i < ids.length; i++) {
      const occurrences = this.#occurrences.get(ids[i]);
      if (occurrences === undefined) this.#occurrences.set(ids[i], { positions: [i], mask: null });
      else occurrences.positions.push(i);
    }
    for (const occurrences of this.#occurrences.values()) {
      if (occurrences.positions.length < this.#words) continue;
      occurrences.mask = new Int32Array(this.#words);
      for (const position of occurrences.positions) setBit(occurrences.mask, position);
    }
  }

  /** Length of the LCS. Memory O(n). */
  length(other: Int32Array): number {
    const row = new Int32Array(this.#words).fill(-1);
    for (const id of other) this.#advance(row, 0, id);
    let length = 0;
    for (let i = 0; i < this.#ids.length; i++) if (!isSet(row, 0, i)) length++;
    return length;
  }

  /**
   * Adds the positions in this text of one of the LCSs: of several, that which is found from the end, where in doubt this
   * text is shortened. The rows that lead back are kept one in √m, and those between made again: memory O(n √m / 32).
   */
  addPositions(other: Int32Array, found: Set<number>): void {
    if (!other.some((id) => this.#occurrences.has(id))) return;
    const words = this.#words;
    const size = Math.ceil(Math.sqrt(other.length));
    const blocks = Math.ceil(other.length / size);
    if (this.#kept.length < (blocks + 1) * words) this.#kept = new Int32Array((blocks + 1) * words);
    if (this.#block.length < (size + 1) * words) this.#block = new Int32Array((size + 1) * words);
    const kept = this.#kept.fill(-1, 0, words);
    const rows = this.#block;
    for (let b = 0; b < blocks; b++) {
      kept.copyWithin((b + 1) * words, b * words, (b + 1) * words);
      const end = Math.min((b + 1) * size, other.length);
      for (let j = b * size; j < end; j++) this.#advance(kept, (b + 1) * words, other[j]);
    }
    let i = this.#ids.length;
    for (let b = blocks - 1; b >= 0 && i > 0; b--) {
      const start = b * size;
      let j = Math.min(size, other.length - start);
      for (let w = 0; w < words; w++) rows[w] = kept[b * words + w];
      for (let k = 1; k <= j; k++) {
        rows.copyWithin(k * words, (k - 1) * words, k * words);
        this.#advance(rows, k * words, other[start + k - 1]);
      }
      while (i > 0 && j > 0) {
        if (this.#ids[i - 1] === other[start + j - 1]) {
          found.add(--i);
          j--;
        } else if (isSet(rows, j * words, i - 1)) {
          i--;
        } else {
          // Tokens differ, so t[i][j] = max(t[i - 1][j], t[i][j - 1]); it is more than the first, hence the second.
          j--;
        }
      }
    }
  }

  /** Makes the row at `at` that after one more token: (row + (row & mask)) | (row & ~mask), as one long number. */
  #advance(rows: Int32Array, at: number, id: number): void {
    const occurrences = this.#occurrences.get(id);
    if (occurrences === undefined) return;
    const { positions } = occurrences;
    const mask = occurrences.mask ?? this.#mask;
    if (occurrences.mask === null) for (const position of positions) setBit(mask, position);
    // Words before the first that is masked do not change, nor those after the last if nothing is carried.
    const last = positions[positions.length - 1] >>> 5;
    let carry = 0;
    for (let w = positions[0] >>> 5; w < this.#words && (w <= last || carry > 0); w++) {
      const word = rows[at + w];
      const masked = word & mask[w];
      const sum = (word + masked + carry) | 0;
      // The sum's sign bit says, of two numbers one of which has all bits of the other, what was carried out of it.
      carry = (masked | (word & ~sum)) >>> 31;
      rows[at + w] = sum | (word & ~mask[w]);
    }
    if (occurrences.mask === null) for (const position of positions) mask[position >>> 5] = 0;
  }
}

function setBit(bits: Int32Array, i: number): void {
  bits[i >>> 5] |= 1 << (i & 31);
}

/** Bit i of the row that begins at word `at`. */
function isSet(rows: Int32Array, at: number, i: number): boolean {
  return ((rows[at + (i >>> 5)] >>> (i & 31)) & 1) === 1;
}
