/** Things that are kept for whoever needs one next. */

/**
 * Takes the smallest that is large enough out of `free`; null where none is.
 *
 * @param sizeOf how much one holds
 */
export function takeSmallest<T>(free: T[], needed: number, sizeOf: (each: T) => number): T | null {
  let best = -1;
  for (const [i, each] of free.entries()) {
    const size = sizeOf(each);
    if (size >= needed && (best < 0 || size < sizeOf(free[best]))) best = i;
  }
  return best < 0 ? null : free.splice(best, 1)[0];
}
