/**
 * A watermark in the choice of tokens (Kirchenbauer et al. 2023): a key and the tokens before decide which part of the
 * vocabulary is favoured. The same tokens are favoured as by transformers on a CPU, whose detector so finds the mark.
 */

import type { WatermarkOptions } from "../options";
import type { LogitsProcessor } from "../search";
import { isEarlyInPermutation, Mt19937, randomPermutation } from "./mt19937";
import { largest } from "./select";

/** Size of the table that hashes tokens under "selfhash": a prime. */
const TABLE_SIZE = 1_000_003;
/** Under "selfhash", so many of the likeliest tokens are looked at: each costs a permutation. */
const CANDIDATES = 40;
/** Torch takes seeds below this. */
const SEEDS = 2n ** 64n - 1n;

/** @example watermark({ greenlistRatio: 0.25, bias: 2, hashingKey: 15485863, seedingScheme: "lefthash", contextWidth: 1 }) */
export function watermark(options: Required<WatermarkOptions>): LogitsProcessor {
  const { greenlistRatio, bias, hashingKey, seedingScheme, contextWidth } = options;
  const generator = new Mt19937(0);
  const key = BigInt(hashingKey);
  const table = seedingScheme === "selfhash" ? hashTable(hashingKey) : null;

  const favourLeft = (scores: Float32Array, ids: readonly number[], count: number) => {
    generator.seed(seedOf(key * BigInt(ids[ids.length - 1])));
    for (const id of randomPermutation(generator, scores.length, count)) scores[id] += bias;
  };
  const favourSelf = (scores: Float32Array, ids: readonly number[], count: number, hashes: Int32Array) => {
    const before = contextWidth === 1 ? [] : ids.slice(1 - contextWidth);
    const favoured = largest(scores, CANDIDATES).filter((id) => {
      generator.seed(seedOf(selfHash(key, hashes, before, id)));
      return isEarlyInPermutation(generator, scores.length, count, id);
    });
    for (const id of favoured) scores[id] += bias;
  };
  return (scores, ids) => {
    if (ids.length < contextWidth) return; // as transformers: too little to hash
    const count = Math.floor(scores.length * greenlistRatio);
    if (table === null) favourLeft(scores, ids, count);
    else favourSelf(scores, ids, count, table);
  };
}

/** The least of the products of hashes, as 64-bit integers that wrap around. */
function selfHash(key: bigint, hashes: Int32Array, before: readonly number[], id: number): bigint {
  const hash = (token: number) => BigInt(hashes[token % TABLE_SIZE] + 1);
  const own = hash(id);
  let least = BigInt.asIntN(64, key * own * own);
  for (const token of before) {
    const product = BigInt.asIntN(64, key * hash(token) * own);
    if (product < least) least = product;
  }
  return least;
}

/** The part of a seed that torch's generator uses. */
function seedOf(value: bigint): number {
  return Number(BigInt.asUintN(32, ((value % SEEDS) + SEEDS) % SEEDS));
}

let lastTable: { readonly key: number; readonly table: Int32Array } | null = null;

/** Takes some milliseconds: the last one is kept. */
function hashTable(key: number): Int32Array {
  if (lastTable?.key !== key) {
    lastTable = { key, table: randomPermutation(new Mt19937(seedOf(BigInt(key))), TABLE_SIZE) };
  }
  return lastTable.table;
}
