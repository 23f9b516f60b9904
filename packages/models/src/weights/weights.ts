/** A cursor into a checkpoint: weights are asked for by path and shape, laid out in the arena, then streamed in. */

import type { Address, Arena, Linear, Matrix, RmsNorm } from "@qkv/core";
import { ModelFileError } from "../errors";
import type { CheckedSource } from "../files/checked";
import {
  blockSizes,
  bytesFor,
  decodeTensor,
  elementCount,
  isTensorDtype,
  type TensorEntry,
  unsupportedDtype,
} from "../formats/tensor";

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

/** How much of a tensor is read at once. The peak beside the model itself. */
const PIECE_BYTES = 8 * 1024 * 1024;

/** Progress of loading. */
export interface LoadProgress {
  /** Bytes of weights read, of how many. */
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

interface Placement {
  readonly tensor: CheckpointTensor;
  readonly address: Address;
}

/** What all cursors into one checkpoint share. */
interface Plan {
  readonly checkpoint: Checkpoint;
  readonly arena: Arena;
  readonly placements: Map<string, Placement>;
  readonly skipped: Set<string>;
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

  /** A cursor at the root of a checkpoint. Weights are laid out in `arena`, filed under "weights". */
  static of(checkpoint: Checkpoint, arena: Arena): Weights {
    return new Weights({ checkpoint, arena, placements: new Map(), skipped: new Set() }, "");
  }

  /** A cursor further in: `at("model").at("layers.0")` is `at("model.layers.0")`. */
  at(path: string): Weights {
    return new Weights(this.#plan, `${this.#prefix}${path}.`);
  }

  /** Whether the checkpoint has a tensor of this name. */
  has(name: string): boolean {
    return this.#plan.checkpoint.tensors.has(this.#prefix + name);
  }

  /** `{name}.weight` [outFeatures, inFeatures], and `{name}.bias` [outFeatures] if `bias`. */
  linear(name: string, outFeatures: number, inFeatures: number, { bias }: { readonly bias: boolean }): Linear {
    return {
      weight: this.matrix(`${name}.weight`, outFeatures, inFeatures),
      bias: bias ? this.vector(`${name}.bias`, outFeatures) : null,
    };
  }

  /** `{name}.weight` [rows, width]: a table whose rows are looked up. */
  embedding(name: string, rows: number, width: number): Matrix {
    return this.matrix(`${name}.weight`, rows, width);
  }

  /** `{name}.weight` [width]. */
  rmsNorm(name: string, width: number, eps: number): RmsNorm {
    return { weight: this.vector(`${name}.weight`, width), width, eps };
  }

  /** The tensor `name` [rows, columns]. */
  matrix(name: string, rows: number, columns: number): Matrix {
    return { address: this.#place(name, [rows, columns]), rows, columns };
  }

  /** The tensor `name` [length]. */
  vector(name: string, length: number): Address {
    return this.#place(name, [length]);
  }

  /** Leaves a tensor unread on purpose, if it is there. For the visible table of a model's exceptions. */
  skip(name: string): void {
    this.#plan.skipped.add(this.#prefix + name);
  }

  /** Once the model is laid out: a tensor that nobody asked for means that the model is not the one that we think. */
  finish(): void {
    const { checkpoint, placements, skipped } = this.#plan;
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
    const order = [...this.#plan.placements.values()].sort((a, b) =>
      a.tensor.path < b.tensor.path ? -1 : a.tensor.path > b.tensor.path ? 1 : a.tensor.start - b.tensor.start,
    );
    for (const placement of order) {
      for await (const bytes of this.#pieces(placement, signal)) {
        loadedBytes += bytes;
        onProgress?.({ loadedBytes, totalBytes });
      }
    }
  }

  #place(name: string, shape: readonly number[]): Address {
    const { checkpoint, arena, placements } = this.#plan;
    const fullName = this.#prefix + name;
    const placed = placements.get(fullName);
    if (placed !== undefined) throw new Error(`the model asks twice for "${fullName}"`);
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
    if (!isTensorDtype(tensor.dtype)) throw unsupportedDtype(tensor);
    const address = arena.allocate(4 * elementCount(shape), "weights");
    placements.set(fullName, { tensor, address });
    return address;
  }

  /** Reads one tensor in pieces of whole rows, decodes each to float32, and tells its bytes. */
  async *#pieces({ tensor, address }: Placement, signal: AbortSignal | undefined): AsyncGenerator<number> {
    const { dtype, shape, start, end, path, interleavedHeads } = tensor;
    if (!isTensorDtype(dtype)) throw unsupportedDtype(tensor);
    const { arena, checkpoint } = this.#plan;
    const width = elementCount(shape.slice(1));
    // Rows, or where a row is no whole number of blocks (a quantised vector), the tensor as one.
    const wholeRows = width % blockSizes[dtype].elements === 0;
    const rowBytes = wholeRows ? bytesFor(dtype, width) : end - start;
    const rowElements = wholeRows ? width : (shape[0] ?? 1) * width;
    if (!wholeRows && interleavedHeads !== undefined) throw unsupportedDtype(tensor);
    const step = Math.max(1, Math.floor(PIECE_BYTES / Math.max(1, rowBytes))) * rowBytes;
    for (let at = start; at < end; at += step) {
      const piece = await checkpoint.files.readExactly(path, at, Math.min(at + step, end), { signal });
      const firstRow = (at - start) / rowBytes;
      const rows = piece.length / rowBytes;
      if (interleavedHeads === undefined) {
        decodeTensor(dtype, piece, arena.f32(address + 4 * firstRow * rowElements, rows * rowElements));
      } else {
        const decoded = new Float32Array(rows * rowElements);
        decodeTensor(dtype, piece, decoded);
        const headDim = (shape[0] ?? 0) / interleavedHeads;
        for (let r = 0; r < rows; r++) {
          const target = address + 4 * halfSplitRow(firstRow + r, headDim) * rowElements;
          arena.f32(target, rowElements).set(decoded.subarray(r * rowElements, (r + 1) * rowElements));
        }
      }
      yield piece.length;
    }
  }
}

/** Where a row of interleaved order (pair i is 2i, 2i + 1) lies in half-split order (i, i + K/2), head by head. */
function halfSplitRow(row: number, headDim: number): number {
  const inHead = row % headDim;
  return row - inHead + (inHead % 2) * (headDim / 2) + Math.floor(inHead / 2);
}
