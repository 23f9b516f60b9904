/**
 * Exponential, sigmoid, tanh and the activations, on vectors of four float32.
 *
 * A function here takes its constants into locals, which belongs before a kernel's loop, and returns what emits the
 * computation within it, for one vector or, instruction by instruction, for several: a result waits for a chain of some
 * twenty roundings, which a processor only fills with other work if that is near. Each lane depends on itself alone.
 *
 * Method: z = n ln 2 + r with |r| <= ln(2)/2, where ln 2 is in two parts (Cody and Waite 1980), and e^r by a minimax
 * polynomial of degree 6. NaN stays NaN; -Infinity and Infinity give their limits. Bounds are in ulp of the result,
 * denormal results included; they were found by trying all 2^32 arguments, and the tests hold them on a sample.
 */

import type { Activation } from "../kernels/activation";
import type { FunctionBuilder, Local, Operand } from "./assembler";
import type { ModuleBuilder } from "./module";

type Vector = Local<"v128">;
export type Vectors = readonly Vector[];
/** How many vectors are best computed side by side: more make the registers spill. */
export const SIDE_BY_SIDE = 4;
/** Emits f(x) for each of the vectors, into new locals. */
export type VectorFunction = (x: Vectors) => Vectors;

/** How z falls apart, and the polynomial of its remainder: e^z = 2^n (1 + p). */
interface Series {
  /** n = z * factor, rounded. */
  readonly factor: number;
  /** r = z + n * high + n * low. The high part has so few bits that n times it is exact. */
  readonly high: number;
  readonly low: number;
  /** p = linear * r + r² * (the others, from the constant up). */
  readonly linear: number;
  readonly others: readonly [number, number, number, number, number];
}

/** Of e^z. */
const GROWTH: Series = {
  factor: 1.4426950216293335,
  high: -0.693145751953125,
  low: -1.428606765330187e-6,
  linear: 1,
  others: [0.4999999403953552, 0.1666652262210846, 0.04166829213500023, 0.008368533104658127, 0.001381829148158431],
};
/** Of e^-z. */
const DECAY: Series = {
  factor: -1.4426950216293335,
  high: 0.693145751953125,
  low: 1.428606765330187e-6,
  linear: -1,
  others: [0.4999999403953552, -0.1666652262210846, 0.04166829213500023, -0.008368533104658127, 0.001381829148158431],
};
/** Of e^(-1.702 z): a product 1.702 z, rounded, would cost the tail its precision. */
const QUICK_DECAY: Series = {
  factor: -2.4554669857025146,
  high: 0.407257080078125,
  low: -2.5674107746453956e-6,
  linear: -1.7020000219345093,
  others: [1.4484018087387085, -0.8217177391052246, 0.34965845942497253, -0.11955635994672775, 0.03360133618116379],
};
/** w / a of gelu, in powers of a, from the highest down. */
const GELU_ROOT = [
  5.079730840407137e-7, 8.909163966563938e-7, 6.387241592165083e-5, 1.4338173969008494e-5, 0.00329579203389585,
  0.02113485150039196, 0.049868013709783554,
];

/** 1.5 * 2^23: floats of this size count in ones, so that adding it rounds, to an integer in the lowest bits. */
const INTEGERS = 12_582_912;
/** Added to n, this makes the bits of n the exponent of 2^n. */
const EXPONENT_BIAS = 127;
const EXPONENT_BITS = 0x7f800000;
const MANTISSA_LENGTH = 23;
const SIGN_BIT = 0x80000000 | 0;

/** A function's constants, and its instructions on several vectors at once. */
export function vectorMath(module: ModuleBuilder, f: FunctionBuilder) {
  const { f32x4, i32x4, v128 } = f;
  type Instruction = (...operands: Operand<"v128">[]) => Operand<"v128">;
  const each =
    (instruction: Instruction) =>
    (...operands: readonly (Vectors | Vector)[]): Vectors => {
      const count = operands.find((operand) => typeof operand !== "function")?.length ?? 1;
      return Array.from({ length: count }, (_, i) =>
        f.local(
          "v128",
          instruction(...operands.map((operand) => (typeof operand === "function" ? operand : operand[i])())),
        ),
      );
    };
  return {
    float: (value: number): Vector => module.constant(f, new Float32Array(4).fill(value)),
    bits: (value: number): Vector => module.constant(f, new Int32Array(4).fill(value)),
    add: each(f32x4.add as Instruction),
    sub: each(f32x4.sub as Instruction),
    mul: each(f32x4.mul as Instruction),
    div: each(f32x4.div as Instruction),
    abs: each(f32x4.abs as Instruction),
    /** The larger of the two; NaN if x is. */
    atLeast: each(f32x4.pmax as Instruction),
    /** The smaller of the two; NaN if x is. */
    atMost: each(f32x4.pmin as Instruction),
    less: each(f32x4.lt as Instruction),
    /** x where the mask is set, otherwise y. */
    choose: each(v128.bitselect as Instruction),
    and: each(v128.and as Instruction),
    or: each(v128.or as Instruction),
    subBits: each(i32x4.sub as Instruction),
    shiftLeft: (x: Vectors, by: number) => each((bits) => i32x4.shl(bits, f.i32.const(by)))(x),
    shiftRight: (x: Vectors, by: number) => each((bits) => i32x4.shr_u(bits, f.i32.const(by)))(x),
  };
}

/** Emits a polynomial; coefficients from the highest power down. */
function polynomial(module: ModuleBuilder, f: FunctionBuilder, coefficients: readonly number[]): VectorFunction {
  const { float, add, mul } = vectorMath(module, f);
  const [highest, next, ...rest] = coefficients.map(float);
  return (x) => rest.reduce((sum, c) => add(mul(sum, x), c), add(mul(highest, x), next));
}

/** Emits e^z = 2^n (1 + p) as p, and as `power` the bits of 2^(n + offset). For |z| < 2^21. */
function exponential(module: ModuleBuilder, f: FunctionBuilder, series: Series, offset: number) {
  const { float, add, sub, mul, shiftLeft } = vectorMath(module, f);
  const integers = float(INTEGERS + EXPONENT_BIAS + offset);
  const [factor, high, low] = [series.factor, series.high, series.low].map(float);
  const [c0, c1, c2, c3, c4] = series.others.map(float);
  const linear = Math.abs(series.linear) === 1 ? null : float(series.linear);
  return (z: Vectors) => {
    const power = add(mul(z, factor), integers);
    const n = sub(power, integers);
    const r = add(add(z, mul(n, high)), mul(n, low));
    // In two halves, which a processor computes side by side (Estrin 1960)
    const square = mul(r, r);
    const upper = add(add(mul(r, c3), c2), mul(square, c4));
    const sum = mul(add(mul(upper, square), add(mul(r, c1), c0)), square);
    const p = linear !== null ? add(sum, mul(r, linear)) : series.linear > 0 ? add(sum, r) : sub(sum, r);
    return { p, power: shiftLeft(power, MANTISSA_LENGTH) };
  };
}

/** e^x. Within 1 ulp; Infinity and 0 beyond the range of float32. */
export function vectorExp(module: ModuleBuilder, f: FunctionBuilder): VectorFunction {
  const { float, bits, add, mul, atLeast, atMost, and, subBits, shiftRight } = vectorMath(module, f);
  const [least, most, one, exponentBits] = [float(-104), float(89), float(1), bits(EXPONENT_BITS)];
  const parts = exponential(module, f, GROWTH, EXPONENT_BIAS);
  return (x) => {
    const { p, power } = parts(atLeast(atMost(x, most), least));
    // 2^n in two factors, since n may be no exponent of a normal float
    const half = and(shiftRight(power, 1), exponentBits);
    return mul(mul(add(p, one), half), subBits(power, half));
  };
}

/** e^x for x <= 60, a little faster: what softmax needs. Within 1 ulp. */
export function vectorExpBelow(module: ModuleBuilder, f: FunctionBuilder): VectorFunction {
  const { float, add, mul, atLeast } = vectorMath(module, f);
  const [least, one, back] = [float(-104), float(1), float(2 ** -30)];
  const parts = exponential(module, f, GROWTH, 30);
  return (x) => {
    const { p, power } = parts(atLeast(x, least));
    return mul(mul(add(p, one), power), back);
  };
}

/** 1 / (1 + e^-x). Within 2.5 ulp. */
export function vectorSigmoid(module: ModuleBuilder, f: FunctionBuilder): VectorFunction {
  const { float, add, mul, div, atLeast, atMost } = vectorMath(module, f);
  // Numerator and denominator are 2^-64 times what they are, so that e^104 is finite.
  const [least, most, one, scale] = [float(-104), float(20), float(1), float(2 ** -64)];
  const parts = exponential(module, f, DECAY, -64);
  return (x) => {
    const { p, power } = parts(atLeast(atMost(x, most), least));
    return div(scale, add(mul(add(p, one), power), scale));
  };
}

/** Hyperbolic tangent, odd. Within 2.5 ulp. */
export function vectorTanh(module: ModuleBuilder, f: FunctionBuilder): VectorFunction {
  const { float, bits, add, sub, mul, div, abs, atMost, and, or } = vectorMath(module, f);
  const [most, one, two, signBit] = [float(9.5), float(1), float(2), bits(SIGN_BIT)];
  const parts = exponential(module, f, DECAY, 0);
  return (x) => {
    const a = atMost(abs(x), most);
    const { p, power } = parts(add(a, a));
    // q / (2 - q) with q = 1 - e^-2a, put together so that it does not cancel near 0
    const q = sub(sub(one, power), mul(p, power));
    return or(div(q, sub(two, q)), and(x, signBit));
  };
}

/**
 * Emits x / (1 + e^-z) from the parts of e^-z. Below `deep`, where the denominator would leave the range of float32,
 * both are taken 2^-32 times, by their exponents.
 */
function weighted(module: ModuleBuilder, f: FunctionBuilder, series: Series, deep: number) {
  const { float, bits, add, mul, div, less, and, subBits } = vectorMath(module, f);
  const [one, threshold, step] = [float(1), float(deep), bits(32 << MANTISSA_LENGTH)];
  const parts = exponential(module, f, series, 0);
  return (x: Vectors, z: Vectors): Vectors => {
    const { p, power } = parts(z);
    const shift = and(less(z, threshold), step);
    return div(subBits(x, shift), add(mul(add(p, one), subBits(power, shift)), one));
  };
}

/** x / (1 + e^-x), or with another series: 0 below `least`, x above `most`. */
function sigmoidWeighted(
  module: ModuleBuilder,
  f: FunctionBuilder,
  { series, least, most, deep }: { series: Series; least: number; most: number; deep: number },
): VectorFunction {
  const { float, atLeast, atMost } = vectorMath(module, f);
  const [lowest, highest] = [float(least), float(most)];
  const result = weighted(module, f, series, deep);
  return (x) => {
    const low = atLeast(x, lowest);
    return result(low, atMost(low, highest));
  };
}

/** x (1 + tanh z) / 2 = x / (1 + e^-2z), where 2z = sqrt(8/pi) (x + 0.044715 x³). */
function geluTanh(module: ModuleBuilder, f: FunctionBuilder): VectorFunction {
  const { float, add, mul, atLeast, atMost } = vectorMath(module, f);
  const [least, most, linear, cubic] = [float(-10.8), float(20), float(1.5957691669464111), float(0.07135481387376785)];
  const result = weighted(module, f, DECAY, -64);
  return (x) => {
    const low = atLeast(x, least);
    const twice = mul(add(mul(mul(low, low), cubic), linear), low);
    return result(low, atMost(twice, most));
  };
}

/**
 * x Φ(x), where Φ(-a) = 1 / (2 y^16) for a = |x| and a polynomial y = 1 + w in a, minimax for the absolute error, and
 * Φ(a) = 1 - Φ(-a). Squares go by y² - 1 = w (w + 2), which is rounded relative to w.
 */
function gelu(module: ModuleBuilder, f: FunctionBuilder): VectorFunction {
  const { float, add, sub, mul, div, abs, atLeast, atMost, less, choose } = vectorMath(module, f);
  // Beyond `far`, where w is Infinity, x is `far` too, since Infinity times 0 would be NaN.
  const [zero, half, one, two, far] = [float(0), float(0.5), float(1), float(2), float(65_536)];
  const least = float(-65_536);
  const root = polynomial(module, f, GELU_ROOT);
  return (x) => {
    const a = atMost(abs(x), far);
    let w = mul(root(a), a);
    for (let square = 0; square < 4; square++) w = mul(w, add(w, two));
    const below = div(half, add(w, one));
    return mul(atLeast(x, least), choose(below, sub(one, below), less(x, zero)));
  };
}

/**
 * An activation. relu is exact; silu and quick-gelu are within 2.5 ulp; gelu is within 3 * 2^-24 |x|, which from 0 up
 * is 4.5 ulp, and in its left tail leaves no digit from -5.5 on; gelu-tanh is within 2.1 * 2^-24 |x|, which from 0 up is
 * 2 ulp, and in its left tail within 2 + 6 |z| ulp, since its z is rounded.
 */
export function vectorActivation(module: ModuleBuilder, f: FunctionBuilder, activation: Activation): VectorFunction {
  switch (activation) {
    case "relu": {
      const { float, atLeast } = vectorMath(module, f);
      const zero = float(0);
      return (x) => atLeast(x, zero);
    }
    case "gelu":
      return gelu(module, f);
    case "gelu-tanh":
      return geluTanh(module, f);
    case "quick-gelu":
      return sigmoidWeighted(module, f, { series: QUICK_DECAY, least: -64.5, most: 12, deep: -37 });
    case "silu":
      return sigmoidWeighted(module, f, { series: DECAY, least: -110, most: 20, deep: -64 });
  }
}
