/** Positions other than rotary: learned, sinusoidal, relative buckets (T5), ALiBi slopes. */

import { checkChoice, checkFinite, checkFloats, checkInteger, checkOptions, checkRows } from "../check";
import { cos, log, pow, sin } from "../elementary";

/**
 * Rows of a learned position table [P, D]: out[T, D] for T positions, each shifted by `offset` (2 in BART and OPT).
 *
 * @throws RangeError for a position that the table does not have
 * @example
 * learnedPositions(table, [0, 1, 2], { width: 768 });
 */
export function learnedPositions(
  table: Float32Array,
  positions: readonly number[],
  options: { readonly width: number; readonly offset?: number },
): Float32Array {
  checkOptions("learnedPositions", options, ["width", "offset"]);
  const { width, offset = 0 } = options;
  checkInteger("width", width, 1);
  const rows = checkRows("table", table, width, `[P, ${width}]`);
  const out = new Float32Array(positions.length * width);
  positions.forEach((position, t) => {
    const row = checkInteger(`positions[${t}] + offset`, position + offset, 0, rows - 1);
    out.set(table.subarray(row * width, (row + 1) * width), t * width);
  });
  return out;
}

/**
 * Sinusoidal positions [T, D] (Vaswani et al. 2017): sin and cos of p / theta^(2i/D), either side by side
 * (`interleaved`, the paper) or sines first, then cosines (`half-split`, Marian and Pegasus).
 *
 * @example
 * sinusoidalPositions([0, 1, 2], { width: 512 });
 */
export function sinusoidalPositions(
  positions: readonly number[],
  options: { readonly width: number; readonly theta?: number; readonly layout?: "interleaved" | "half-split" },
): Float32Array {
  checkOptions("sinusoidalPositions", options, ["width", "theta", "layout"]);
  const { width, theta = 10_000, layout = "interleaved" } = options;
  checkInteger("width", width, 2);
  if (!(checkFinite("theta", theta) > 0)) throw new RangeError(`theta: expected more than 0, got ${theta}`);
  if (width % 2 !== 0) throw new RangeError(`width: expected an even number, got ${width}`);
  checkChoice("layout", layout, ["interleaved", "half-split"]);
  const out = new Float32Array(positions.length * width);
  const half = width / 2;
  const frequencies = Float64Array.from({ length: half }, (_, i) => pow(theta, -i / half));
  positions.forEach((position, t) => {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i];
      const [sinAt, cosAt] = layout === "interleaved" ? [2 * i, 2 * i + 1] : [i, half + i];
      out[t * width + sinAt] = sin(angle);
      out[t * width + cosAt] = cos(angle);
    }
  });
  return out;
}

/** Shape of T5's relative attention. */
export interface RelativeBucketOptions {
  /** Encoders: half of the buckets is for keys after the query. Decoders: those all share bucket 0. */
  readonly bidirectional: boolean;
  /** `relative_attention_num_buckets`, 32 in T5. */
  readonly numBuckets: number;
  /** `relative_attention_max_distance`, 128 in T5: further keys share the last bucket. */
  readonly maxDistance: number;
}

/**
 * T5's bucket of a distance (Raffel et al. 2020): one for each small distance, then logarithmically wider ones.
 * The logarithm is rounded to float32 at each step as in the reference code, whose bucket edges depend on it.
 *
 * @param distance key position minus query position
 * @throws RangeError for fewer than 2 buckets a direction, or a maxDistance within the exact ones
 * @example
 * relativeBucket(-3, { bidirectional: false, numBuckets: 32, maxDistance: 128 }); // 3
 */
export function relativeBucket(distance: number, options: RelativeBucketOptions): number {
  const { bidirectional, numBuckets, maxDistance } = options;
  checkInteger("numBuckets", numBuckets, bidirectional ? 4 : 2);
  const buckets = bidirectional ? Math.floor(numBuckets / 2) : numBuckets;
  const offset = bidirectional && distance > 0 ? buckets : 0;
  const far = bidirectional ? Math.abs(distance) : Math.max(-distance, 0);
  const exact = Math.floor(buckets / 2);
  checkInteger("maxDistance", maxDistance, exact + 1);
  if (far < exact) return offset + far;
  const f = Math.fround;
  const share = f(f(log(f(far / exact))) / f(log(maxDistance / exact)));
  return offset + Math.min(buckets - 1, exact + Math.floor(f(share * (buckets - exact))));
}

/**
 * T5's relative bias by distance, for the kernels' `relative` form: [H, length], where index j holds the bias of
 * distance j - origin. `table` is `relative_attention_bias.weight`, [numBuckets, H].
 *
 * @example
 * // distances -7 to 7, for 8 queries on 8 keys
 * const shape = { heads: 8, length: 15, origin: 7, bidirectional: true, numBuckets: 32, maxDistance: 128 };
 * attention(q, k, v, { heads: 8, headDim: 64, scale: 1, relativeBias: { data: relativeBias(table, shape), length: 15, origin: 7 } });
 */
export function relativeBias(
  table: Float32Array,
  options: RelativeBucketOptions & { readonly heads: number; readonly length: number; readonly origin: number },
): Float32Array {
  checkOptions("relativeBias", options, ["heads", "length", "origin", "bidirectional", "numBuckets", "maxDistance"]);
  const { heads, length, origin, ...buckets } = options;
  checkInteger("heads", heads, 1);
  checkInteger("length", length, 0);
  checkInteger("origin", origin, 0);
  checkFloats("table", table, buckets.numBuckets * heads, `[${buckets.numBuckets}, ${heads}]`);
  const out = new Float32Array(heads * length);
  for (let j = 0; j < length; j++) {
    const bucket = relativeBucket(j - origin, buckets);
    for (let h = 0; h < heads; h++) out[h * length + j] = table[bucket * heads + h];
  }
  return out;
}

/** More than any model has, and few enough for 32-bit integers. */
const MAX_HEADS = 65_536;

/**
 * ALiBi's slopes, one a head (Press et al. 2022): 2^(-8 (h+1) / H) for a power of two, and for other numbers of heads
 * those of the next lower power, then every second one of the next higher.
 *
 * @example
 * alibiSlopes(8)[0]; // 0.5
 */
export function alibiSlopes(heads: number): Float32Array {
  checkInteger("heads", heads, 1, MAX_HEADS);
  const power = 1 << (31 - Math.clz32(heads));
  const slope = (h: number, of: number) => pow(2, (-8 * (h + 1)) / of);
  return Float32Array.from({ length: heads }, (_, h) =>
    h < power ? slope(h, power) : slope(2 * (h - power), 2 * power),
  );
}

/**
 * ALiBi as the kernels' `relative` form: [H, length], slope times distance, where index j holds distance j - origin.
 *
 * @example
 * alibiBias(8, { length: 64, origin: 63 }); // for a decoder: distances -63 to 0
 */
export function alibiBias(heads: number, options: { readonly length: number; readonly origin: number }): Float32Array {
  checkOptions("alibiBias", options, ["length", "origin"]);
  const length = checkInteger("length", options.length, 0);
  const origin = checkInteger("origin", options.origin, 0);
  const slopes = alibiSlopes(heads);
  return Float32Array.from(
    { length: heads * length },
    (_, i) => slopes[Math.floor(i / length)] * ((i % length) - origin),
  );
}
