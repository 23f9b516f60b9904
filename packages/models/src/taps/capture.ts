/** Taps: keeping named intermediate values of a pass. */

import { type Address, type Arena, OutOfMemoryError } from "@qkv/core";
import { elementCount } from "../formats/tensor";

/** Longer than any tap's name. */
const MAX_PATTERN = 1000;

/** An array with its shape, row-major. */
export interface Tensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/**
 * The names that patterns select. `*` stands for one or more characters: "layers.*.output" selects every layer's.
 *
 * @throws RangeError for a pattern that selects nothing; TypeError for what is no array of names
 */
export function selectTaps(patterns: readonly string[], names: readonly string[]): ReadonlySet<string> {
  if (!Array.isArray(patterns) || !patterns.every((pattern) => typeof pattern === "string")) {
    throw new TypeError(`capture: expected an array of tap names, got ${String(patterns)}`);
  }
  const selected = new Set<string>();
  for (const pattern of patterns) {
    if (pattern.length > MAX_PATTERN)
      throw new RangeError(`capture: a pattern of ${pattern.length} characters is too long`);
    const found = names.filter((name) => matches(pattern, name));
    if (found.length === 0) {
      throw new RangeError(`capture: nothing is called "${pattern}"; there are ${summarizeTaps(names)}`);
    }
    for (const name of found) selected.add(name);
  }
  return selected;
}

/** Glob matching without a regular expression: what stands between two stars is searched for from left to right. */
function matches(pattern: string, name: string): boolean {
  const [head, ...rest] = pattern.split("*") as [string, ...string[]];
  if (rest.length === 0) return pattern === name;
  if (!name.startsWith(head)) return false;
  let at = head.length;
  const tail = rest.pop() as string;
  for (const part of rest) {
    const found = name.indexOf(part, at + 1);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.endsWith(tail) && name.length - tail.length > at;
}

/** Names with their numbers folded: "layers.{i}.output" once. */
export function summarizeTaps(names: readonly string[]): string {
  return [...new Set(names.map((name) => name.replace(/\d+/g, "{i}")))].join(", ");
}

/** Adjacent rows of a pass that belong to one of its sequences. */
export interface TappedRows {
  /** Which sequence of the pass. */
  readonly sequence: number;
  /** One for each row. */
  readonly ids: { readonly length: number };
  /** The first of the rows among the positions that the pass adds to this sequence. */
  readonly first: number;
}

/** Collects the selected taps of one pass, for each of its sequences, over all chunks. */
export class Capture {
  readonly #names: ReadonlySet<string>;
  readonly #lengths: readonly number[];
  readonly #tensors: Map<string, Tensor>[];
  readonly #arena: Arena;

  /** @param lengths for each sequence, how many positions the pass adds */
  constructor(names: ReadonlySet<string>, lengths: readonly number[], arena: Arena) {
    this.#names = names;
    this.#lengths = lengths;
    this.#tensors = lengths.map(() => new Map());
    this.#arena = arena;
  }

  /** Whether a tap is wanted. */
  wants(name: string): boolean {
    return this.#names.has(name);
  }

  /** Takes rows [N, width] that all segments share, in their order. */
  rows(name: string, segments: readonly TappedRows[], address: Address, width: number): void {
    if (!this.wants(name)) return;
    let row = 0;
    for (const { sequence, ids, first } of segments) {
      const { data } = this.#tensor(name, sequence, [this.#lengths[sequence], width]);
      data.set(this.#arena.f32(address + 4 * row * width, ids.length * width), first * width);
      row += ids.length;
    }
  }

  /**
   * Takes the attention weights of one query, [H, 1, keyCount]. Keys that it has none of, up to `keys`, have weight 0.
   *
   * @param query which of the positions that the pass adds
   */
  probs(
    name: string,
    sequence: number,
    query: number,
    keys: number,
    { address, heads, keyCount }: { readonly address: Address; readonly heads: number; readonly keyCount: number },
  ): void {
    const queries = this.#lengths[sequence];
    const { data } = this.#tensor(name, sequence, [heads, queries, keys]);
    const weights = this.#arena.f32(address, heads * keyCount);
    for (let h = 0; h < heads; h++) {
      data.set(weights.subarray(h * keyCount, (h + 1) * keyCount), (h * queries + query) * keys);
    }
  }

  /** What was captured of a sequence, in the order in which it was computed. */
  take(sequence: number): Record<string, Tensor> {
    return Object.fromEntries(this.#tensors[sequence]);
  }

  #tensor(name: string, sequence: number, shape: readonly number[]): Tensor {
    const tensors = this.#tensors[sequence];
    let tensor = tensors.get(name);
    if (tensor === undefined) {
      tensor = { data: room(name, shape), shape };
      tensors.set(name, tensor);
    }
    return tensor;
  }
}

function room(name: string, shape: readonly number[]): Float32Array {
  const length = elementCount(shape);
  try {
    return new Float32Array(length);
  } catch (cause) {
    throw new OutOfMemoryError(`capture: ${name} [${shape.join(", ")}] takes ${4 * length} bytes`, { cause });
  }
}
