/** T5's relative biases as the kernels take them: for every distance up to the longest that was met. */

import { type Address, type Kernels, type PositionBias, type RelativeBucketOptions, relativeBias } from "@qkv/core";

/** Distances that are laid out with the weights. */
const FIRST_POSITIONS = 512;

/** The biases of one stack: of its first layer for all, or one for each layer. */
export class RelativePositions {
  readonly #kernels: Kernels;
  readonly #tables: readonly Address[];
  readonly #heads: number;
  readonly #buckets: RelativeBucketOptions;
  #biases: PositionBias[] = [];
  #positions = FIRST_POSITIONS;
  #made = false;

  /** @param tables `relative_attention_bias.weight`, [numBuckets, H] each */
  constructor(kernels: Kernels, tables: readonly Address[], heads: number, buckets: RelativeBucketOptions) {
    this.#kernels = kernels;
    this.#tables = tables;
    this.#heads = heads;
    this.#buckets = buckets;
    this.#layOut((bytes) => kernels.arena.allocate(bytes, "scratch"));
  }

  /** Makes sure that the biases reach from any of so many positions to any other. Once the weights are read. */
  reach(positions: number): void {
    if (positions > this.#positions) {
      const before = this.#positions;
      while (this.#positions < positions) this.#positions *= 2;
      try {
        this.#layOut((bytes) => this.#kernels.arena.take(bytes, "scratch"));
      } catch (error) {
        this.#positions = before;
        throw error;
      }
    }
    if (!this.#made) this.#make();
  }

  /** The bias of a layer, of which every position was reached. */
  of(layer: number): PositionBias {
    return this.#biases[Math.min(layer, this.#biases.length - 1)];
  }

  /** Keys after the query have distances of their own only where they are seen. */
  get #length(): number {
    return this.#buckets.bidirectional ? 2 * this.#positions - 1 : this.#positions;
  }

  #layOut(allocate: (bytes: number) => Address): void {
    const length = this.#length;
    const origin = this.#positions - 1;
    this.#biases = this.#tables.map(() => {
      const address = allocate(4 * this.#heads * length);
      return { kind: "relative", address, length, origin };
    });
    this.#made = false;
  }

  #make(): void {
    const { arena } = this.#kernels;
    const shape = { ...this.#buckets, heads: this.#heads, length: this.#length, origin: this.#positions - 1 };
    for (const [i, table] of this.#tables.entries()) {
      const buckets = arena.f32(table, this.#buckets.numBuckets * this.#heads).slice();
      arena.f32(this.#biases[i].address, this.#heads * this.#length).set(relativeBias(buckets, shape));
    }
    this.#made = true;
  }
}
