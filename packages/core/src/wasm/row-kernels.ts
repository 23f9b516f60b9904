/**
 * The kernels that work on whole rows, over rows from..to: layerNorm, rmsNorm and softmax. `out` may be `x`.
 *
 * Sums are in double precision, where squares of float32 neither overflow nor vanish, and in one order: elements are
 * dealt to the lanes in turn, what is left over at the end of a row is summed apart, the lanes are added up as a tree,
 * and then the rest. The norms stay in double precision to the end: rounded once.
 */

import type { FunctionBuilder, Local, Operand } from "./assembler";
import { SIDE_BY_SIDE, type Vectors, vectorExpBelow } from "./elementary";
import type { ModuleBuilder } from "./module";

type Address = Local<"ptr">;
type Vector = Operand<"v128">;

/** Vectors of two doubles that a turn of a norm's loop takes. */
const PAIRS = 4;

/** Emits a walk over the rows from..to of arrays [rows, width]. */
function overRows(
  f: FunctionBuilder,
  arrays: readonly Address[],
  width: Local<"i32">,
  { from, to }: { readonly from: Local<"i32">; readonly to: Local<"i32"> },
  body: (...rows: Address[]) => void,
): void {
  const { i32, ptr } = f;
  const bytes = f.local("i32", i32.mul(width(), i32.const(4)));
  const rows = arrays.map((array) => f.local("ptr", ptr.add(array(), ptr.product(from(), bytes()))));
  const row = f.local("i32", from());
  f.for(row, to, 1, () => {
    body(...rows);
    for (const address of rows) address.set(ptr.add(address(), ptr.from(bytes())));
  });
}

/** How many elements a turn of a loop takes, and what it does with them, told where they are in each array. */
type Turn = readonly [elements: number, emit: (...addresses: Address[]) => void];

/** Emits loops over a row of some arrays: the first turn as long as there are enough elements, then the next. */
function overRow(
  f: FunctionBuilder,
  arrays: readonly Address[],
  width: Local<"i32">,
  turns: readonly [...Turn[], last: readonly [1, Turn[1]]],
): void {
  const { i32 } = f;
  const addresses = arrays.map((array) => f.local("ptr", array()));
  const left = f.local("i32", width());
  for (const [elements, emit] of turns) {
    const enough = () => i32.ge_u(left(), i32.const(elements));
    f.if(enough(), () =>
      f.doWhile(() => {
        emit(...addresses);
        for (const address of addresses) f.advance(address, 4 * elements);
        left.set(i32.sub(left(), i32.const(elements)));
      }, enough),
    );
  }
}

/** Two floats as doubles. */
function loadPair(f: FunctionBuilder, address: Address, index: number): Vector {
  return f.f64x2.promote_low_f32x4(f.v128.load64_zero(address(), 8 * index));
}

/** One float as a double, and a zero. */
function loadOne(f: FunctionBuilder, address: Address): Vector {
  return f.f64x2.promote_low_f32x4(f.v128.load32_zero(address()));
}

/** Emits the sum of `term` over a row, in every lane. */
function rowSum(
  f: FunctionBuilder,
  sum: Local<"v128">,
  row: Address,
  width: Local<"i32">,
  term: (x: Vector) => Vector,
) {
  const { f64, f64x2 } = f;
  const sums = f.locals("v128", PAIRS);
  const rest = f.local("v128");
  for (const part of [...sums, rest]) part.set(f64x2.splat(f64.const(0)));
  overRow(f, [row], width, [
    [
      2 * PAIRS,
      (x) => {
        sums.forEach((part, i) => {
          part.set(f64x2.add(part(), term(loadPair(f, x, i))));
        });
      },
    ],
    [1, (x) => rest.set(f64x2.add(rest(), term(loadOne(f, x))))],
  ]);
  const [a, b, c, d] = sums;
  a.set(f64x2.add(f64x2.add(a(), b()), f64x2.add(c(), d())));
  // The second lane of the rest is a term of no element.
  const lanes = f64.add(f64x2.extract_lane(a(), 0), f64x2.extract_lane(a(), 1));
  sum.set(f64x2.splat(f64.add(lanes, f64x2.extract_lane(rest(), 0))));
}

/** Emits out = result(inputs) over a row, rounded to float32. A call of an input pushes its value. */
function rowMap(
  f: FunctionBuilder,
  out: Address,
  inputs: readonly Address[],
  width: Local<"i32">,
  result: (...inputs: (() => Vector)[]) => Vector,
): void {
  const { f32x4, v128 } = f;
  const rounded = f.local("v128");
  overRow(f, [out, ...inputs], width, [
    [
      2 * PAIRS,
      (outAt, ...inputsAt) => {
        for (let i = 0; i < PAIRS; i++) {
          rounded.set(f32x4.demote_f64x2_zero(result(...inputsAt.map((at) => () => loadPair(f, at, i)))));
          v128.store64_lane(outAt(), rounded(), 0, 8 * i);
        }
      },
    ],
    [
      1,
      (outAt, ...inputsAt) => {
        rounded.set(f32x4.demote_f64x2_zero(result(...inputsAt.map((at) => () => loadOne(f, at)))));
        v128.store32_lane(outAt(), rounded(), 0);
      },
    ],
  ]);
}

/** Emits scale = 1 / sqrt(squares / width + eps) in every lane. */
function inverseDeviation(
  f: FunctionBuilder,
  scale: Local<"v128">,
  squares: Local<"v128">,
  width: Local<"i32">,
  eps: Local<"f64">,
): void {
  const { f64, f64x2 } = f;
  const mean = f.local("f64", f64.div(f64x2.extract_lane(squares(), 0), f64.convert_i32_s(width())));
  scale.set(f64x2.splat(f64.div(f64.const(1), f64.sqrt(f64.add(mean(), eps())))));
}

/** The kernel `rmsNorm`: out = x / sqrt(mean(x²) + eps) * weight. Rounded. */
export function emitRmsNorm(module: ModuleBuilder): void {
  module.kernel(
    "rmsNorm",
    { out: "ptr", x: "ptr", weight: "ptr", rows: "i32", width: "i32", eps: "f64" },
    (f, { out, x, weight, width, eps }, range) => {
      const { f64x2 } = f;
      const [value, squares, scale] = f.locals("v128", 3);
      overRows(f, [x, out], width, range, (xRow, outRow) => {
        rowSum(f, squares, xRow, width, (v) => f64x2.mul(value.tee(v), value()));
        inverseDeviation(f, scale, squares, width, eps);
        rowMap(f, outRow, [xRow, weight], width, (v, w) => f64x2.mul(f64x2.mul(v(), scale()), w()));
      });
    },
  );
}

/** The kernel `layerNorm`: out = (x - mean) / sqrt(variance + eps) * weight + bias, or no bias if it is 0. Rounded. */
export function emitLayerNorm(module: ModuleBuilder): void {
  module.kernel(
    "layerNorm",
    { out: "ptr", x: "ptr", weight: "ptr", bias: "ptr", rows: "i32", width: "i32", eps: "f64" },
    (f, { out, x, weight, bias, width, eps }, range) => {
      const { f64, f64x2, ptr } = f;
      const [value, mean, squares, scale] = f.locals("v128", 4);
      overRows(f, [x, out], width, range, (xRow, outRow) => {
        rowSum(f, mean, xRow, width, (v) => v);
        mean.set(f64x2.div(mean(), f64x2.splat(f64.convert_i32_s(width()))));
        // A second pass: the difference of mean(x²) and mean² would lose everything on rows with a large mean.
        rowSum(f, squares, xRow, width, (v) => f64x2.mul(value.tee(f64x2.sub(v, mean())), value()));
        inverseDeviation(f, scale, squares, width, eps);
        const normed = (v: () => Vector, w: () => Vector) => f64x2.mul(f64x2.mul(f64x2.sub(v(), mean()), scale()), w());
        f.if(
          ptr.isNull(bias()),
          () => rowMap(f, outRow, [xRow, weight], width, normed),
          () => rowMap(f, outRow, [xRow, weight, bias], width, (v, w, b) => f64x2.add(normed(v, w), b())),
        );
      });
    },
  );
}

/** Emits max = the largest element of a row, in every lane: -Infinity if there is none. NaN is passed over. */
function rowMax(f: FunctionBuilder, max: Local<"v128">, row: Address, width: Local<"i32">): void {
  const { f32x4, i8x16, v128 } = f;
  const maxima = [max, ...f.locals("v128", 3)];
  for (const lane of maxima) lane.set(f32x4.const(Number.NEGATIVE_INFINITY));
  // pmax(a, b) is a < b ? b : a, which never takes a NaN for b.
  overRow(f, [row], width, [
    [
      4 * maxima.length,
      (x) => {
        maxima.forEach((lane, i) => {
          lane.set(f32x4.pmax(lane(), v128.load(x(), 16 * i)));
        });
      },
    ],
    [1, (x) => max.set(f32x4.pmax(max(), v128.load32_splat(x())))],
  ]);
  for (const lane of maxima.slice(1)) max.set(f32x4.pmax(max(), lane()));
  for (const bytes of [8, 4]) {
    const turned = Array.from({ length: 16 }, (_, i) => (i + bytes) % 16);
    max.set(f32x4.pmax(max(), i8x16.shuffle(max(), max(), turned)));
  }
}

/** The upper two floats of a vector, as the bytes of a shuffle. */
const UPPER_HALF = Array.from({ length: 16 }, (_, i) => 8 + (i % 8));

/**
 * The kernel `softmax`: out = e^(x - max) / Σ e^(x - max). The difference, the power (see vectorExpBelow), their sum and
 * the quotient are rounded.
 */
export function emitSoftmax(module: ModuleBuilder): void {
  module.kernel("softmax", { out: "ptr", x: "ptr", rows: "i32", width: "i32" }, (f, { out, x, width }, range) => {
    const { f32, f32x4, f64, f64x2, i8x16, v128 } = f;
    const exp = vectorExpBelow(module, f);
    const [max, low, high, rest, divisor] = f.locals("v128", 5);
    const total = f.local("f32");
    // The largest gives e^0 without a subtraction: Infinity less Infinity is NaN.
    const powers = (xs: Vectors) =>
      exp(xs.map((x) => f.local("v128", v128.andnot(f32x4.sub(x(), max()), f32x4.eq(x(), max())))));
    const several = (vectors: number) => (xAt: Address, outAt: Address) => {
      const xs = Array.from({ length: vectors }, (_, i) => f.local("v128", v128.load(xAt(), 16 * i)));
      powers(xs).forEach((power, i) => {
        v128.store(outAt(), power(), 16 * i);
        low.set(f64x2.add(low(), f64x2.promote_low_f32x4(power())));
        high.set(f64x2.add(high(), f64x2.promote_low_f32x4(i8x16.shuffle(power(), power(), UPPER_HALF))));
      });
    };
    const one = (xAt: Address, outAt: Address) => {
      const [power] = powers([f.local("v128", v128.load32_splat(xAt()))]);
      v128.store32_lane(outAt(), power(), 0);
      rest.set(f64x2.add(rest(), f64x2.promote_low_f32x4(power())));
    };
    overRows(f, [x, out], width, range, (xRow, outRow) => {
      rowMax(f, max, xRow, width);
      // Beside a largest of 0, all -Infinity gives powers of 0.
      max.set(v128.and(max(), f32x4.ne(max(), f32x4.const(Number.NEGATIVE_INFINITY))));
      for (const sum of [low, high, rest]) sum.set(f64x2.splat(f64.const(0)));
      overRow(f, [xRow, outRow], width, [
        [4 * SIDE_BY_SIDE, several(SIDE_BY_SIDE)],
        [4, several(1)],
        [1, one],
      ]);
      low.set(f64x2.add(low(), high()));
      const lanes = f64.add(f64x2.extract_lane(low(), 0), f64x2.extract_lane(low(), 1));
      total.set(f32.demote_f64(f64.add(lanes, f64x2.extract_lane(rest(), 0))));
      divisor.set(f32x4.splat(f.select(total(), f32.const(1), f32.ne(total(), f32.const(0)))));
      overRow(f, [outRow], width, [
        [4, (outAt) => v128.store(outAt(), f32x4.div(v128.load(outAt()), divisor()))],
        [1, (outAt) => v128.store32_lane(outAt(), f32x4.div(v128.load32_zero(outAt()), divisor()), 0)],
      ]);
    });
  });
}
