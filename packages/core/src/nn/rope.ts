/** Rotary position embedding: its frequencies under every scaling rule, and the angles of a pass. */

import { checkFinite, checkInteger } from "../check";
import { cos, log, pow, sin } from "../elementary";

/**
 * How the frequencies are changed to reach beyond the length that a model was trained on. `rope_type` in configs.
 *
 * - `default` Su et al. 2021
 * - `linear` position interpolation (Chen et al. 2023)
 * - `dynamic` NTK-aware: the base grows with the length of the pass
 * - `llama3` Llama 3.1: low frequencies divided, high ones kept, between them a ramp
 * - `yarn` Peng et al. 2023
 * - `longrope` Ding et al. 2024: a divisor a frequency, one set for short passes and one for long ones
 * - `factors` a divisor a frequency, as GGUF files store Llama 3's (`rope_freqs.weight`)
 */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | { readonly type: "dynamic"; readonly factor: number; readonly maxPositionEmbeddings: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositionEmbeddings: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly originalMaxPositionEmbeddings: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Factor on cos and sin. `yarnAttentionFactor` gives the paper's. */
      readonly attentionFactor: number;
      /** Whether the ends of the ramp are rounded to whole dimensions, outwards. */
      readonly truncate: boolean;
    }
  | {
      readonly type: "longrope";
      /** Divisors for passes that end at or before originalMaxPositionEmbeddings, [R/2]. */
      readonly shortFactor: readonly number[];
      /** Divisors for longer passes, [R/2]. */
      readonly longFactor: readonly number[];
      readonly originalMaxPositionEmbeddings: number;
      /** Factor on cos and sin. `longropeAttentionFactor` gives the paper's. */
      readonly attentionFactor: number;
    }
  | { readonly type: "factors"; readonly factors: readonly number[] };

/** Far above the width of any head. */
const MAX_ROTARY_DIM = 2 ** 20;

/** A model's rotary embedding. */
export interface RopeConfig {
  /** The base; 10000 in the paper. */
  readonly theta: number;
  /** R, how many coordinates of each head rotate; even. */
  readonly rotaryDim: number;
  readonly scaling: RopeScaling;
}

/** What `ropeFrequencies` gives. */
export interface RopeFrequencies {
  /** Radians a position, [R/2], highest first. */
  readonly inverse: Float32Array;
  /** Factor on cos and sin. */
  readonly attentionScaling: number;
}

/**
 * The frequencies of a rotary embedding.
 *
 * Computed in double precision and rounded once to float32, as the models themselves hold them.
 *
 * @param length how many positions the pass reaches (its last position + 1); matters for `dynamic` and `longrope`
 * @throws RangeError for a rotaryDim that is odd, factors of another number than R/2, or values that are not positive
 * @example
 * ropeFrequencies({ theta: 10000, rotaryDim: 64, scaling: { type: "default" } }, 1).inverse[0]; // 1
 */
export function ropeFrequencies(config: RopeConfig, length: number): RopeFrequencies {
  const { theta, rotaryDim, scaling } = config;
  checkInteger("rotaryDim", rotaryDim, 2, MAX_ROTARY_DIM);
  if (rotaryDim % 2 !== 0) throw new RangeError(`rotaryDim: expected an even number, got ${rotaryDim}`);
  checkPositive("theta", theta);
  checkInteger("length", length, 0);
  switch (scaling.type) {
    case "default":
      return plain(scaledFrequencies(theta, rotaryDim, () => 1));
    case "linear":
      checkPositive("factor", scaling.factor);
      return plain(scaledFrequencies(theta, rotaryDim, () => scaling.factor));
    case "dynamic": {
      const { factor, maxPositionEmbeddings: trained } = scaling;
      checkPositive("factor", factor);
      checkPositive("maxPositionEmbeddings", trained);
      if (rotaryDim < 4) throw new RangeError(`dynamic scaling needs a rotaryDim of at least 4, got ${rotaryDim}`);
      const growth = (factor * Math.max(length, trained)) / trained - (factor - 1);
      return plain(scaledFrequencies(theta * pow(growth, rotaryDim / (rotaryDim - 2)), rotaryDim, () => 1));
    }
    case "llama3":
      return plain(llama3Frequencies(theta, rotaryDim, scaling));
    case "yarn":
      return { inverse: yarnFrequencies(theta, rotaryDim, scaling), attentionScaling: scaling.attentionFactor };
    case "longrope": {
      checkPositive("originalMaxPositionEmbeddings", scaling.originalMaxPositionEmbeddings);
      checkPositive("attentionFactor", scaling.attentionFactor);
      const factors = length > scaling.originalMaxPositionEmbeddings ? scaling.longFactor : scaling.shortFactor;
      checkFactors(scaling.longFactor, rotaryDim);
      checkFactors(scaling.shortFactor, rotaryDim);
      return {
        inverse: scaledFrequencies(theta, rotaryDim, (i) => factors[i]),
        attentionScaling: scaling.attentionFactor,
      };
    }
    case "factors":
      checkFactors(scaling.factors, rotaryDim);
      return plain(scaledFrequencies(theta, rotaryDim, (i) => scaling.factors[i]));
    default:
      throw new RangeError(`unknown rope scaling ${JSON.stringify(scaling satisfies never)}`);
  }
}

/** Whether the frequencies depend on how far a pass reaches: `length` of `ropeFrequencies`. */
export function frequenciesGoByLength({ scaling }: RopeConfig): boolean {
  return scaling.type === "dynamic" || scaling.type === "longrope";
}

/**
 * cos and sin of each position's angles, times the attention scaling: [positions, R/2] each.
 *
 * The angle is rounded to float32 before its cosine is taken, as in the models' own code: at far positions that
 * rounding, and not the cosine, is what sets the numbers.
 *
 * @throws RangeError for positions whose angles are beyond what `sin` and `cos` reduce exactly
 * @example
 * const frequencies = ropeFrequencies({ theta: 10000, rotaryDim: 64, scaling: { type: "default" } }, 2);
 * ropeAngles(frequencies, [0, 1], new Float32Array(2 * 32), new Float32Array(2 * 32));
 */
export function ropeAngles(
  frequencies: RopeFrequencies,
  positions: ArrayLike<number>,
  outCos: Float32Array,
  outSin: Float32Array,
): void {
  const { inverse, attentionScaling } = frequencies;
  for (let row = 0; row < positions.length; row++) {
    for (let i = 0; i < inverse.length; i++) {
      const angle = Math.fround(positions[row] * inverse[i]);
      outCos[row * inverse.length + i] = cos(angle) * attentionScaling;
      outSin[row * inverse.length + i] = sin(angle) * attentionScaling;
    }
  }
}

/**
 * YaRN's factor on cos and sin: 0.1 ln(factor) + 1; where a config gives both, 0.1 mscale ln(factor) + 1 over the same
 * with mscaleAllDim.
 */
export function yarnAttentionFactor(factor: number, mscale = 0, mscaleAllDim = 0): number {
  const scaled = (m: number) => (factor <= 1 ? 1 : 0.1 * m * log(factor) + 1);
  return mscale !== 0 && mscaleAllDim !== 0 ? scaled(mscale) / scaled(mscaleAllDim) : scaled(1);
}

/** LongRoPE's factor on cos and sin: sqrt(1 + ln(factor) / ln(original length)). */
export function longropeAttentionFactor(factor: number, originalMaxPositionEmbeddings: number): number {
  return factor <= 1 ? 1 : Math.sqrt(1 + log(factor) / log(originalMaxPositionEmbeddings));
}

/** theta^(-2i/R) / divisor(i). */
function scaledFrequencies(theta: number, rotaryDim: number, divisor: (i: number) => number): Float32Array {
  return Float32Array.from({ length: rotaryDim / 2 }, (_, i) => pow(theta, (-2 * i) / rotaryDim) / divisor(i));
}

function llama3Frequencies(theta: number, rotaryDim: number, s: RopeScaling & { type: "llama3" }): Float32Array {
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings: trained } = s;
  checkPositive("factor", factor);
  checkPositive("lowFreqFactor", low);
  checkPositive("originalMaxPositionEmbeddings", trained);
  if (!(high > low)) throw new RangeError(`highFreqFactor: expected more than lowFreqFactor ${low}, got ${high}`);
  return scaledFrequencies(theta, rotaryDim, (i) => {
    const turns = (trained * pow(theta, (-2 * i) / rotaryDim)) / (2 * Math.PI); // over the trained length
    if (turns < low) return factor;
    if (turns > high) return 1;
    const smooth = (turns - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

function yarnFrequencies(theta: number, rotaryDim: number, s: RopeScaling & { type: "yarn" }): Float32Array {
  checkPositive("factor", s.factor);
  checkPositive("originalMaxPositionEmbeddings", s.originalMaxPositionEmbeddings);
  checkPositive("betaFast", s.betaFast);
  checkPositive("betaSlow", s.betaSlow);
  checkPositive("attentionFactor", s.attentionFactor);
  // The dimension whose wave turns `rotations` times over the trained length
  const dimension = (rotations: number) =>
    (rotaryDim * log(s.originalMaxPositionEmbeddings / (rotations * 2 * Math.PI))) / (2 * log(theta));
  let low = dimension(s.betaFast);
  let high = dimension(s.betaSlow);
  if (s.truncate) {
    low = Math.floor(low);
    high = Math.ceil(high);
  }
  low = Math.max(low, 0);
  high = Math.min(high, rotaryDim - 1);
  if (low === high) high += 0.001; // as the reference does, against a division by zero
  return scaledFrequencies(theta, rotaryDim, (i) => {
    const interpolated = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return 1 / (interpolated / s.factor + (1 - interpolated));
  });
}

function plain(inverse: Float32Array): RopeFrequencies {
  return { inverse, attentionScaling: 1 };
}

function checkPositive(name: string, value: number): void {
  if (!(checkFinite(name, value) > 0)) throw new RangeError(`${name}: expected more than 0, got ${value}`);
}

function checkFactors(factors: readonly number[], rotaryDim: number): void {
  if (factors.length !== rotaryDim / 2) {
    throw new RangeError(
      `rope factors: expected ${rotaryDim / 2} (half of the rotary dimension), got ${factors.length}`,
    );
  }
  for (const factor of factors) checkPositive("rope factor", factor);
}
