/** The vector functions against their double precision counterparts: stated bounds, over all sizes, and the edges. */

import { describe, expect, test } from "vitest";
import { Random } from "../../../../tests/ops/random";
import { exp, sigmoid, tanh } from "../elementary";
import { ACTIVATIONS, activationFunction } from "../kernels/activation";
import type { FunctionBuilder } from "./assembler";
import {
  SIDE_BY_SIDE,
  type VectorFunction,
  vectorActivation,
  vectorExp,
  vectorExpBelow,
  vectorSigmoid,
  vectorTanh,
} from "./elementary";
import type { ModuleBuilder } from "./module";
import { floatsOfAllSizes, specialFloats, testKernels, ulp, worstUlp } from "./testing";

const FUNCTIONS: Readonly<Record<string, (module: ModuleBuilder, f: FunctionBuilder) => VectorFunction>> = {
  exp: vectorExp,
  "exp below": vectorExpBelow,
  sigmoid: vectorSigmoid,
  tanh: vectorTanh,
  ...Object.fromEntries(
    ACTIVATIONS.map((name) => [name, (m: ModuleBuilder, f: FunctionBuilder) => vectorActivation(m, f, name)]),
  ),
};

/** Kernels "{function} {vectors}": out = f(x) over from..to times so many vectors, computed side by side. */
const kernels = testKernels((module) => {
  for (const [name, prepare] of Object.entries(FUNCTIONS)) {
    for (const vectors of [1, SIDE_BY_SIDE]) {
      module.kernel(`${name} ${vectors}`, { out: "ptr", x: "ptr" }, (f, { out, x }, { to }) => {
        const emit = prepare(module, f);
        const turn = f.local("i32");
        f.for(turn, to, 1, () => {
          emit(Array.from({ length: vectors }, (_, i) => f.local("v128", f.v128.load(x(), 16 * i)))).forEach((y, i) => {
            f.v128.store(out(), y(), 16 * i);
          });
          f.advance(x, 16 * vectors);
          f.advance(out, 16 * vectors);
        });
      });
    }
  }
});

/** f of each element. */
function applied(name: string, x: Float32Array, vectors = 1): Float32Array {
  const whole = Math.ceil(x.length / (4 * vectors));
  const padded = new Float32Array(whole * 4 * vectors);
  padded.set(x);
  return kernels.run(`${name} ${vectors}`, [padded.slice(), padded], [0, whole]).subarray(0, x.length);
}

/** Floats of all sizes up to `largest`, as many spread evenly from `from` to `to`, and the special ones. */
function sample(from: number, to: number, largest: number): Float32Array {
  const count = 100_000;
  const random = new Random(1);
  const even = Float32Array.from({ length: count }, (_, i) => from + ((i + random.next()) * (to - from)) / count);
  return Float32Array.from([...specialFloats(), ...floatsOfAllSizes(count, largest), ...even]);
}

const LARGEST = 3.4028234663852886e38;

describe("to double precision", () => {
  test.each<[string, string, number, (x: number) => number, Float32Array]>([
    ["exp", "1 ulp", 1, exp, sample(-105, 90, LARGEST)],
    ["exp below", "1 ulp up to 60", 1, exp, sample(-105, 60, LARGEST).filter((x) => !(x > 60))],
    ["sigmoid", "2.5 ulp", 2.5, sigmoid, sample(-105, 25, LARGEST)],
    ["tanh", "2.5 ulp", 2.5, tanh, sample(-10, 10, LARGEST)],
    ["relu", "no error", 0, activationFunction("relu"), sample(-1, 1, LARGEST)],
    ["quick-gelu", "2.5 ulp", 2.5, activationFunction("quick-gelu"), sample(-65, 15, LARGEST)],
    ["silu", "2.5 ulp", 2.5, activationFunction("silu"), sample(-110, 25, LARGEST)],
    ["gelu", "4.5 ulp from 0 up", 4.5, activationFunction("gelu"), sample(0, 10, LARGEST).filter((x) => !(x < 0))],
    ["gelu-tanh", "2 ulp from 0 up", 2, activationFunction("gelu-tanh"), sample(0, 10, 10).filter((x) => !(x < 0))],
  ])("%s within %s", (name, _, bound, f, x) => {
    const { ulps, at } = worstUlp(applied(name, x), Array.from(x, f));
    expect(ulps, `at ${x[at]}`).toBeLessThanOrEqual(bound);
  });

  /** The largest |f(x) - exact| / size, in which a step of the denormals is nothing. */
  function worst(name: "gelu" | "gelu-tanh", x: Float32Array, size: (x: number, exact: number) => number): number {
    const f = activationFunction(name);
    const errors = Array.from(applied(name, x), (y, i) => {
      const exact = f(x[i]);
      return y === exact ? 0 : Math.max(0, Math.abs(y - exact) - 2 ** -149) / size(x[i], exact);
    });
    return errors.reduce((a, b) => Math.max(a, b), 0);
  }

  const finite = sample(-16, 16, LARGEST).filter(Number.isFinite);

  test.each<["gelu" | "gelu-tanh", number]>([
    ["gelu", 3],
    ["gelu-tanh", 2.1],
  ])("%s within %d * 2^-24 |x|", (name, bound) => {
    expect(worst(name, finite, (x) => 2 ** -24 * Math.abs(x))).toBeLessThanOrEqual(bound);
  });

  test("gelu-tanh x (1 + tanh z) / 2 within 2 + 6 |z| ulp where it is small", () => {
    const z = (x: number) => 0.7978845608028654 * (x + 0.044715 * x ** 3);
    const tail = finite.filter((x) => x < -0.1);
    expect(worst("gelu-tanh", tail, (x, exact) => (2 + 6 * Math.abs(z(x))) * ulp(exact))).toBeLessThanOrEqual(1);
  });
});

describe("edges", () => {
  const { POSITIVE_INFINITY: INFINITY } = Number;

  test.each<[string, number, number]>([
    ["exp", INFINITY, INFINITY],
    ["exp", 88.8, INFINITY],
    ["exp", -INFINITY, 0],
    ["exp", 0, 1],
    ["exp below", -INFINITY, 0],
    ["exp below", -0, 1],
    ["sigmoid", INFINITY, 1],
    ["sigmoid", -INFINITY, 0],
    ["sigmoid", 0, 0.5],
    ["tanh", INFINITY, 1],
    ["tanh", -INFINITY, -1],
    ["tanh", -0, -0],
    ["tanh", -1.401298464324817e-45, -1.401298464324817e-45],
    ...ACTIVATIONS.map((name): [string, number, number] => [name, INFINITY, INFINITY]),
    ...ACTIVATIONS.map((name): [string, number, number] => [name, 3.4028234663852886e38, 3.4028234663852886e38]),
  ])("%s(%d) is %d", (name, x, expected) => {
    expect(applied(name, Float32Array.of(x))[0]).toBe(expected);
  });

  test.each(ACTIVATIONS)("%s is 0 at -Infinity, at the most negative number and at both zeros", (name) => {
    const ys = applied(name, Float32Array.of(-INFINITY, -LARGEST, 0, -0));
    expect([...ys].every((y) => y === 0)).toBe(true);
  });

  test.each(Object.keys(FUNCTIONS))("%s of any NaN is NaN", (name) => {
    const bits = Uint32Array.of(0x7fc00000, 0xffc00000, 0x7fffffff, 0xffffffff, 0x7fc12345, 0x7f800001, 0xff812345);
    expect([...applied(name, new Float32Array(bits.buffer))].every(Number.isNaN)).toBe(true);
  });
});

test.each(Object.keys(FUNCTIONS))("%s: vectors side by side give the same bits as alone", (name) => {
  const x = sample(-20, 20, 1e3).subarray(0, 20_000);
  expect(applied(name, x, SIDE_BY_SIDE)).toEqual(applied(name, x));
});
