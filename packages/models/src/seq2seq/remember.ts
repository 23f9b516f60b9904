/** Cross-attention's keys and values: products of the encoder's states, one pair a layer, written where they stay. */

import type { Address, Kernels, KvCache, Product } from "@qkv/core";

/** See `Seq2SeqNetwork.remember`. `layers`: the key and value product of each layer. */
export function* remember(
  kernels: Kernels,
  layers: readonly (readonly [key: Product, value: Product])[],
  hidden: Address,
  rows: number,
  cache: KvCache,
  due: () => boolean,
): Generator<void, void> {
  cache.checkRoom(rows);
  for (const [layer, products] of layers.entries()) {
    const [key, value] = products;
    key.out = cache.keyRow(layer, cache.length);
    value.out = cache.valueRow(layer, cache.length);
    kernels.matmuls(hidden, rows, products);
    if (due()) yield;
  }
  cache.advance(rows);
}
