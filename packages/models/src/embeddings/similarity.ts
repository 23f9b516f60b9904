/** How alike two embeddings are: pure functions on vectors, summed in double precision from the first to the last. */

import { checkInteger } from "@qkv/core";

/** A vector of numbers: an embedding, or one quantised to 8 bits. */
export type Vector = Float32Array | Float64Array | Int8Array | Uint8Array | readonly number[];

/** As in sentence-transformers: more is more alike. Euclidean and Manhattan distances are negated for that. */
export type SimilarityMetric = "cosine" | "dot" | "euclidean" | "manhattan";

/** A shorter vector is divided by this in place of its length, as in PyTorch's `normalize`: zeros stay zeros. */
export const LEAST_NORM = 1e-12;

/** What is compared: a vector, and the length to divide by. */
type Compare = (a: Vector, b: Vector, normA: number, normB: number) => number;

const METRICS: Readonly<Record<SimilarityMetric, Compare>> = {
  cosine: (a, b, normA, normB) => cosineOf(dot(a, b), normA, normB),
  dot,
  euclidean: (a, b) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return 0 - Math.sqrt(sum); // not -0
  },
  manhattan: (a, b) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += Math.abs(a[i] - b[i]);
    return 0 - sum;
  },
};

/**
 * Similarity of each vector of `a` to each of `b`, as sentence-transformers' `similarity`.
 *
 * @param a N vectors of one width; a single vector counts as one
 * @param b M vectors of the same width, or one
 * @param metric `cosine` if left out
 * @returns [N, M]: for each of `a` its similarities to all of `b`, rounded to float32 at the end
 * @throws RangeError for vectors that are not all of one width, and for another metric; TypeError for what is no vector
 * @example
 * const [[same, other]] = similarity(Float32Array.of(3, 4), [Float32Array.of(3, 4), Float32Array.of(4, 3)]);
 * // 1 and 0.96
 */
export function similarity(
  a: Vector | readonly Vector[],
  b: Vector | readonly Vector[],
  metric: SimilarityMetric = "cosine",
): Float32Array[] {
  if (!Object.hasOwn(METRICS, metric)) {
    throw new RangeError(`metric: expected one of ${Object.keys(METRICS).join(", ")}, got ${String(metric)}`);
  }
  const rows = vectorsOf("a", a);
  const columns = vectorsOf("b", b);
  const width = (rows[0] ?? columns[0])?.length ?? 0;
  checkWidths("a", rows, width);
  checkWidths("b", columns, width);
  const compare = METRICS[metric];
  const columnNorms = columns.map(norm);
  return rows.map((row) => {
    const rowNorm = norm(row);
    return Float32Array.from(columns, (column, j) => compare(row, column, rowNorm, columnNorms[j]));
  });
}

/**
 * The cosine of the angle between two vectors, from -1 to 1; 0 where one of them is zeros. A length below 1e-12 counts as
 * 1e-12, as in PyTorch, and numbers above 1e150 overflow. Also for vectors quantised to 8 bits, whose scale does not
 * matter to it.
 *
 * @throws RangeError for vectors of unequal width; TypeError for what is no vector
 * @example
 * cosineSimilarity([3, 4], [4, 3]); // 0.96
 */
export function cosineSimilarity(a: Vector, b: Vector): number {
  checkPair(a, b);
  return cosineOf(dot(a, b), norm(a), norm(b));
}

/**
 * How many bits differ between two embeddings quantised to `binary` or `ubinary`, both the same.
 *
 * @throws RangeError for unequal lengths; TypeError unless both are Uint8Array or both Int8Array
 * @example
 * hammingDistance(Uint8Array.of(0b1100), Uint8Array.of(0b1010)); // 2
 */
export function hammingDistance(a: Uint8Array | Int8Array, b: Uint8Array | Int8Array): number {
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  if (kindA !== kindB || (kindA !== "Uint8Array" && kindA !== "Int8Array")) {
    throw new TypeError(`expected two Uint8Array or two Int8Array, got ${kindA} and ${kindB}`);
  }
  checkPair(a, b);
  let count = 0;
  for (let i = 0; i < a.length; i++) {
    // `binary` is `ubinary` less 128: each has the same bit turned in both.
    let bits = (a[i] ^ b[i]) & 0xff;
    for (; bits !== 0; bits &= bits - 1) count++;
  }
  return count;
}

/**
 * The share of dimensions in which two binary embeddings agree, from 0 to 1.
 *
 * @param dimensions of the embeddings before they were packed; 8 a byte if left out
 * @throws as `hammingDistance`; RangeError for dimensions that do not fill these bytes
 * @example
 * hammingSimilarity(Uint8Array.of(0b1100), Uint8Array.of(0b1010)); // 0.75
 */
export function hammingSimilarity(
  a: Uint8Array | Int8Array,
  b: Uint8Array | Int8Array,
  dimensions = 8 * a.length,
): number {
  const distance = hammingDistance(a, b);
  checkInteger("dimensions", dimensions, Math.max(1, 8 * a.length - 7), 8 * a.length);
  return 1 - distance / dimensions;
}

/** a·b, in order. */
function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** The Euclidean length of a vector. */
export function norm(a: Vector): number {
  return Math.sqrt(dot(a, a));
}

function cosineOf(product: number, normA: number, normB: number): number {
  const cosine = product / Math.max(normA, LEAST_NORM) / Math.max(normB, LEAST_NORM);
  // Rounding may lead beyond by an ulp or two.
  return Math.max(-1, Math.min(1, cosine));
}

/** A list of vectors as it is, a single vector as a list of one. */
function vectorsOf(name: string, value: Vector | readonly Vector[]): readonly Vector[] {
  const isList = Array.isArray(value) && (value.length === 0 || typeof value[0] !== "number");
  const vectors = (isList ? value : [value]) as readonly Vector[];
  vectors.forEach((vector, i) => {
    checkVector(isList ? `${name}[${i}]` : name, vector);
  });
  return vectors;
}

function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

const VECTOR_KINDS: readonly string[] = ["Array", "Float32Array", "Float64Array", "Int8Array", "Uint8Array"];

function checkVector(name: string, value: Vector): void {
  if (!VECTOR_KINDS.includes(kindOf(value))) {
    throw new TypeError(`${name}: expected a vector (${VECTOR_KINDS.join(", ")}), got ${kindOf(value)}`);
  }
}

function checkPair(a: Vector, b: Vector): void {
  checkVector("a", a);
  checkVector("b", b);
  if (a.length !== b.length) {
    throw new RangeError(`expected two vectors of one width, got ${a.length} and ${b.length} numbers`);
  }
}

function checkWidths(name: string, vectors: readonly Vector[], width: number): void {
  vectors.forEach((vector, i) => {
    if (vector.length !== width) {
      throw new RangeError(`${name}[${i}]: expected ${width} numbers like the first vector, got ${vector.length}`);
    }
  });
}
