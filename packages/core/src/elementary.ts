/**
 * The elementary functions, from additions, multiplications, divisions and bit patterns alone.
 *
 * ECMAScript leaves the accuracy of Math.exp, Math.sin and their like to the engine, so that two engines may differ in
 * the last bit, and then two machines tell two stories. IEEE 754 fixes the five operations used here, so these give
 * the same bits everywhere. All are series in double precision after an argument reduction; bounds are in the tests.
 */

const LN2_HIGH = 0.6931471805598903; // the first 42 bits of ln 2, so that k * LN2_HIGH is exact for |k| < 2^11
const LN2_LOW = 5.497923018708371e-14;
const EXP_TERMS = 14; // |r| <= ln(2)/2, and 0.3466^14 / 14! < 1e-17

const float64 = new Float64Array(1);
const bits = new Uint32Array(float64.buffer);
// The word that holds sign and exponent: index 1 on little-endian machines, which all engines with WebAssembly are.
const HIGH_WORD = 1;

/** 2^exponent, for -1022 <= exponent <= 1023. */
function powerOfTwo(exponent: number): number {
  bits[0] = 0;
  bits[HIGH_WORD] = (exponent + 1023) << 20;
  return float64[0];
}

/** e^x. Relative error below 4e-16; 0 below -746, Infinity above 709.79, NaN for NaN. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > 709.782712893384) return Number.POSITIVE_INFINITY;
  if (x < -746) return 0;
  // x = k ln 2 + r with |r| <= ln(2)/2; then e^x = 2^k e^r
  const k = Math.round(x * Math.LOG2E);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum = 1;
  for (let n = EXP_TERMS; n >= 1; n--) sum = 1 + (sum * r) / n;
  // In two steps, so that results below the smallest normal number, and those of k = 1024, are scaled right.
  const half = k >> 1;
  return sum * powerOfTwo(half) * powerOfTwo(k - half);
}

/** Natural logarithm. Absolute error below 4e-16 (1 + |ln x|); NaN below 0, -Infinity at 0. */
export function log(x: number): number {
  if (Number.isNaN(x) || x < 0) return Number.NaN;
  if (x === 0) return Number.NEGATIVE_INFINITY;
  if (x === Number.POSITIVE_INFINITY) return x;
  let exponent = 0;
  let scaled = x;
  if (scaled < 2.2250738585072014e-308) {
    scaled *= 18014398509481984; // 2^54: out of the denormals
    exponent = -54;
  }
  float64[0] = scaled;
  exponent += ((bits[HIGH_WORD] >>> 20) & 0x7ff) - 1023;
  bits[HIGH_WORD] = (bits[HIGH_WORD] & 0xfffff) | (1023 << 20);
  let mantissa = float64[0];
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  // ln m = 2 atanh(s) with s = (m - 1) / (m + 1), |s| <= 0.1716
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let sum = 0;
  for (let n = 23; n >= 3; n -= 2) sum = (sum + 1 / n) * square;
  return exponent * LN2_HIGH + (2 * s * (1 + sum) + exponent * LN2_LOW);
}

/** base^exponent for base > 0, as e^(exponent ln base): relative error below 1e-15 (1 + |exponent ln base|). */
export function pow(base: number, exponent: number): number {
  return exp(exponent * log(base));
}

// pi/2 in three parts, the first two of 29 bits: n * part is exact for n < 2^24.
const HALF_PI_1 = 1.570796325802803;
const HALF_PI_2 = 9.920935774287987e-10;
const HALF_PI_3 = 2.2517417741562176e-18;

/** The largest |x| for which `sin` and `cos` reduce exactly enough: 2^24 quarter turns. */
export const MAX_ANGLE = 26_353_589;

function sinSeries(r: number): number {
  const square = r * r;
  let sum = 1;
  for (let n = 18; n >= 2; n -= 2) sum = 1 - (sum * square) / (n * (n + 1));
  return r * sum;
}

function cosSeries(r: number): number {
  const square = r * r;
  let sum = 1;
  for (let n = 17; n >= 1; n -= 2) sum = 1 - (sum * square) / (n * (n + 1));
  return sum;
}

function turned(x: number, quarterTurns: number): number {
  if (!(Math.abs(x) <= MAX_ANGLE)) {
    if (!Number.isFinite(x)) return Number.NaN;
    throw new RangeError(`sin and cos are exact for angles up to ${MAX_ANGLE} radians; got ${x}`);
  }
  const n = Math.round(x / (Math.PI / 2));
  const r = x - n * HALF_PI_1 - n * HALF_PI_2 - n * HALF_PI_3;
  switch ((n + quarterTurns) & 3) {
    case 0:
      return sinSeries(r);
    case 1:
      return cosSeries(r);
    case 2:
      return -sinSeries(r);
    default:
      return -cosSeries(r);
  }
}

/** Sine of an angle in radians, |x| <= MAX_ANGLE (else RangeError). Absolute error below 4e-16. */
export function sin(x: number): number {
  return turned(x, 0);
}

/** Cosine of an angle in radians, |x| <= MAX_ANGLE (else RangeError). Absolute error below 4e-16. */
export function cos(x: number): number {
  return turned(x, 1);
}

/** Hyperbolic tangent. Relative error below 2e-15. */
export function tanh(x: number): number {
  const size = Math.abs(x);
  if (size > 22) return x > 0 ? 1 : -1;
  if (size < 0.5) {
    // sinh / cosh by their series, whose terms do not cancel near 0 as those of the exponential form do
    const square = x * x;
    let sinh = 1;
    let cosh = 1;
    for (let n = 16; n >= 2; n -= 2) {
      sinh = 1 + (sinh * square) / (n * (n + 1));
      cosh = 1 + (cosh * square) / (n * (n - 1));
    }
    return (x * sinh) / cosh;
  }
  const e = exp(2 * size);
  const value = (e - 1) / (e + 1);
  return x > 0 ? value : x < 0 ? -value : x;
}

/** Logistic function 1 / (1 + e^-x). Relative error below 1e-15; no overflow at either end. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + exp(-x));
  const e = exp(x);
  return e / (1 + e);
}

/**
 * Error function, by its everywhere positive series (Abramowitz and Stegun 7.1.6)
 * erf x = 2/sqrt(pi) e^(-x^2) sum 2^n x^(2n+1) / (1·3·...·(2n+1)). Relative error below 4e-15.
 */
export function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > 6) return 1;
  if (x < -6) return -1;
  const twiceSquare = 2 * x * x;
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17 && n < 200; n++) {
    term *= twiceSquare / (2 * n + 1);
    sum += term;
  }
  return 1.1283791670955126 * exp(-x * x) * sum;
}

/**
 * Complementary error function 1 - erf x, without its cancellation: for large x by the continued fraction
 * (Abramowitz and Stegun 7.1.14). Relative error below 1e-13 down to the denormals.
 */
export function erfc(x: number): number {
  if (!(x > 1.75)) return 1 - erf(x);
  if (x > 27.3) return 0;
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (x + fraction);
  return (0.5641895835477563 * exp(-x * x)) / (x + fraction);
}
