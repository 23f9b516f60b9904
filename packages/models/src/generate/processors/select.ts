/** Finding the largest of a row without sorting it, and sorting what has to be sorted. */

/** Up to so many, a heap of the largest beats a sort of all. */
const MAX_HEAP = 32768;

/**
 * The k-th largest value, equal ones counted each.
 *
 * @param values without NaN
 * @param k from 1 to their number
 */
export function kthLargest(values: Float32Array, k: number): number {
  if (k > MAX_HEAP) return values.slice().sort()[values.length - k];
  const heap = values.slice(0, k).sort(); // in ascending order, which is a heap with the least on top
  for (let i = k; i < values.length; i++) {
    const value = values[i];
    if (!(value > heap[0])) continue;
    let place = 0;
    for (let child = 1; child < k; child = 2 * place + 1) {
      if (child + 1 < k && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= value) break;
      heap[place] = heap[child];
      place = child;
    }
    heap[place] = value;
  }
  return heap[0];
}

/** Ids of the k largest values, the largest first; of equal ones the lower id goes first. @param values without NaN */
export function largest(values: Float32Array, k: number): number[] {
  const count = Math.min(k, values.length);
  const bound = kthLargest(values, count);
  const above: number[] = [];
  const equal: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] > bound) above.push(i);
    else if (values[i] === bound && equal.length < count) equal.push(i);
  }
  above.sort((a, b) => values[b] - values[a] || a - b);
  return above.concat(equal).slice(0, count);
}

const DIGIT = 11; // bits: three passes over 32
const BUCKETS = 2 ** DIGIT;
const counts = new Int32Array(BUCKETS);

/**
 * Sorts ids by their values, the least first, and equal ones as they stand: by radix, as rows are long.
 *
 * @param values without NaN
 * @param ids is overwritten
 * @returns the ids, sorted: `ids` or a copy
 */
export function ascending(values: Float32Array, ids: Int32Array): Int32Array {
  // Bits of floats, turned so that they are in the order of the numbers.
  const picked = Float32Array.from(ids, (id) => values[id] + 0); // -0 becomes 0
  let keys = new Uint32Array(picked.buffer);
  for (let i = 0; i < keys.length; i++) keys[i] ^= keys[i] & 0x80000000 ? 0xffffffff : 0x80000000;
  let nextKeys = new Uint32Array(keys.length);
  let from: Int32Array = ids;
  let to: Int32Array = new Int32Array(ids.length);
  for (let shift = 0; shift < 32; shift += DIGIT) {
    counts.fill(0);
    for (let i = 0; i < keys.length; i++) counts[(keys[i] >>> shift) & (BUCKETS - 1)]++;
    for (let digit = 0, place = 0; digit < BUCKETS; digit++) {
      const count = counts[digit];
      counts[digit] = place;
      place += count;
    }
    for (let i = 0; i < keys.length; i++) {
      const place = counts[(keys[i] >>> shift) & (BUCKETS - 1)]++;
      nextKeys[place] = keys[i];
      to[place] = from[i];
    }
    [keys, nextKeys] = [nextKeys, keys];
    [from, to] = [to, from];
  }
  return from;
}
