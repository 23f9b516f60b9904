/** Elementary functions: their stated bounds against 60-digit values, and their edges. */

// biome-ignore-all lint/suspicious/noApproximativeNumericConstant: a table of numbers that a program made is kept as made

import { describe, expect, test } from "vitest";
import { cos, erf, erfc, exp, log, MAX_ANGLE, pow, sigmoid, sin, tanh } from "./elementary";

// Rows of arguments and result: the double next to f(x), for x the double as written. Made with mpmath 1.3:
// mp.dps = 60; float(f(mpf(x))). They straddle the places where the functions change their method.
const EXP: readonly (readonly number[])[] = [
  [1e-300, 1],
  [1e-10, 1.0000000001],
  [0.1, 1.1051709180756477],
  [0.3465735902799726, 1.414213562373095],
  [0.34657359027997264, 1.414213562373095],
  [1, 2.718281828459045],
  [-1, 0.36787944117144233],
  [2.5, 12.182493960703473],
  [-17.3, 3.066941294563555e-8],
  [88.72, 3.39317637416317e38],
  [-103.5, 1.1233656060805691e-45],
  [300.1, 2.1467131625231985e130],
  [-700.9, 4.0086453375488673e-305],
  [709.782712893383, 1.7976931348604338e308],
  [-708.5, 2.006132305331306e-308],
  [-740.2, 3.4e-322],
  [-745.1, 5e-324],
];
const LOG: readonly (readonly number[])[] = [
  [5e-324, -744.4400719213812],
  [1e-310, -713.8013788281542],
  [2.2250738585072014e-308, -708.3964185322641],
  [1e-20, -46.051701859880914],
  [0.5, -0.6931471805599453],
  [0.7, -0.35667494393873245],
  [0.999999, -1.000000500029089e-6],
  [1.0000001, 9.999999505838704e-8],
  [1.4142135623730951, 0.3465735902799727],
  [1.4142135623730954, 0.34657359027997287],
  [2, 0.6931471805599453],
  [10, 2.302585092994046],
  [10000, 9.210340371976184],
  [500000, 13.122363377404328],
  [1e100, 230.25850929940458],
  [1.7976931348623157e308, 709.782712893384],
];
const POW: readonly (readonly number[])[] = [
  [10000, -0.03125, 0.7498942093324559],
  [10000, -0.984375, 0.00011547819846894582],
  [500000, -0.5, 0.001414213562373095],
  [2, -8, 0.00390625],
  [2, -0.5, 0.7071067811865476],
  [1000000, 0.75, 31622.776601683792],
  [1.5, 100, 4.065611775352152e17],
  [0.001, 1.3, 0.0001258925411794167],
];
const SIN: readonly (readonly number[])[] = [
  [1e-20, 1e-20],
  [0.1, 0.09983341664682815],
  [0.7853981633974483, 0.7071067811865475],
  [0.7853981633974484, 0.7071067811865476],
  [1.5707963267948966, 1],
  [3.141592653589793, 1.2246467991473532e-16],
  [-3.141592653589793, -1.2246467991473532e-16],
  [6.283185307179586, -2.4492935982947064e-16],
  [100, -0.5063656411097588],
  [-12345.678, 0.7040813137533816],
  [131071, -0.5752416837547893],
  [1048576.5, 0.7425208640927718],
  [26353588.5, -0.6937224240511053],
  [-26353589, 0.26349607376641],
];
const COS: readonly (readonly number[])[] = [
  [1e-20, 1],
  [0.1, 0.9950041652780258],
  [0.7853981633974483, 0.7071067811865476],
  [0.7853981633974484, 0.7071067811865475],
  [1.5707963267948966, 6.123233995736766e-17],
  [3.141592653589793, -1],
  [4.71238898038469, -1.8369701987210297e-16],
  [6.283185307179586, 1],
  [100, 0.8623188722876839],
  [-12345.678, 0.7101193587160628],
  [131071, -0.8179834993879491],
  [1048576.5, 0.669822936593637],
  [26353588.5, 0.7202424580435802],
  [-26353589, 0.9646604683046189],
];
const TANH: readonly (readonly number[])[] = [
  [1e-310, 1e-310],
  [1e-20, 1e-20],
  [-1e-5, -9.999999999666668e-6],
  [0.1, 0.09966799462495582],
  [0.4999, 0.4620385088524975],
  [0.5, 0.46211715726000974],
  [-0.5001, -0.46219579839890224],
  [1, 0.7615941559557649],
  [-3, -0.9950547536867305],
  [9, 0.999999969540041],
  [19, 0.9999999999999999],
  [-21.9, -1],
];
const SIGMOID: readonly (readonly number[])[] = [
  [-745, 5e-324],
  [-709, 1.216780750623423e-308],
  [-100, 3.720075976020836e-44],
  [-37, 8.533047625744065e-17],
  [-1, 0.2689414213699951],
  [-1e-10, 0.499999999975],
  [1e-10, 0.500000000025],
  [0.5, 0.6224593312018546],
  [3, 0.9525741268224333],
  [36, 0.9999999999999998],
  [40, 1],
];
const ERF: readonly (readonly number[])[] = [
  [1e-310, 1.1283791670955e-310],
  [-1e-20, -1.1283791670955125e-20],
  [0.001, 0.0011283787909692365],
  [0.1, 0.1124629160182849],
  [0.5, 0.5204998778130465],
  [-1, -0.8427007929497149],
  [1.5, 0.9661051464753108],
  [2, 0.9953222650189527],
  [3, 0.9999779095030014],
  [-4, -0.9999999845827421],
  [5, 0.9999999999984626],
  [5.9, 0.9999999999999999],
];
const ERFC: readonly (readonly number[])[] = [
  [-3, 1.9999779095030015],
  [-0.5, 1.5204998778130465],
  [0.001, 0.9988716212090307],
  [0.5, 0.4795001221869535],
  [1, 0.15729920705028513],
  [1.75, 0.013328328780817557],
  [1.7500000000000002, 0.013328328780817545],
  [1.9475835710043796, 0.005881798815611518],
  [1.95, 0.005820666407810883],
  [2, 0.004677734981047266],
  [2.5, 0.0004069520174449589],
  [4, 1.541725790028002e-8],
  [6, 2.1519736712498913e-17],
  [10, 2.088487583762545e-45],
  [-10, 2],
  [20, 5.395865611607901e-176],
  [26, 5.663192408856143e-296],
  [26.5, 2.2109076642637343e-307],
];

const UNIT = 2 ** -53; // what rounding the expected value to a double adds to a relative error
const SMALLEST = 5e-324; // results below the normal numbers are right to one step
const NAN = Number.NaN;
const INFINITY = Number.POSITIVE_INFINITY;

type Function = (...x: number[]) => number;
type Size = (expected: number, ...x: number[]) => number;

const relative: Size = (expected) => Math.abs(expected);

/** Largest |f(x) - expected| / size, in which a step of the denormals is nothing. */
function worst(f: Function, table: readonly (readonly number[])[], size: Size): number {
  const errors = table.map((row) => {
    const [x, expected] = [row.slice(0, -1), row[row.length - 1]];
    return Math.max(0, Math.abs(f(...x) - expected) - SMALLEST) / size(expected, ...x);
  });
  return Math.max(...errors);
}

/** The same against Math's functions, which V8 computes to less than an ulp: 2^-52 is theirs. */
function worstOfMath(f: Function, math: Function, from: number, to: number, size: Size): number {
  const steps = 20_011;
  const points = Array.from({ length: steps }, (_, i) => from + ((to - from) * i) / (steps - 1));
  const table = points.map((x) => [x, math(x)]);
  return worst(f, table, size);
}

describe("against values of 60 digits", () => {
  test.each<[string, Function, readonly (readonly number[])[], number, Size]>([
    ["exp: relative error below 4e-16", exp, EXP, 4e-16, relative],
    ["log: absolute error below 4e-16 (1 + |ln x|)", log, LOG, 4e-16, (y) => 1 + Math.abs(y)],
    [
      "pow: relative error below 1e-15 (1 + |y ln x|)",
      pow,
      POW,
      1e-15,
      (z, x, y) => Math.abs(z) * (1 + Math.abs(y * Math.log(x))),
    ],
    ["sin: absolute error below 4e-16", sin, SIN, 4e-16, () => 1],
    ["cos: absolute error below 4e-16", cos, COS, 4e-16, () => 1],
    ["tanh: relative error below 2e-15", tanh, TANH, 2e-15, relative],
    ["sigmoid: relative error below 1e-15", sigmoid, SIGMOID, 1e-15, relative],
    ["erf: relative error below 4e-15", erf, ERF, 4e-15, relative],
    ["erfc: relative error below 1e-13 down to the denormals", erfc, ERFC, 1e-13, relative],
  ])("%s", (_, f, table, bound, size) => {
    expect(worst(f, table, size)).toBeLessThan(bound + UNIT);
  });
});

describe("against Math over whole ranges", () => {
  test.each<[string, Function, Function, number, number, number, Size]>([
    ["exp: relative error below 4e-16 from -708 to 709", exp, Math.exp, -708, 709, 4e-16, relative],
    ["exp: relative error below 4e-16 from -1 to 1", exp, Math.exp, -1, 1, 4e-16, relative],
    ["log: absolute error below 4e-16 from 0.5 to 2", log, Math.log, 0.5, 2, 4e-16, () => 1],
    ["log: error below 4e-16 (1 + |ln x|) to 1e9", log, Math.log, 1e-9, 1e9, 4e-16, (y) => 1 + Math.abs(y)],
    ["sin: absolute error below 4e-16 from -100 to 100", sin, Math.sin, -100, 100, 4e-16, () => 1],
    ["sin: absolute error below 4e-16 to the last angle", sin, Math.sin, -MAX_ANGLE, MAX_ANGLE, 4e-16, () => 1],
    ["cos: absolute error below 4e-16 from -100 to 100", cos, Math.cos, -100, 100, 4e-16, () => 1],
    ["cos: absolute error below 4e-16 to the last angle", cos, Math.cos, -MAX_ANGLE, MAX_ANGLE, 4e-16, () => 1],
    ["tanh: relative error below 2e-15 from -25 to 25", tanh, Math.tanh, -25, 25, 2e-15, (y) => Math.abs(y) || 1],
    ["tanh: relative error below 2e-15 from -0.6 to 0.6", tanh, Math.tanh, -0.6, 0.6, 2e-15, (y) => Math.abs(y) || 1],
  ])("%s", (_, f, math, from, to, bound, size) => {
    expect(worstOfMath(f, math, from, to, size)).toBeLessThan(bound + 4 * UNIT);
  });
});

describe("edges", () => {
  test.each<[string, Function, number, number]>([
    ["exp(0)", exp, 0, 1],
    ["exp(-0)", exp, -0, 1],
    ["exp(5e-324)", exp, 5e-324, 1],
    ["exp above the largest double", exp, 709.79, INFINITY],
    ["exp(Infinity)", exp, INFINITY, INFINITY],
    ["exp below half of the smallest double", exp, -745.2, 0],
    ["exp(-747)", exp, -747, 0],
    ["exp(-Infinity)", exp, -INFINITY, 0],
    ["exp(NaN)", exp, NAN, NAN],
    ["log(1)", log, 1, 0],
    ["log(0)", log, 0, -INFINITY],
    ["log(-0)", log, -0, -INFINITY],
    ["log(-5e-324)", log, -5e-324, NAN],
    ["log(-Infinity)", log, -INFINITY, NAN],
    ["log(Infinity)", log, INFINITY, INFINITY],
    ["log(NaN)", log, NAN, NAN],
    ["sin(0)", sin, 0, 0],
    ["sin(Infinity)", sin, INFINITY, NAN],
    ["sin(NaN)", sin, NAN, NAN],
    ["cos(0)", cos, 0, 1],
    ["cos(-Infinity)", cos, -INFINITY, NAN],
    ["cos(NaN)", cos, NAN, NAN],
    ["tanh(-0)", tanh, -0, -0],
    ["tanh(5e-324)", tanh, 5e-324, 5e-324],
    ["tanh(1e300)", tanh, 1e300, 1],
    ["tanh(-Infinity)", tanh, -INFINITY, -1],
    ["tanh(NaN)", tanh, NAN, NAN],
    ["sigmoid(0)", sigmoid, 0, 0.5],
    ["sigmoid(1e300)", sigmoid, 1e300, 1],
    ["sigmoid(-1e300)", sigmoid, -1e300, 0],
    ["sigmoid(Infinity)", sigmoid, INFINITY, 1],
    ["sigmoid(-Infinity)", sigmoid, -INFINITY, 0],
    ["sigmoid(NaN)", sigmoid, NAN, NAN],
    ["erf(0)", erf, 0, 0],
    ["erf(-0)", erf, -0, -0],
    ["erf(Infinity)", erf, INFINITY, 1],
    ["erf(-1e300)", erf, -1e300, -1],
    ["erf(NaN)", erf, NAN, NAN],
    ["erfc(0)", erfc, 0, 1],
    ["erfc(28)", erfc, 28, 0],
    ["erfc(Infinity)", erfc, INFINITY, 0],
    ["erfc(-Infinity)", erfc, -INFINITY, 2],
    ["erfc(NaN)", erfc, NAN, NAN],
  ])("%s", (_, f, x, expected) => {
    expect(f(x)).toBe(expected);
  });

  test("sin and cos refuse angles that they could not reduce exactly", () => {
    expect(() => sin(MAX_ANGLE + 1)).toThrow(RangeError);
    expect(() => cos(-MAX_ANGLE - 1)).toThrow(`got ${-MAX_ANGLE - 1}`);
  });

  test("exp and log undo each other within 1e-15 (1 + |x|)", () => {
    for (let x = -700; x <= 700; x += 0.37) expect(Math.abs(log(exp(x)) - x)).toBeLessThan(1e-15 * (1 + Math.abs(x)));
  });

  test("sin and tanh are odd, cos is even, bit for bit", () => {
    for (let x = 0.01; x < 40; x += 0.173) {
      expect(sin(-x)).toBe(-sin(x));
      expect(tanh(-x)).toBe(-tanh(x));
      expect(cos(-x)).toBe(cos(x));
    }
  });
});
