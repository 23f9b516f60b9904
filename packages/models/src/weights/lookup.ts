/** Tables of which rows are looked up: words, positions, token types. */

import { type Address, type Dtype, decode, type Kernels, type Matrix, rowBytes } from "@qkv/core";
import type { CheckpointTensor } from "./weights";

/** Rows of float32, float16 or bfloat16 as a file has them, one after the other. */
export interface RowTable {
  readonly address: Address;
  readonly rows: number;
  readonly columns: number;
  readonly dtype: Dtype;
}

/** How the two forms of a table are laid out. */
interface Forms {
  /** null for a dtype whose rows the kernels alone can read. */
  readonly table: (() => RowTable) | null;
  readonly matrix: () => Matrix;
}

/**
 * A table [rows, columns]. Where nobody multiplies by it, it stays as the file has it, which takes no packing; where an
 * output layer is tied to it, it is a matrix of the kernels'. Which of the two is settled when the model is laid out.
 */
export class Lookup {
  readonly rows: number;
  readonly columns: number;
  readonly tensor: CheckpointTensor;
  readonly #forms: Forms;
  #matrix: Matrix | null = null;
  #table: RowTable | null = null;

  constructor(tensor: CheckpointTensor, forms: Forms) {
    [this.rows, this.columns] = tensor.shape as [number, number];
    this.tensor = tensor;
    this.#forms = forms;
  }

  /** The table as the weights of a linear layer. Only while the model is laid out. */
  asMatrix(): Matrix {
    if (this.#table !== null) throw new Error("the table is settled as rows");
    this.#matrix ??= this.#forms.matrix();
    return this.#matrix;
  }

  /** The end of the layout. */
  settle(): void {
    if (this.#matrix === null && this.#forms.table !== null) this.#table ??= this.#forms.table();
    else this.asMatrix();
  }

  /**
   * out[N, columns] = rows by id. Decoded exactly.
   *
   * @throws RangeError for a row that the table does not have: what lies behind it is none of its business
   */
  lookUp(kernels: Kernels, out: Address, ids: readonly number[]): void {
    for (const id of ids) {
      if (!(id >= 0 && id < this.rows)) throw new RangeError(`a table of ${this.rows} rows has no row ${id}`);
    }
    if (this.#table === null) {
      kernels.embedding(out, this.asMatrix(), ids);
      return;
    }
    const { address, columns, dtype } = this.#table;
    const { arena } = kernels;
    const target = arena.f32(out, ids.length * columns);
    const size = rowBytes(dtype, columns);
    ids.forEach((id, i) => {
      if (dtype === "F32") target.set(arena.f32(address + id * size, columns), i * columns);
      else decode(dtype, arena.u8(address + id * size, size), target, i * columns);
    });
  }
}
