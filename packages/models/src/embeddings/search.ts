/** Exact nearest neighbours among embeddings: scores from the same kernels that run the models, the best by a heap. */

import { type Address, checkInteger, checkOptions, type Matrix } from "@qkv/core";
import { checkKernelOptions, type KernelOptions, type KernelReport, kernelsFor, type ModelKernels } from "../kernels";
import { LEAST_NORM, norm } from "./similarity";

/** Options of `VectorIndex.create`. */
export interface VectorIndexOptions extends Pick<KernelOptions, "kernels" | "threads" | "turbo"> {
  /** Numbers of a vector; where the matrix is one array it must be given. */
  readonly dimensions?: number;
  /** `cosine`, of vectors that are scaled to a length of 1 as they are stored, or `dot`. `cosine` if left out. */
  readonly metric?: "cosine" | "dot";
}

/** Options of a search. */
export interface SearchOptions {
  /** Most hits a query, 10 if left out. */
  readonly topK?: number;
}

/** Something that a search found. */
export interface SearchHit {
  /** Which of the vectors. */
  readonly index: number;
  readonly score: number;
}

const INDEX_OPTIONS = ["dimensions", "metric", "kernels", "threads", "turbo"] as const;
const DEFAULT_TOP_K = 10;
/** Queries of one matrix product: from so many on more of them gain little. */
const MAX_QUERIES = 64;
/** Bytes of scores that are held at once, more only where one query needs more. */
const SCORE_BYTES = 16 << 20;
/** Bytes of vectors that are scaled and handed over at once. */
const STAGING_BYTES = 1 << 20;

/** Where things lie in the kernels' memory. */
interface Layout {
  /** [N, D], as a linear layer that gives the scores of all vectors */
  readonly matrix: Matrix;
  /** [Q, D] */
  readonly queries: Address;
  /** [Q, N] */
  readonly scores: Address;
  /** Q */
  readonly most: number;
}

/**
 * Vectors [N, D] that are searched by comparing a query with each: exact, and the same bits for any number of queries
 * at once and of threads. Holds 4·N·D bytes beside what it was made of.
 *
 * @example
 * const index = await VectorIndex.create(await model.embed(passages));
 * const [best] = index.search(await model.embed("a question"), { topK: 3 });
 * console.log(passages[best.index], best.score);
 * index.dispose();
 */
export class VectorIndex {
  /** N */
  readonly size: number;
  /** D */
  readonly dimensions: number;
  readonly metric: "cosine" | "dot";
  readonly #kernels: ModelKernels;
  readonly #layout: Layout;

  private constructor(metric: "cosine" | "dot", kernels: ModelKernels, layout: Layout) {
    this.size = layout.matrix.rows;
    this.dimensions = layout.matrix.columns;
    this.metric = metric;
    this.#kernels = kernels;
    this.#layout = layout;
  }

  /**
   * Stores vectors for search. They are copied.
   *
   * @param matrix a list of N vectors, or all of them in one array, row by row
   * @throws RangeError for vectors that are not all of one width, and for wrong options; TypeError for what is no
   *   Float32Array, for unknown options, and for one array without `dimensions`; OutOfMemoryError
   */
  static async create(
    matrix: Float32Array | readonly Float32Array[],
    options: VectorIndexOptions = {},
  ): Promise<VectorIndex> {
    checkOptions("VectorIndex.create", options, INDEX_OPTIONS);
    checkKernelOptions(options);
    const { metric = "cosine" } = options;
    if (metric !== "cosine" && metric !== "dot") {
      throw new RangeError(`metric: expected "cosine" or "dot", got ${String(metric)}`);
    }
    const rows = rowsOf(matrix, options.dimensions);
    const { made, result } = await kernelsFor(options, new Set(["F32"]), ({ kernels }) => {
      const stored = kernels.createMatrix("F32", rows.count, rows.width);
      const scoreBytes = 4 * Math.max(1, rows.count);
      const most = Math.max(1, Math.min(MAX_QUERIES, Math.floor(SCORE_BYTES / scoreBytes)));
      const queries = kernels.arena.allocate(4 * most * rows.width, "scratch");
      const scores = kernels.arena.allocate(scoreBytes * most, "scratch");
      return { matrix: stored, queries, scores, most };
    });
    try {
      made.kernels.arena.commit();
      await made.start();
      store(made, result.matrix, rows, metric);
      return new VectorIndex(metric, made, result);
    } catch (error) {
      made.dispose();
      throw error;
    }
  }

  /**
   * The `topK` vectors with the highest scores, best first; of equals the one with the lower index. Scores are float32:
   * a cosine may be off from what `cosineSimilarity` says by about 1e-7. A score that is NaN (a vector or query that
   * has one, or infinities) comes after all numbers.
   *
   * @param query [D], or a list of such
   * @returns the hits of the query, or of each query; fewer than `topK` if there are fewer vectors
   * @throws RangeError for other widths and a `topK` below 1; TypeError for what is no Float32Array and unknown options;
   *   Error once disposed
   */
  search(query: Float32Array, options?: SearchOptions): SearchHit[];
  search(queries: readonly Float32Array[], options?: SearchOptions): SearchHit[][];
  search(given: Float32Array | readonly Float32Array[], options: SearchOptions = {}): SearchHit[] | SearchHit[][] {
    checkOptions("search", options, ["topK"]);
    const topK = checkInteger("topK", options.topK ?? DEFAULT_TOP_K, 1);
    if (this.#kernels.kernels.arena.disposed) throw new Error("search: this index was disposed");
    const one = !Array.isArray(given);
    const queries = (one ? [given] : given) as readonly Float32Array[];
    queries.forEach((query, i) => {
      checkVector(one ? "query" : `queries[${i}]`, query, this.dimensions);
    });
    const hits: SearchHit[][] = [];
    const { most } = this.#layout;
    for (let done = 0; done < queries.length; done += most) {
      for (const scores of this.#scores(queries.slice(done, done + most))) hits.push(topScores(scores, topK));
    }
    return one ? hits[0] : hits;
  }

  /** How it computes: kernels, threads, what the engine offers. */
  get kernels(): KernelReport {
    return this.#kernels.report();
  }

  /** Gives memory and threads back. Every later search throws. */
  dispose(): void {
    this.#kernels.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  /** The scores [N] of each of at most `most` queries, in the kernels' memory until the next call. */
  #scores(queries: readonly Float32Array[]): Float32Array[] {
    const { kernels } = this.#kernels;
    const { arena } = kernels;
    const { matrix, queries: x, scores } = this.#layout;
    if (this.size === 0) return queries.map(() => new Float32Array(0));
    const width = this.dimensions;
    const view = arena.f32(x, queries.length * width);
    queries.forEach((query, i) => {
      put(view, i * width, query, this.metric);
    });
    kernels.matmul(scores, x, matrix, null, queries.length);
    return queries.map((_, i) => arena.f32(scores + 4 * i * this.size, this.size));
  }
}

/**
 * The `topK` vectors of a corpus that each query is most alike, by an index that lives as long as the call. For more
 * than one search over the same corpus keep a `VectorIndex`.
 *
 * @param queries [D], or a list of such
 * @param corpus a list of N vectors, or all of them in one array, row by row
 * @returns the hits of the query, or of each query, best first: see `VectorIndex.search`
 * @throws as `VectorIndex.create` and `VectorIndex.search`
 * @example
 * await search(Float32Array.of(1, 0), [Float32Array.of(0, 1), Float32Array.of(2, 0)], { topK: 1 });
 * // [{ index: 1, score: 1 }]
 */
export function search(
  query: Float32Array,
  corpus: Float32Array | readonly Float32Array[],
  options?: VectorIndexOptions & SearchOptions,
): Promise<SearchHit[]>;
export function search(
  queries: readonly Float32Array[],
  corpus: Float32Array | readonly Float32Array[],
  options?: VectorIndexOptions & SearchOptions,
): Promise<SearchHit[][]>;
export async function search(
  queries: Float32Array | readonly Float32Array[],
  corpus: Float32Array | readonly Float32Array[],
  options: VectorIndexOptions & SearchOptions = {},
): Promise<SearchHit[] | SearchHit[][]> {
  checkOptions("search", options, [...INDEX_OPTIONS, "topK"]);
  const { topK = DEFAULT_TOP_K, ...indexOptions } = options;
  checkInteger("topK", topK, 1);
  const index = await VectorIndex.create(corpus, indexOptions);
  try {
    return Array.isArray(queries)
      ? index.search(queries as readonly Float32Array[], { topK })
      : index.search(queries as Float32Array, { topK });
  } finally {
    index.dispose();
  }
}

/** Rows of one width, wherever they are. */
interface Rows {
  readonly count: number;
  readonly width: number;
  row(index: number): Float32Array;
}

function rowsOf(matrix: Float32Array | readonly Float32Array[], dimensions: number | undefined): Rows {
  if (dimensions !== undefined) checkInteger("dimensions", dimensions, 1);
  if (Array.isArray(matrix)) {
    const vectors = matrix as readonly Float32Array[];
    const width = dimensions ?? vectors[0]?.length;
    if (width === undefined) throw new TypeError("dimensions: must be given for an empty list of vectors");
    vectors.forEach((vector, i) => {
      checkVector(`matrix[${i}]`, vector, checkInteger("matrix[0].length", width, 1));
    });
    return { count: vectors.length, width, row: (index) => vectors[index] };
  }
  const flat = matrix as Float32Array;
  checkFloats("matrix", flat, " or a list of such");
  if (dimensions === undefined) throw new TypeError("dimensions: must be given for a matrix that is one array");
  if (flat.length % dimensions !== 0) {
    throw new RangeError(`matrix: expected rows of ${dimensions} numbers, got ${flat.length} numbers in all`);
  }
  const row = (index: number) => flat.subarray(index * dimensions, (index + 1) * dimensions);
  return { count: flat.length / dimensions, width: dimensions, row };
}

function store({ kernels }: ModelKernels, matrix: Matrix, { count, width, row }: Rows, metric: "cosine" | "dot"): void {
  const step = Math.max(1, Math.min(count, Math.floor(STAGING_BYTES / (4 * width))));
  const staging = new Float32Array(step * width);
  const bytes = new Uint8Array(staging.buffer);
  for (let done = 0; done < count; done += step) {
    const rows = Math.min(step, count - done);
    for (let i = 0; i < rows; i++) put(staging, i * width, row(done + i), metric);
    kernels.writeRows(matrix, done, bytes.subarray(0, 4 * rows * width));
  }
}

/** Copies a vector; for cosines, scaled to a length of 1. */
function put(out: Float32Array, start: number, vector: Float32Array, metric: "cosine" | "dot"): void {
  if (metric === "dot") {
    out.set(vector, start);
    return;
  }
  const length = Math.max(norm(vector), LEAST_NORM);
  for (let i = 0; i < vector.length; i++) out[start + i] = vector[i] / length;
}

function checkFloats(name: string, value: Float32Array, or = ""): void {
  const kind = Object.prototype.toString.call(value);
  if (kind !== "[object Float32Array]") throw new TypeError(`${name}: expected a Float32Array${or}, got ${kind}`);
}

function checkVector(name: string, value: Float32Array, width: number): void {
  checkFloats(name, value);
  if (value.length !== width) throw new RangeError(`${name}: expected ${width} numbers, got ${value.length}`);
}

/**
 * The k highest scores, best first; of equals the one with the lower index, and NaN after all numbers. O(n log k), by a
 * heap of the k best so far with the worst of them on top.
 *
 * @param k at least 1
 */
function topScores(scores: Float32Array, k: number): SearchHit[] {
  const size = Math.min(k, scores.length);
  const heap = new Uint32Array(size);
  for (let i = 0; i < size; i++) heap[i] = i;
  for (let i = (size >> 1) - 1; i >= 0; i--) sink(heap, i, size, scores);
  for (let i = size; i < scores.length; i++) {
    if (!isBetter(scores, i, heap[0])) continue;
    heap[0] = i;
    sink(heap, 0, size, scores);
  }
  const hits = new Array<SearchHit>(size);
  for (let left = size - 1; left >= 0; left--) {
    hits[left] = { index: heap[0], score: scores[heap[0]] };
    heap[0] = heap[left];
    sink(heap, 0, left, scores);
  }
  return hits;
}

/** Whether a comes before b: a total order, as the indices differ. */
function isBetter(scores: Float32Array, a: number, b: number): boolean {
  const x = scores[a];
  const y = scores[b];
  if (x > y) return true;
  if (x < y) return false;
  // equals, or one of them is NaN
  const [noX, noY] = [Number.isNaN(x), Number.isNaN(y)];
  return noX === noY ? a < b : noY;
}

/** Moves the root of a heap down until no child is worse than its parent. */
function sink(heap: Uint32Array, root: number, size: number, scores: Float32Array): void {
  for (;;) {
    let worst = root;
    for (let child = 2 * root + 1; child <= 2 * root + 2; child++) {
      if (child < size && isBetter(scores, heap[worst], heap[child])) worst = child;
    }
    if (worst === root) return;
    const moved = heap[root];
    heap[root] = heap[worst];
    heap[worst] = moved;
    root = worst;
  }
}
