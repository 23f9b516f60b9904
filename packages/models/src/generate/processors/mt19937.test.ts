/** The Mersenne Twister and permutations against what others give. */

import { expect, test } from "vitest";
import { isEarlyInPermutation, Mt19937, randomPermutation } from "./mt19937";

test("numbers of the standard seed", () => {
  const generator = new Mt19937(5489);
  const numbers = Array.from({ length: 10_000 }, () => generator.next());
  expect(numbers[0]).toBe(3499211612);
  expect(numbers[9999]).toBe(4123659995); // as the C++ standard demands of std::mt19937
});

test("a seed starts over, and seeds of 32 bits all count", () => {
  const generator = new Mt19937(7);
  const first = generator.next();
  for (let i = 0; i < 700; i++) generator.next();
  generator.seed(7);
  expect(generator.next()).toBe(first);
  expect(new Mt19937(7 + 2 ** 31).next()).not.toBe(first);
});

// torch.randperm(n, generator=torch.Generator().manual_seed(seed)) of torch 2.15: its first 8, and its last 3
test.each([
  [15485863, 50, [8, 23, 7, 30, 19, 16, 13, 40], [22, 26, 20]],
  [7, 10, [5, 0, 3, 4, 1, 7, 9, 6], [6, 8, 2]],
  [5, 1000, [411, 49, 291, 695, 678, 515, 112, 606], [389, 935, 655]],
  [3, 250_002, [140062, 9834, 221739, 68100, 186358, 108537, 22950, 222432], [22743, 28302, 190177]],
])("torch's permutation of seed %i, n = %i", (seed, n, first, last) => {
  const order = randomPermutation(new Mt19937(seed), n);
  expect([...order.subarray(0, 8)]).toEqual(first);
  expect([...order.subarray(n - 3)]).toEqual(last);
  expect(new Set(order).size).toBe(n);
});

test("a part of a permutation, and one number's place in it", () => {
  const generator = new Mt19937(0);
  for (const [n, count] of [
    [60, 15],
    [60, 60],
    [60, 1],
    [1, 1],
  ]) {
    generator.seed(99);
    const part = randomPermutation(generator, n, count);
    expect(part).toHaveLength(count);
    for (let value = 0; value < n; value++) {
      generator.seed(99);
      expect(isEarlyInPermutation(generator, n, count, value)).toBe(part.includes(value));
    }
  }
});
