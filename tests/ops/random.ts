/** Inputs for tests and benchmarks: the same numbers on every machine. */

/** A seeded source of numbers (mulberry32). Integer arithmetic and additions only, so engines cannot differ. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** An integer in 0..end-1. */
  integer(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** Numbers close to the normal distribution (a sum of six uniform ones), of mean 0 and the given deviation. */
  normal(count: number, deviation = 1): Float32Array {
    const factor = deviation * Math.SQRT2;
    return Float32Array.from({ length: count }, () => {
      let sum = -3;
      for (let i = 0; i < 6; i++) sum += this.next();
      return sum * factor;
    });
  }
}

/** What the numbers of an input are like. */
export type Values =
  | "normal"
  | "negative"
  /** Around 1e-30, so that products are denormal or 0 in float32. */
  | "tiny"
  /** Denormal in float32. */
  | "denormal"
  /** Around 1e30, so that products overflow float32. */
  | "huge";

/** A seed from a name, so that cases do not share inputs and none depends on its place in a table. */
export function seedOf(name: string): number {
  let seed = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) seed = Math.imul(seed ^ name.charCodeAt(i), 0x01000193);
  return seed >>> 0;
}

/** `count` numbers of a kind. */
export function numbers(random: Random, count: number, values: Values): Float32Array {
  switch (values) {
    case "normal":
      return random.normal(count);
    case "negative":
      return random.normal(count).map((x) => -Math.abs(x));
    case "tiny":
      return random.normal(count, 1e-30);
    case "denormal":
      return random.normal(count, 1e-39);
    case "huge":
      return random.normal(count, 1e30);
  }
}
