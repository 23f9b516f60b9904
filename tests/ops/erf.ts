/** The error function in double precision, by another method than the library's. */

/** Φ(x), the cumulative normal distribution, with a relative error of some 1e-15 in both tails. */
export function gaussian(x: number): number {
  const z = -x / Math.SQRT2;
  if (Math.abs(z) < 1) return 0.5 * (1 - taylor(z));
  return z > 0 ? 0.5 * upperTail(z) : 1 - 0.5 * upperTail(-z);
}

/** erf x = 2/sqrt(pi) Σ (-1)^n x^(2n+1) / (n! (2n+1)). For |x| < 1. */
function taylor(x: number): number {
  let power = x;
  let sum = 0;
  for (let n = 0; n < 30; n++) {
    sum += power / (2 * n + 1);
    power *= (-x * x) / (n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/**
 * erfc x for x >= 1, by the trapezoidal rule on its integral form, e^(-x²)/pi ∫ x e^(-t²) / (x² + t²) dt, which at a
 * step of 1/2 has an error of e^(-4 pi²), and with the residue of the pole at t = ix (Hunter and Regan 1972).
 */
function upperTail(x: number): number {
  if (x > 30) return 0;
  const h = 0.5;
  let sum = 1 / (2 * x * x);
  for (let n = 1; n <= 14; n++) sum += Math.exp(-((n * h) ** 2)) / ((n * h) ** 2 + x * x);
  const value = ((2 * h * x) / Math.PI) * Math.exp(-x * x) * sum;
  return x < Math.PI / h ? value - 2 / (Math.exp((2 * Math.PI * x) / h) - 1) : value;
}
