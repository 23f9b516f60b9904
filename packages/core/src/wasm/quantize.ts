/** Activations in 8 bits for the integer products: `quantizeActivations` of dtypes/quantize.ts, the same bits. */

import { QUANTIZED_BLOCK } from "../dtypes/quantize";
import type { FunctionBuilder, Local } from "./assembler";
import { ACTIVATION_SCALE_BYTES } from "./matmul-quantized";
import type { ModuleBuilder } from "./module";
import { type IntegerDot, nibbleScale } from "./quantized-layout";

/** The forms that activations are quantised to: what `dot` takes, scaled for the place of the nibble or not. */
export interface ActivationFormat {
  readonly dot: IntegerDot;
  readonly scaledActivations: boolean;
}

/** The kernel's name. */
export function quantizeKernel({ dot, scaledActivations }: ActivationFormat): string {
  return `quantize.${dot}${scaledActivations ? ".scaled" : ""}`;
}

/**
 * The kernel `quantize...`, over rows from..to: x [N, inputs] to [N, blocks * 32] of int16 (`pairs`) or int8 (`quads`),
 * and for each block its scale d, d Σq, and -8 Σq and -128 Σq as int32.
 */
export function emitQuantize(module: ModuleBuilder, format: ActivationFormat): void {
  const { dot, scaledActivations } = format;
  module.kernel(quantizeKernel(format), { x: "ptr", to: "ptr", scales: "ptr", inputs: "i32" }, (f, a, range) => {
    const blocks = f.local("i32", f.i32.shr_u(f.i32.add(a.inputs(), f.i32.const(QUANTIZED_BLOCK - 1)), f.i32.const(5)));
    const rowBytes = QUANTIZED_BLOCK * (dot === "pairs" ? 2 : 1);
    const row = f.local("i32", range.from());
    const from = f.local("ptr", f.ptr.add(a.x(), f.ptr.product(row(), f.i32.mul(a.inputs(), f.i32.const(4)))));
    const to = f.local("ptr", f.ptr.add(a.to(), f.ptr.product(row(), f.i32.mul(blocks(), f.i32.const(rowBytes)))));
    const scales = f.local(
      "ptr",
      f.ptr.add(a.scales(), f.ptr.product(row(), f.i32.mul(blocks(), f.i32.const(ACTIVATION_SCALE_BYTES)))),
    );
    const factors = scaledActivations
      ? module.constant(f, Int16Array.from(nibbleScale.flatMap((factor) => [factor, factor])))
      : null;
    const left = f.local("i32");
    const x = f.locals("v128", 8);
    f.for(row, range.to, 1, () => {
      left.set(a.inputs());
      f.while(
        () => f.i32.gt_s(left(), f.i32.const(0)),
        () => {
          f.if(
            f.i32.ge_s(left(), f.i32.const(QUANTIZED_BLOCK)),
            () => {
              x.forEach((v, i) => {
                v.set(f.v128.load(from(), 16 * i));
              });
              f.advance(from, 4 * QUANTIZED_BLOCK);
            },
            () => loadPart(f, from, to, left, x),
          );
          block(f, x, to, scales, dot, factors);
          left.set(f.i32.sub(left(), f.i32.const(QUANTIZED_BLOCK)));
          f.advance(to, rowBytes);
          f.advance(scales, ACTIVATION_SCALE_BYTES);
        },
      );
    });
  });
}

/** A short last block, element by element: zeros follow. Where its result will lie is room for a copy. */
function loadPart(
  f: FunctionBuilder,
  from: Local<"ptr">,
  to: Local<"ptr">,
  left: Local<"i32">,
  x: readonly Local<"v128">[],
): void {
  const rest = f.local("i32", left());
  const at = f.local("ptr");
  // Four at a time through the first 16 bytes of the block's own output.
  for (const v of x) {
    at.set(to());
    f.v128.store(at(), f.f32x4.const(0));
    const lane = f.local("i32", f.i32.const(0));
    f.while(
      () => f.i32.and(f.i32.lt_s(lane(), f.i32.const(4)), f.i32.gt_s(rest(), f.i32.const(0))),
      () => {
        f.f32.store(at(), f.f32.load(from()));
        f.advance(at, 4);
        f.advance(from, 4);
        lane.set(f.i32.add(lane(), f.i32.const(1)));
        rest.set(f.i32.sub(rest(), f.i32.const(1)));
      },
    );
    v.set(f.v128.load(to()));
  }
}

function block(
  f: FunctionBuilder,
  x: readonly Local<"v128">[],
  to: Local<"ptr">,
  scales: Local<"ptr">,
  dot: IntegerDot,
  factors: Local<"v128"> | null,
): void {
  const largest = f.local("v128");
  const size = f.local("f32");
  const scale = f.local("f32");
  const inverse = f.local("v128");
  // f32x4.max, unlike pmax, keeps NaN.
  largest.set(f.f32x4.abs(x[0]()));
  for (const v of x.slice(1)) largest.set(f.f32x4.max(largest(), f.f32x4.abs(v())));
  const lane = (i: number) => f.f32x4.extract_lane(largest(), i);
  size.set(f.f32.max(f.f32.max(lane(0), lane(1)), f.f32.max(lane(2), lane(3))));
  scale.set(f.f32.div(size(), f.f32.const(127)));
  inverse.set(f.f32x4.splat(f.f32.min(f.f32.div(f.f32.const(127), size()), f.f32.const(2 ** 127))));
  for (const v of x) v.set(f.i32x4.trunc_sat_f32x4_s(f.f32x4.nearest(f.f32x4.mul(v(), inverse()))));
  const sum = f.local("v128");
  sum.set(f.i32x4.add(x[0](), x[1]()));
  for (const v of x.slice(2)) sum.set(f.i32x4.add(sum(), v()));
  const total = f.local("i32");
  const sumLane = (i: number) => f.i32x4.extract_lane(sum(), i);
  total.set(f.i32.add(f.i32.add(sumLane(0), sumLane(1)), f.i32.add(sumLane(2), sumLane(3))));
  f.f32.store(scales(), scale());
  f.f32.store(scales(), f.f32.mul(scale(), f.f32.convert_i32_s(total())), 4);
  f.i32.store(scales(), f.i32.mul(total(), f.i32.const(-8)), 8);
  f.i32.store(scales(), f.i32.mul(total(), f.i32.const(-128)), 12);
  if (dot === "pairs") {
    for (let i = 0; i < 4; i++) {
      const lanes = () => f.i16x8.narrow_i32x4_s(x[2 * i](), x[2 * i + 1]());
      f.v128.store(to(), factors === null ? lanes() : f.i16x8.mul(lanes(), factors()), 16 * i);
    }
  } else {
    for (let i = 0; i < 2; i++) {
      const [a, b, c, d] = x.slice(4 * i);
      f.v128.store(
        to(),
        f.i8x16.narrow_i16x8_s(f.i16x8.narrow_i32x4_s(a(), b()), f.i16x8.narrow_i32x4_s(c(), d())),
        16 * i,
      );
    }
  }
}
