/** Random numbers that are the same on every machine. */

/**
 * xoshiro128** (Blackman and Vigna 2018), seeded through SplitMix32: integer arithmetic alone, so that a seed gives the
 * same numbers everywhere. Not for secrets.
 *
 * @param seed an integer from 0 to 2^53 - 1
 * @returns a function that gives numbers in [0, 1) with 53 random bits
 * @example
 * const random = seededRandom(7);
 * random(); // the same on every machine
 */
export function seededRandom(seed: number): () => number {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`seed: expected an integer from 0 to 2^53 - 1, got ${String(seed)}`);
  }
  // Both halves of the seed count: the low one starts the sequence, the high one is mixed into each word.
  let state = seed >>> 0;
  const high = Math.floor(seed / 2 ** 32);
  const splitMix = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ high;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let [a, b, c, d] = [splitMix(), splitMix(), splitMix(), splitMix()];
  if ((a | b | c | d) === 0) a = 1; // the one state that would give zeros for ever

  const next = (): number => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotateLeft(d, 11);
    return result >>> 0;
  };
  return () => (next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53;
}

function rotateLeft(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}
