/** The random numbers that PyTorch draws on a CPU: needed where a result must be the same as its. */

const WORDS = 624;
const SHIFT = 397;

/**
 * The Mersenne Twister of 32 bits, MT19937 (Matsumoto and Nishimura 1998), seeded as `torch.Generator` seeds it: by the
 * low 32 bits of the seed. Not for secrets.
 *
 * @example
 * const generator = new Mt19937(5489);
 * generator.next(); // 3499211612, as the authors' own program gives
 */
export class Mt19937 {
  readonly #state = new Int32Array(WORDS); // signed: engines keep such words as integers
  #used = WORDS;

  /** @param seed an integer from 0 to 2^32 - 1 */
  constructor(seed: number) {
    this.seed(seed);
  }

  /** Starts over. @param seed an integer from 0 to 2^32 - 1 */
  seed(seed: number): void {
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < WORDS; i++) {
      const before = state[i - 1];
      state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
    this.#used = WORDS;
  }

  /** The next number, from 0 to 2^32 - 1. */
  next(): number {
    if (this.#used === WORDS) this.#twist();
    let x = this.#state[this.#used++];
    x ^= x >>> 11;
    x ^= (x << 7) & 0x9d2c5680;
    x ^= (x << 15) & 0xefc60000;
    return (x ^ (x >>> 18)) >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < WORDS; i++) {
      const x = (state[i] & 0x80000000) | (state[i + 1 < WORDS ? i + 1 : 0] & 0x7fffffff);
      const far = i + SHIFT < WORDS ? i + SHIFT : i + SHIFT - WORDS;
      state[i] = state[far] ^ (x >>> 1) ^ (-(x & 1) & 0x9908b0df);
    }
    this.#used = 0;
  }
}

/**
 * The first `count` numbers of `torch.randperm(n)`: each place takes a random one of those that are left.
 *
 * @param n up to 2^32 / 20, from where on torch draws in another way
 * @returns [count] of the numbers 0 to n - 1
 */
export function randomPermutation(generator: Mt19937, n: number, count = n): Int32Array {
  const order = new Int32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  for (let i = 0; i < count && i < n - 1; i++) {
    const other = i + below(generator, n - i);
    const taken = order[other];
    order[other] = order[i];
    order[i] = taken;
  }
  return order.subarray(0, count);
}

/** Whether `value` is among the first `count` numbers of `torch.randperm(n)`: follows its place, and makes no list. */
export function isEarlyInPermutation(generator: Mt19937, n: number, count: number, value: number): boolean {
  let place = value;
  for (let i = 0; i < count && i < n - 1; i++) {
    const other = i + below(generator, n - i);
    if (other === place) return true;
    if (i === place) place = other;
  }
  return place < count;
}

/** A number from 0 to n - 1. */
function below(generator: Mt19937, n: number): number {
  return (generator.next() >>> 0) % (n >>> 0); // said to be unsigned, so that engines divide integers
}
