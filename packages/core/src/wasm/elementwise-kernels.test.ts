/** The elementwise kernels: their results are those of the functions, wherever an element and its block lie. */

import { describe, expect, test } from "vitest";
import { Random } from "../../../../tests/ops/random";
import { ACTIVATIONS } from "../kernels/activation";
import { activate, softCap } from "../kernels/reference/elementwise";
import { ELEMENT_BLOCK, emitActivate, emitAdd, emitGate, emitSoftCap } from "./elementwise-kernels";
import { knownAddressBits, type Part, specialFloats, testKernels, ulp, worstUlp } from "./testing";

const COUNTS = [0, 1, 3, 4, 5, 16, 17, 1031, 4096, 5000];

/** The whole job, which is at least one part. */
function whole(count: number): Part {
  return [0, Math.ceil(count / ELEMENT_BLOCK)];
}

function random(count: number, seed: number): Float32Array {
  const x = new Random(seed).normal(count, 4);
  x.set(specialFloats().subarray(0, count));
  return x;
}

function unwritten(count: number): Float32Array {
  return new Float32Array(count).fill(Number.NaN);
}

describe.each(knownAddressBits())("with addresses of %d bits", (addressBits) => {
  const { run } = testKernels((module) => {
    emitAdd(module);
    emitSoftCap(module);
    for (const activation of ACTIVATIONS) {
      emitActivate(module, activation);
      emitGate(module, activation);
    }
  }, addressBits);

  describe.each(COUNTS)("%d elements", (count) => {
    const [x, y, out] = [random(count, 1), random(count, 2).reverse(), unwritten(count)];

    test("add is rounded", () => {
      expect(run("add", [out, x, y, count], whole(count))).toEqual(x.map((value, i) => value + y[i]));
    });

    test.each(ACTIVATIONS)("%s wherever an element is, within 3 ulp or 3 * 2^-24 |x| of the reference", (name) => {
      const actual = run(`activate.${name}`, [out, x, count], whole(count));
      for (const shift of [1, 2, 3, 15].filter((elements) => elements <= count)) {
        const rest = x.slice(shift);
        const shifted = run(`activate.${name}`, [unwritten(rest.length), rest, rest.length], whole(rest.length));
        expect(shifted).toEqual(actual.subarray(shift));
      }
      const expected = new Float32Array(count);
      activate(expected, x, name);
      actual.forEach((value, i) => {
        if (Object.is(value, expected[i]) || value === expected[i]) return; // NaN, Infinity, 0 and -0
        const allowed = Math.max(3 * ulp(expected[i]), 3 * 2 ** -24 * Math.abs(x[i]) + ulp(expected[i]));
        expect(Math.abs(value - expected[i]), `at ${x[i]}`).toBeLessThanOrEqual(allowed);
      });
    });

    test.each(ACTIVATIONS)("the %s gate is the activation times the other input, rounded", (name) => {
      const activated = run(`activate.${name}`, [out, x, count], whole(count));
      const actual = run(`gate.${name}`, [out, x, y, count], whole(count));
      expect(actual).toEqual(activated.map((value, i) => value * y[i]));
    });

    test.each([30, 50, 0.7])("a soft cap of %d within 5 ulp of the reference, and 2^-149 cap", (cap) => {
      const actual = run("softCap", [out, x, count, cap], whole(count));
      const expected = new Float32Array(count);
      softCap(expected, x, cap);
      const near = actual.map((value, i) => (Math.abs(value - expected[i]) <= cap * 2 ** -149 ? expected[i] : value));
      expect(worstUlp(near, expected).ulps).toBeLessThanOrEqual(5);
    });
  });

  describe("5000 elements", () => {
    const count = 5000;
    const [x, y] = [random(count, 3), random(count, 4)];
    const cases: [string, (out: Float32Array) => (Float32Array | number)[]][] = [
      ["add", (out) => [out, x, y, count]],
      ["softCap", (out) => [out, x, count, 30]],
      ...ACTIVATIONS.flatMap((name): [string, (out: Float32Array) => (Float32Array | number)[]][] => [
        [`activate.${name}`, (out) => [out, x, count]],
        [`gate.${name}`, (out) => [out, x, y, count]],
      ]),
    ];

    test.each(cases)("%s: parts give the same bits as the whole, and an input may be the output", (name, args) => {
      const expected = run(name, args(unwritten(count)), whole(count));
      expect(run(name, args(unwritten(count)), [3, 5], [0, 1], [1, 1], [1, 3])).toEqual(expected);
      expect(run(name, args(x), whole(count))).toEqual(expected);
      if (args(x).includes(y)) expect(run(name, args(y), whole(count))).toEqual(expected);
    });

    test("a part writes its blocks alone", () => {
      const out = run("add", [unwritten(count), x.fill(1), y.fill(1), count], [1, 2], [4, 5]);
      out.forEach((value, i) => {
        const block = Math.floor(i / ELEMENT_BLOCK);
        expect(value).toBe(block === 1 || block === 4 ? 2 : Number.NaN);
      });
    });
  });
});
