/** A cursor into a checkpoint: weights are asked for by path and shape, laid out in the arena, then streamed in. */

import {
  type Address,
  blockSizes,
  bytesFor,
  type Dtype,
  decode,
  isDtype,
  isQuantized,
  type Kernels,
  type LayerNorm,
  type Linear,
  type Matrix,
  OutOfMemoryError,
  quantizeQ4_1,
  quantizeQ8_0,
  type RmsNorm,
  rowBytes,
} from "@qkv/core";
import { ModelFileError } from "../errors";
import { CheckedSource } from "../files/checked";
import { elementCount, type TensorEntry, unsupportedDtype } from "../formats/tensor";
import { Lookup, type RowTable } from "./lookup";

/** A tensor of a checkpoint under Hugging Face's name for it. */
export interface CheckpointTensor extends TensorEntry {
  /**
   * Set where the rows are those of this many heads in the order of interleaved rotary pairs, as llama2.c and GGUF
   * store LLaMA's q and k: they are put into half-split order as they are read, so that every form computes alike.
   */
  readonly interleavedHeads?: number;
}

/** The weights of a model, whatever its file format. */
export interface Checkpoint {
  readonly files: CheckedSource;
  /** The file to name in messages where no tensor is at hand. */
  readonly file: string;
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
}

/** How much of a tensor is read at once: what lies in a cache until it is packed. Two of them are all beside the model. */
const PIECE_BYTES = 1024 * 1024;

/** Whole rows of a tensor, or a vector: what one read brings. */
interface Piece {
  readonly placement: Placement;
  readonly start: number;
  readonly end: number;
}

/** Progress of loading. */
export interface LoadProgress {
  /** Bytes of weights read, of how many. */
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/**
 * In which dtype matrices lie in memory.
 * - `auto`: as the file has them
 * - `f32`: decoded to float32
 * - `q8`, `q4`: float ones quantised as they are read, to Q8_0 and Q4_1; in `q4`, what has a row for each word of the
 *   vocabulary is kept in Q8_0, as its errors meet every token. The value projections of BERT-like encoders stay as the file
 *   has them: a twelfth of the work, and half of the error. For files that are not quantised yet.
 */
export type WeightDtype = "auto" | "f32" | "q8" | "q4";

export const WEIGHT_DTYPES: readonly WeightDtype[] = ["auto", "f32", "q8", "q4"];

/** Where a tensor goes: a vector or a small table as float32, rows as the file has them, or a matrix of the kernels'. */
type Placement = { readonly tensor: CheckpointTensor } & (
  | { readonly kind: "floats"; readonly address: Address }
  | { readonly kind: "rows"; readonly table: RowTable }
  | { readonly kind: "matrix"; readonly matrix: Matrix }
);

/** What all cursors into one checkpoint share. */
interface Plan {
  readonly checkpoint: Checkpoint;
  readonly kernels: Kernels;
  readonly dtype: WeightDtype;
  readonly placements: Map<string, Placement>;
  readonly skipped: Set<string>;
  readonly lookups: Lookup[];
  /** There is no checkpoint: whatever is asked for exists. */
  readonly blueprint: boolean;
}

/**
 * Asking for a weight checks it and reserves its place, nothing more. Once the model is laid out, `finish` finds what
 * nobody asked for, and `read` brings the numbers.
 *
 * @example
 * const w = weights.at("model.layers.0.self_attn");
 * const q = w.linear("q_proj", 64, 64, { bias: false });   // throws if missing or misshapen, with its full name
 */
export class Weights {
  readonly #plan: Plan;
  readonly #prefix: string;

  private constructor(plan: Plan, prefix: string) {
    this.#plan = plan;
    this.#prefix = prefix;
  }

  /** A cursor at the root of a checkpoint. Weights are laid out in the kernels' arena, filed under "weights". */
  static of(checkpoint: Checkpoint, kernels: Kernels, dtype: WeightDtype): Weights {
    const plan = { checkpoint, kernels, dtype, placements: new Map(), skipped: new Set<string>(), lookups: [] };
    return new Weights({ ...plan, blueprint: false }, "");
  }

  /**
   * A cursor without a checkpoint, which has every tensor that is asked for by its shape and none that is asked about:
   * to learn from a config alone what its model consists of. See `shapes`.
   */
  static blueprint(kernels: Kernels): Weights {
    const checkpoint = { files: new CheckedSource({ read: async () => null }), file: "", tensors: new Map() };
    const plan = { checkpoint, kernels, placements: new Map(), skipped: new Set<string>(), lookups: [] };
    return new Weights({ ...plan, dtype: "f32", blueprint: true }, "");
  }

  /** Names and shapes of all that was asked for. */
  *shapes(): Generator<readonly [name: string, shape: readonly number[]]> {
    for (const [name, { tensor }] of this.#plan.placements) yield [name, tensor.shape];
  }

  /** A cursor further in: `at("model").at("layers.0")` is `at("model.layers.0")`. */
  at(path: string): Weights {
    return new Weights(this.#plan, `${this.#prefix}${path}.`);
  }

  /** Whether the checkpoint has a tensor of this name; of a blueprint, what its caller says. */
  has(name: string, ofBlueprint = false): boolean {
    return this.#plan.blueprint ? ofBlueprint : this.#plan.checkpoint.tensors.has(this.#prefix + name);
  }

  /** Rows and columns of a tensor that no config describes. @throws ModelFileError if it is missing or no matrix */
  matrixShape(name: string): readonly [rows: number, columns: number] {
    const { checkpoint } = this.#plan;
    const at = { file: checkpoint.file, tensor: this.#prefix + name };
    const shape = checkpoint.tensors.get(at.tensor)?.shape;
    if (shape === undefined) throw new ModelFileError("missing", at);
    const [rows, columns] = shape;
    if (shape.length === 2 && rows !== undefined && columns !== undefined) return [rows, columns];
    throw new ModelFileError(`expected a matrix, got [${shape.join(", ")}]`, at);
  }

  /** Whether a tensor is the very bytes that a table comes from, as tied weights are in PyTorch's own format. */
  isSame(name: string, { tensor: { path, start, end } }: Lookup): boolean {
    const tensor = this.#plan.checkpoint.tensors.get(this.#prefix + name);
    return tensor !== undefined && tensor.path === path && tensor.start === start && tensor.end === end;
  }

  /**
   * `{name}.weight` [outFeatures, inFeatures], and `{name}.bias` [outFeatures] if `bias`.
   *
   * With `exact`, weights are not quantised where `dtype` asks for it: of the few whose errors reach the output whole.
   */
  linear(
    name: string,
    outFeatures: number,
    inFeatures: number,
    { bias, exact = false }: { readonly bias: boolean; readonly exact?: boolean },
  ): Linear {
    return {
      weight: this.#matrix(`${name}.weight`, outFeatures, inFeatures, this.#dtypeOf(exact)),
      bias: bias ? this.vector(`${name}.bias`, outFeatures) : null,
    };
  }

  /** `{name}.weight` [rows, width], with a row for each word of the vocabulary: an embedding, or a head. */
  embedding(name: string, rows: number, width: number): Matrix {
    return this.#matrix(`${name}.weight`, rows, width, this.#wordsDtype);
  }

  /** `{name}.weight` [rows, columns], whose rows are looked up. See `Lookup`. */
  lookup(name: string, rows: number, columns: number): Lookup {
    const full = `${name}.weight`;
    const tensor = this.#find(full, [rows, columns]);
    const dtype = storedDtype(tensor, this.#wordsDtype);
    const place = (): RowTable => {
      const address = this.#plan.kernels.arena.allocate(rows * rowBytes(dtype, columns), "weights");
      const table = { address, rows, columns, dtype };
      this.#plan.placements.set(this.#prefix + full, { tensor, kind: "rows", table });
      return table;
    };
    const found = new Lookup(tensor, {
      table: isQuantized(dtype) ? null : place,
      matrix: () => this.#placeMatrix(full, tensor, this.#wordsDtype),
    });
    this.#plan.lookups.push(found);
    return found;
  }

  #dtypeOf(exact: boolean): WeightDtype {
    const { dtype } = this.#plan;
    return exact && dtype !== "f32" ? "auto" : dtype;
  }

  get #wordsDtype(): WeightDtype {
    return this.#plan.dtype === "q4" ? "q8" : this.#plan.dtype;
  }

  /** `{name}.weight` [width]. */
  rmsNorm(name: string, width: number, eps: number): RmsNorm {
    return { weight: this.vector(`${name}.weight`, width), width, eps };
  }

  /** `{name}.weight` [width], and `{name}.bias` [width] if `bias`. */
  layerNorm(
    name: string,
    width: number,
    eps: number,
    { bias }: { readonly bias: boolean } = { bias: true },
  ): LayerNorm {
    return {
      weight: this.vector(`${name}.weight`, width),
      bias: bias ? this.vector(`${name}.bias`, width) : null,
      width,
      eps,
    };
  }

  /**
   * Several layers of the same input that the checkpoint keeps as one, below each other: `{name}.weight`
   * [sum of outFeatures, inFeatures], and `{name}.bias` if `bias`. `exactPart`: which of them is exact, see `linear`.
   */
  linears(
    name: string,
    outFeatures: readonly number[],
    inFeatures: number,
    { bias, exactPart }: { readonly bias: boolean; readonly exactPart?: number },
  ): Linear[] {
    const rows = outFeatures.reduce((sum, n) => sum + n, 0);
    const weight = this.#find(`${name}.weight`, [rows, inFeatures]);
    const biases = bias ? this.vector(`${name}.bias`, rows) : null;
    let first = 0;
    return outFeatures.map((count, part) => {
      const matrix = this.#placeMatrix(
        part === 0 ? `${name}.weight` : `${name}.weight, part ${part}`,
        rowsOf(weight, first, count),
        this.#dtypeOf(part === exactPart),
      );
      const layer = { weight: matrix, bias: biases === null ? null : biases + 4 * first };
      first += count;
      return layer;
    });
  }

  /** The tensor `name` [rows, columns] as float32, row-major, for what is looked up rather than multiplied. */
  table(name: string, rows: number, columns: number): Address {
    return this.#floats(name, [rows, columns]);
  }

  /** The tensor `name` [rows, columns]. */
  matrix(name: string, rows: number, columns: number): Matrix {
    return this.#matrix(name, rows, columns, this.#plan.dtype);
  }

  /** The tensor `name` [length], as float32. */
  vector(name: string, length: number): Address {
    return this.#floats(name, [length]);
  }

  /** Leaves a tensor unread on purpose, if it is there. For the visible table of a model's exceptions. */
  skip(name: string): void {
    this.#plan.skipped.add(this.#prefix + name);
  }

  /** Once the model is laid out: a tensor that nobody asked for means that the model is not the one that we think. */
  finish(): void {
    const { checkpoint, placements, skipped, lookups } = this.#plan;
    for (const lookup of lookups) lookup.settle();
    const unread = [...checkpoint.tensors.keys()].filter((name) => !placements.has(name) && !skipped.has(name));
    if (unread.length === 0) return;
    const [first] = unread as [string];
    const more = unread.length === 1 ? "" : `, nor to ${unread.length - 1} more`;
    throw new ModelFileError(`belongs to no part of the model${more}: the config does not describe this file`, {
      file: checkpoint.tensors.get(first)?.path ?? checkpoint.file,
      tensor: first,
    });
  }

  /** Bytes that `read` will take from files. */
  get fileBytes(): number {
    let bytes = 0;
    for (const { tensor } of this.#plan.placements.values()) bytes += tensor.end - tensor.start;
    return bytes;
  }

  /** Streams every weight into its place, in the order of the files. Once. */
  async read(
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly onProgress?: ((p: LoadProgress) => void) | undefined;
    } = {},
  ): Promise<void> {
    const { signal, onProgress } = options;
    const totalBytes = this.fileBytes;
    let loadedBytes = 0;
    const pieces = [...this.#pieces()];
    const buffers = [new Uint8Array(0), new Uint8Array(0)];
    const fetch = (index: number): Promise<Uint8Array> | null => {
      if (index === pieces.length) return null;
      const { placement, start, end } = pieces[index];
      let into = this.#ownBytes(pieces[index]);
      if (into === null) {
        const which = index % 2;
        if (buffers[which].length < end - start) buffers[which] = new Uint8Array(Math.max(end - start, PIECE_BYTES));
        into = buffers[which].subarray(0, end - start);
      }
      const bytes = this.#plan.checkpoint.files.readExactly(placement.tensor.path, start, end, { signal, into });
      bytes.catch(() => {}); // it is awaited once the piece before is in its place, or not at all if that fails
      return bytes;
    };
    let coming = fetch(0);
    for (const [index, piece] of pieces.entries()) {
      const bytes = (await coming) as Uint8Array;
      coming = fetch(index + 1); // while this one is packed
      this.#place(piece, bytes);
      loadedBytes += bytes.length;
      onProgress?.({ loadedBytes, totalBytes });
    }
  }

  #matrix(name: string, rows: number, columns: number, dtype: WeightDtype): Matrix {
    return this.#placeMatrix(name, this.#find(name, [rows, columns]), dtype);
  }

  /** Files a tensor, or some rows of one, under a name that nothing else has. */
  #placeMatrix(name: string, tensor: CheckpointTensor, dtype: WeightDtype): Matrix {
    const [rows, columns] = tensor.shape as [number, number];
    const matrix = this.#plan.kernels.createMatrix(storedDtype(tensor, dtype), rows, columns);
    this.#plan.placements.set(this.#prefix + name, { tensor, kind: "matrix", matrix });
    return matrix;
  }

  #floats(name: string, shape: readonly number[]): Address {
    const tensor = this.#find(name, shape);
    const address = this.#plan.kernels.arena.allocate(4 * elementCount(shape), "weights");
    this.#plan.placements.set(this.#prefix + name, { tensor, kind: "floats", address });
    return address;
  }

  #find(name: string, shape: readonly number[]): CheckpointTensor {
    const { checkpoint, placements } = this.#plan;
    const fullName = this.#prefix + name;
    if (placements.has(fullName)) throw new Error(`the model asks twice for "${fullName}"`);
    if (this.#plan.blueprint) return { name: fullName, dtype: "F32", shape, path: "", start: 0, end: 0 };
    const tensor = checkpoint.tensors.get(fullName);
    const expected = `[${shape.join(", ")}]`;
    if (tensor === undefined) {
      throw new ModelFileError(`missing: the config asks for it, as ${expected}`, {
        file: checkpoint.file,
        tensor: fullName,
      });
    }
    if (tensor.shape.length !== shape.length || tensor.shape.some((n, i) => n !== shape[i])) {
      const got = `[${tensor.shape.join(", ")}]`;
      throw new ModelFileError(`expected shape ${expected} from the config, got ${got}`, {
        file: tensor.path,
        tensor: fullName,
      });
    }
    if (!isDtype(tensor.dtype)) throw unsupportedDtype(tensor);
    return tensor;
  }

  /** Every read that is needed, in the order of the files. */
  *#pieces(): Generator<Piece> {
    const order = [...this.#plan.placements.values()].sort((a, b) =>
      a.tensor.path < b.tensor.path ? -1 : a.tensor.path > b.tensor.path ? 1 : a.tensor.start - b.tensor.start,
    );
    for (const placement of order) {
      const { start, end, shape, dtype } = placement.tensor;
      const groupBytes = bytesFor(dtype as Dtype, rowsAtOnce(placement) * elementCount(shape.slice(1)));
      const step = Math.max(1, Math.floor(PIECE_BYTES / Math.max(1, groupBytes))) * groupBytes;
      for (let at = start; at < end; at += step) yield { placement, start: at, end: Math.min(at + step, end) };
    }
  }

  /** Where the bytes of a piece stay as they are read; null for those that are decoded or packed. */
  #ownBytes({ placement, start, end }: Piece): Uint8Array | null {
    const { arena } = this.#plan.kernels;
    // Memory that is not shared moves when it grows, which it may while the file is read.
    if (!arena.shared || placement.kind !== "rows" || placement.table.dtype !== placement.tensor.dtype) return null;
    return arena.u8(placement.table.address + start - placement.tensor.start, end - start);
  }

  /** Puts what was read into its place. */
  #place(piece: Piece, bytes: Uint8Array): void {
    const { placement, start } = piece;
    const { tensor } = placement;
    const { interleavedHeads } = tensor;
    const dtype = tensor.dtype as Dtype;
    const { arena } = this.#plan.kernels;
    const width = elementCount(tensor.shape.slice(1));
    const group = rowsAtOnce(placement);
    switch (placement.kind) {
      case "floats": {
        const vector = arena.f32(placement.address, group * width);
        decode(dtype, bytes, vector);
        if (interleavedHeads !== undefined) reorderVector(vector, interleavedHeads);
        return;
      }
      case "rows": {
        const own = this.#ownBytes(piece);
        // Read to its place, unless the source has arrays of its own.
        if (own !== null && own.byteOffset === bytes.byteOffset && own.buffer === bytes.buffer) return;
        const { address, columns, dtype: stored } = placement.table;
        const row = (start - tensor.start) / rowBytes(dtype, columns);
        const rows = stored === dtype ? bytes : converted(bytes, dtype, placement.table);
        arena.u8(address + row * rowBytes(stored, columns), rows.length).set(rows);
        return;
      }
      case "matrix": {
        const rowSize = bytesFor(dtype, width);
        const ordered = interleavedHeads === undefined ? bytes : reordered(bytes, rowSize, group);
        this.#write(placement.matrix, dtype, (start - tensor.start) / rowSize, ordered, tensor);
      }
    }
  }

  /** Puts whole rows, as the file has them, into a matrix, in the dtype that it has. */
  #write(matrix: Matrix, from: Dtype, row: number, bytes: Uint8Array, { path, name }: CheckpointTensor): void {
    const { kernels } = this.#plan;
    try {
      kernels.writeRows(matrix, row, from === matrix.dtype ? bytes : converted(bytes, from, matrix));
    } catch (error) {
      if (error instanceof RangeError && !(error instanceof OutOfMemoryError))
        throw new ModelFileError(error.message, { file: path, tensor: name });
      throw error;
    }
  }
}

/** Rows that must come together: those of an interleaved head; a vector or a table, all of them. */
function rowsAtOnce({ tensor, kind }: Placement): number {
  const [rows = 1] = tensor.shape;
  if (kind === "floats") return rows;
  return tensor.interleavedHeads === undefined ? 1 : rows / tensor.interleavedHeads;
}

/** Some rows of a tensor [rows, columns], as a tensor. */
function rowsOf(tensor: CheckpointTensor, first: number, count: number): CheckpointTensor {
  const columns = tensor.shape[1] as number;
  const rowSize = bytesFor(tensor.dtype as Dtype, columns);
  const start = tensor.start + first * rowSize;
  return { ...tensor, shape: [count, columns], start, end: start + count * rowSize };
}

/** Every dtype that a checkpoint's matrices may be kept in. */
export function storedDtypes({ tensors }: Checkpoint, wanted: WeightDtype): Set<Dtype> {
  const found = new Set<Dtype>();
  for (const { dtype, shape } of tensors.values()) {
    if (!isDtype(dtype) || shape.length !== 2) continue;
    if (wanted !== "f32") found.add(dtype); // also where some are left exact
    if (wanted !== "auto") found.add(QUANTIZED_AS[wanted]);
  }
  // Words' vectors, see `WeightDtype`
  if (wanted === "q4") found.add("Q8_0");
  return found;
}

const QUANTIZED_AS: Readonly<Record<Exclude<WeightDtype, "auto">, Dtype>> = { f32: "F32", q8: "Q8_0", q4: "Q4_1" };

/** The dtype that a matrix is kept in. */
function storedDtype(tensor: CheckpointTensor, wanted: WeightDtype): Dtype {
  const dtype = tensor.dtype as Dtype;
  if (wanted === "auto") return dtype;
  if (wanted === "f32") return "F32";
  if (isQuantized(dtype)) {
    throw new RangeError(
      `dtype: "${wanted}" quantises float weights, and ${tensor.name} in ${tensor.path} is ${dtype} already; take "auto" or "f32"`,
    );
  }
  return QUANTIZED_AS[wanted];
}

/** Rows of one dtype in that of the matrix. */
function converted(bytes: Uint8Array, from: Dtype, { dtype, columns }: Matrix | RowTable): Uint8Array {
  const rows = bytes.length / bytesFor(from, columns);
  const floats = new Float32Array(rows * columns);
  decode(from, bytes, floats);
  if (dtype === "F32") return new Uint8Array(floats.buffer);
  // A loop, as there may be a hundred million of them; x - x is 0 for all numbers that are finite.
  for (let i = 0; i < floats.length; i++) {
    if (floats[i] - floats[i] !== 0) throw new RangeError("has infinite or NaN weights, which cannot be quantised");
  }
  const { elements } = blockSizes[dtype];
  const size = rowBytes(dtype, columns);
  const quantize = dtype === "Q8_0" ? quantizeQ8_0 : quantizeQ4_1;
  const out = new Uint8Array(rows * size);
  if (columns % elements === 0) {
    quantize(floats, out);
    return out;
  }
  const padded = new Float32Array(Math.ceil(columns / elements) * elements);
  for (let row = 0; row < rows; row++) {
    padded.set(floats.subarray(row * columns, (row + 1) * columns));
    quantize(padded, out.subarray(row * size, (row + 1) * size));
  }
  return out;
}

/** Rows of whole heads, from interleaved to half-split order. */
function reordered(bytes: Uint8Array, rowSize: number, headDim: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row * rowSize < bytes.length; row++) {
    out.set(bytes.subarray(row * rowSize, (row + 1) * rowSize), halfSplitRow(row, headDim) * rowSize);
  }
  return out;
}

function reorderVector(vector: Float32Array, heads: number): void {
  const values = vector.slice();
  values.forEach((value, i) => {
    vector[halfSplitRow(i, values.length / heads)] = value;
  });
}

/** Where a row of interleaved order (pair i is 2i, 2i + 1) lies in half-split order (i, i + K/2), head by head. */
function halfSplitRow(row: number, headDim: number): number {
  const inHead = row % headDim;
  return row - inHead + (inHead % 2) * (headDim / 2) + Math.floor(inHead / 2);
}
