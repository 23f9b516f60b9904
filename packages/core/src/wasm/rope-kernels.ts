/**
 * The kernels of rotary position embedding, in place, over rows from..to. A coordinate is the sum or the difference of
 * two products, rounded three times, whether it is computed in a vector or alone.
 */

import type { RopeLayout } from "../kernels/kernels";
import type { FunctionBuilder, Local } from "./assembler";
import type { ModuleBuilder } from "./module";

/** The pairs that are turned at once: coordinates (a, b) to (a cos - b sin, b cos + a sin). */
interface Pairs {
  /** How many: four, or one in the first lanes. */
  readonly count: 4 | 1;
  readonly a: Local<"v128">;
  readonly b: Local<"v128">;
}

/** How a layout reaches its pairs, at `x` on from a head's first coordinate. */
interface Layout {
  /** Bytes from pair to pair. */
  readonly step: number;
  load(pairs: Pairs): void;
  store(pairs: Pairs): void;
}

/** Lanes of two vectors, 0 to 7, as the bytes of a shuffle. */
function lanes(...indices: number[]): number[] {
  return indices.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte));
}

/** (i, i + R/2): a and b lie half a rotary width apart. */
function halfSplit(f: FunctionBuilder, x: Local<"ptr">, rotaryDim: Local<"i32">): Layout {
  const { v128, ptr, i32 } = f;
  const apart = f.local("ptr", ptr.from(i32.mul(rotaryDim(), i32.const(2))));
  const second = () => ptr.add(x(), apart());
  return {
    step: 4,
    load({ count, a, b }) {
      const load = count === 4 ? v128.load : v128.load32_zero;
      a.set(load(x()));
      b.set(load(second()));
    },
    store({ count, a, b }) {
      if (count === 4) {
        v128.store(x(), a());
        v128.store(second(), b());
      } else {
        v128.store32_lane(x(), a(), 0);
        v128.store32_lane(second(), b(), 0);
      }
    },
  };
}

/** (2i, 2i + 1): a and b alternate. */
function interleaved(f: FunctionBuilder, x: Local<"ptr">): Layout {
  const { v128, i8x16 } = f;
  const [low, high] = f.locals("v128", 2);
  return {
    step: 8,
    load({ count, a, b }) {
      if (count === 4) {
        low.set(v128.load(x()));
        high.set(v128.load(x(), 16));
        a.set(i8x16.shuffle(low(), high(), lanes(0, 2, 4, 6)));
        b.set(i8x16.shuffle(low(), high(), lanes(1, 3, 5, 7)));
      } else {
        a.set(v128.load32_zero(x()));
        b.set(v128.load32_zero(x(), 4));
      }
    },
    store({ count, a, b }) {
      if (count === 4) {
        v128.store(x(), i8x16.shuffle(a(), b(), lanes(0, 4, 1, 5)));
        v128.store(x(), i8x16.shuffle(a(), b(), lanes(2, 6, 3, 7)), 16);
      } else {
        v128.store32_lane(x(), a(), 0);
        v128.store32_lane(x(), b(), 0, 4);
      }
    },
  };
}

/**
 * The kernel `rope.{layout}`: turns the first R coordinates of each head of x [N, heads, K] by the angles whose cos and
 * sin are [N, R/2].
 */
export function emitRope(module: ModuleBuilder, layout: RopeLayout): void {
  const parameters = {
    x: "ptr",
    cos: "ptr",
    sin: "ptr",
    rows: "i32",
    heads: "i32",
    headDim: "i32",
    rotaryDim: "i32",
  } as const;
  module.kernel(`rope.${layout}`, parameters, (f, args, { from, to }) => {
    const { f32x4, i32, ptr, v128 } = f;
    const half = f.local("i32", i32.shr_u(args.rotaryDim(), i32.const(1)));
    const angleBytes = f.local("i32", i32.mul(half(), i32.const(4)));
    const headBytes = f.local("i32", i32.mul(args.headDim(), i32.const(4)));
    const head = f.local("ptr", ptr.add(args.x(), ptr.product(from(), i32.mul(args.heads(), headBytes()))));
    const [x, cos, sin] = f.locals("ptr", 3);
    const [row, headsLeft, left] = f.locals("i32", 3);
    const [a, b, c, s, real] = f.locals("v128", 5);
    const { step, load, store } = layout === "half-split" ? halfSplit(f, x, args.rotaryDim) : interleaved(f, x);
    const turn = (count: 4 | 1) =>
      f.while(
        () => i32.ge_u(left(), i32.const(count)),
        () => {
          load({ count, a, b });
          c.set(count === 4 ? v128.load(cos()) : v128.load32_zero(cos()));
          s.set(count === 4 ? v128.load(sin()) : v128.load32_zero(sin()));
          real.set(f32x4.sub(f32x4.mul(a(), c()), f32x4.mul(b(), s())));
          b.set(f32x4.add(f32x4.mul(b(), c()), f32x4.mul(a(), s())));
          store({ count, a: real, b });
          f.advance(x, step * count);
          f.advance(cos, 4 * count);
          f.advance(sin, 4 * count);
          left.set(i32.sub(left(), i32.const(count)));
        },
      );
    row.set(from());
    f.for(row, to, 1, () => {
      headsLeft.set(args.heads());
      f.while(headsLeft, () => {
        x.set(head());
        cos.set(ptr.add(args.cos(), ptr.product(row(), angleBytes())));
        sin.set(ptr.add(args.sin(), ptr.product(row(), angleBytes())));
        left.set(half());
        turn(4);
        turn(1);
        f.advanceBy(head, headBytes());
        headsLeft.set(i32.sub(headsLeft(), i32.const(1)));
      });
    });
  });
}
