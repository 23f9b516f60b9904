/** Cases of rope. */

import { applyRope, type RopeLayout, ropeAngles, ropeFrequencies } from "@qkv/core";
import { float32 } from "../onnx/model";
import { type OpCase, place, results, shapeName } from "./case";
import { numbers, Random, seedOf, type Values } from "./random";

/** x [N, H, K], of which the first R coordinates of each head turn by the angles of positions P, P + 7, P + 14, ... */
export function ropeCase(
  shape: { N: number; H: number; K: number; R: number },
  layout: RopeLayout,
  { first = 0, values = "normal" }: { first?: number; values?: Values } = {},
): OpCase {
  const { N, H, K, R } = shape;
  const name = `${layout}, ${shapeName(shape)}, from position ${first}, ${values}`;
  const positions = Array.from({ length: N }, (_, n) => first + 7 * n);
  const frequencies = ropeFrequencies({ theta: 10_000, rotaryDim: R, scaling: { type: "default" } }, 1);
  return {
    op: "rope",
    name,
    shape,
    inputs() {
      const [cos, sin] = [new Float32Array((N * R) / 2), new Float32Array((N * R) / 2)];
      ropeAngles(frequencies, positions, cos, sin);
      return {
        x: numbers(new Random(seedOf(name)), N * H * K, values),
        cos,
        sin,
      };
    },
    prepare(kernels, inputs) {
      const { arena } = kernels;
      const [cos, sin] = [place(arena, inputs.cos), place(arena, inputs.sin)];
      const { at, read } = results(arena, { out: N * H * K });
      arena.f32(at.out, N * H * K).set(inputs.x); // it turns in place
      return {
        run: () => kernels.rope(at.out, cos, sin, N, H, K, R, layout),
        results: read,
      };
    },
    functional: ({ x }) => ({
      out: applyRope(x, {
        headDim: K,
        heads: H,
        positions,
        frequencies,
        layout,
      }),
    }),
    onnx: (g, { x, cos, sin }) => ({
      out: g.op(
        "RotaryEmbedding",
        [
          g.constant(float32(x, 1, N, H * K)),
          g.constant(float32(cos, 1, N, R / 2)),
          g.constant(float32(sin, 1, N, R / 2)),
        ],
        {
          num_heads: BigInt(H),
          rotary_embedding_dim: BigInt(R),
          interleaved: layout === "interleaved" ? 1n : 0n,
        },
      ),
    }),
    exact({ x, cos, sin }) {
      const values = Array.from(x);
      const sizes = values.map(() => 0);
      for (let n = 0; n < N; n++) {
        for (let h = 0; h < H; h++) {
          for (let i = 0; i < R / 2; i++) {
            const head = (n * H + h) * K;
            const [real, imaginary] =
              layout === "half-split" ? [head + i, head + i + R / 2] : [head + 2 * i, head + 2 * i + 1];
            const [c, s] = [cos[(n * R) / 2 + i], sin[(n * R) / 2 + i]];
            // (a + ib)(c + is)
            values[real] = x[real] * c - x[imaginary] * s;
            values[imaginary] = x[real] * s + x[imaginary] * c;
            sizes[real] = Math.abs(x[real] * c) + Math.abs(x[imaginary] * s);
            sizes[imaginary] = Math.abs(x[real] * s) + Math.abs(x[imaginary] * c);
          }
        }
      }
      return { out: { values, sizes } };
    },
    bound: { roundings: 2, size: "|a cos| + |b sin|", floor: 2 ** -148 },
  };
}

const LAYOUTS: readonly RopeLayout[] = ["half-split", "interleaved"];

export const ROPE_CASES: readonly OpCase[] = LAYOUTS.flatMap((layout) => [
  ropeCase({ N: 0, H: 2, K: 4, R: 4 }, layout),
  ropeCase({ N: 1, H: 1, K: 2, R: 2 }, layout),
  ropeCase({ N: 3, H: 2, K: 6, R: 6 }, layout, { first: 5 }),
  ropeCase({ N: 3, H: 2, K: 7, R: 4 }, layout), // partial, and an odd width
  ropeCase({ N: 5, H: 3, K: 80, R: 20 }, layout),
  ropeCase({ N: 33, H: 5, K: 64, R: 64 }, layout, { first: 100_000 }),
  ropeCase({ N: 3, H: 2, K: 16, R: 16 }, layout, { values: "huge" }),
  ropeCase({ N: 3, H: 2, K: 16, R: 16 }, layout, { values: "denormal" }),
]);
