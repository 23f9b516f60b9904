/** Finding the largest of a row without sorting it. */

/** Up to so many, a heap of the largest beats a sort of all. */
const MAX_HEAP = 4096;

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
