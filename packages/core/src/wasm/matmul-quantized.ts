/**
 * out[N, O] = x[N, I] · weightᵀ + bias, for quantised weights and activations quantised to 8 bits (quantize.ts).
 *
 * Both sides have a scale for each block of 32 inputs. A block's products are summed as integers, exactly, and scaled
 * once: out = ((bias + s0) + s1) + ..., s = sum * (d * dx), and after each, where the format has minimums, m * (dx Σq).
 */

import { QUANTIZED_BLOCK } from "../dtypes/quantize";
import type { Local, Operand } from "./assembler";
import { copyEdge, panelTarget, rowPointers } from "./matmul-float";
import type { Callable, ModuleBuilder } from "./module";
import { PANEL } from "./panels";
import {
  blockBytes,
  eachWeights,
  GROUP,
  groupBytes,
  loadPartScales,
  loadScales,
  NIBBLE_SCALE,
  type QuantizedLayout,
  quantizedConstants,
  STEP,
  STEPS,
} from "./quantized-layout";

/** Bytes that belong to each block of a row of activations: its scale, scale * sum, and the sum times -8 and -128 (int32). */
export const ACTIVATION_SCALE_BYTES = 16;

/** Bytes of one quantised activation. */
export function activationBytes(layout: Pick<QuantizedLayout, "dot">): number {
  return layout.dot === "pairs" ? 2 : 1;
}

/** Rows, and groups of 4 outputs, that a tile computes at once. */
export interface IntegerTile {
  readonly rows: number;
  readonly groups: 1 | 2 | 4;
  /** Steps of 8 inputs in the body of the inner loop; "pair" for a quarter of one, which only Q8_0 lies in. */
  readonly unroll: 1 | 2 | 4 | "pair";
  /** Groups at a time whose weights are in registers, to share what is loaded of x. */
  readonly sharing: 1 | 2 | 4;
}

function tileFunction(
  module: ModuleBuilder,
  layout: QuantizedLayout,
  { rows, groups, unroll, sharing }: IntegerTile,
): Callable {
  // x and its scales with the distance between rows, the block's header and weights, how many blocks, where to.
  return module.function(["ptr", "i32", "ptr", "i32", "ptr", "ptr", "i32", "ptr", "i32", "ptr"], (f) => {
    const [x, xStride, scales, scaleStride, header, weights, blocks, out, outStride, bias] = f.parameters as [
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
    ];
    const { stepBytes, parts } = layout;
    const constants = quantizedConstants(module, f, layout);
    const stepActivations = STEP * activationBytes(layout);
    const xs = rowPointers(f, rows, x, xStride);
    const rowScales = rowPointers(f, rows, scales, scaleStride);
    const sums = f.locals("v128", rows * groups);
    const totals = parts === 1 ? sums : f.locals("v128", rows * groups);
    const results = f.locals("v128", rows * groups);
    const packed = f.locals("v128", sharing);
    const shared = f.locals("v128", sharing);
    const values = f.local("v128");
    const weight = f.local("v128");
    const step = f.local("i32");

    f.if(f.i32.eqz(f.ptr.isNull(bias())), () => {
      for (let g = 0; g < groups; g++) {
        for (let r = 0; r < rows; r++) results[r * groups + g].set(f.v128.load(bias(), 16 * g));
      }
    });

    // A splat of activations is loaded once for all groups whose weights are in registers with it.
    const oneStep = (at: number) => {
      for (let first = 0; first < groups; first += sharing) {
        const places: { readonly activation: number; readonly loads: (() => Operand<"v128">)[] }[] = [];
        packed.forEach((bits, i) => {
          let place = 0;
          eachWeights(f, layout, constants, weights, at * stepBytes, first + i, bits, (load, activation) => {
            places[place] ??= { activation, loads: [] };
            places[place++].loads.push(load);
          });
        });
        for (const { activation, loads } of places) {
          loads.forEach((load, i) => {
            shared[i].set(load());
          });
          for (let r = 0; r < rows; r++) {
            values.set(f.v128.load32_splat(xs[r](), at * stepActivations + activation));
            for (let i = 0; i < sharing; i++) {
              const sum = sums[r * groups + first + i];
              sum.set(
                layout.dot === "pairs"
                  ? f.i32x4.add(sum(), f.i32x4.dot_i16x8_s(values(), shared[i]()))
                  : f.i32x4.relaxed_dot_i8x16_i7x16_add_s(values(), shared[i](), sum()),
              );
            }
          }
        }
      }
    };
    // Short enough for a compiler that moves all loads of a body to its start.
    const onePair = () => {
      for (let g = 0; g < groups; g++) {
        weight.set(f.v128.load8x8_s(weights(), 8 * g));
        for (let r = 0; r < rows; r++) {
          const sum = sums[r * groups + g];
          sum.set(f.i32x4.add(sum(), f.i32x4.dot_i16x8_s(f.v128.load32_splat(xs[r]()), weight())));
        }
      }
      for (const pointer of xs) f.advance(pointer, stepActivations / 4);
      f.advance(weights, stepBytes / 4);
    };
    const steps = (count: number) => {
      if (unroll === "pair") {
        step.set(f.i32.const(4 * count));
        return f.doWhile(onePair, () => step.tee(f.i32.sub(step(), f.i32.const(1))));
      }
      const body = () => {
        for (let at = 0; at < unroll; at++) oneStep(at);
        for (const pointer of xs) f.advance(pointer, unroll * stepActivations);
        f.advance(weights, unroll * stepBytes);
      };
      if (count <= unroll) return body();
      step.set(f.i32.const(count / unroll));
      f.doWhile(body, () => step.tee(f.i32.sub(step(), f.i32.const(1))));
    };

    const overBlocks = () =>
      f.doWhile(
        () => {
          for (let r = 0; r < rows; r++) {
            // What the weights' offset adds is taken away before.
            if (layout.offset === 0) {
              values.set(f.i32x4.const(0));
            } else {
              values.set(f.v128.load32_splat(rowScales[r](), layout.offset === 8 ? 8 : 12));
              if (layout.scaledActivations) values.set(f.i32x4.shl(values(), f.i32.const(Math.log2(NIBBLE_SCALE))));
            }
            for (let g = 0; g < groups; g++) totals[r * groups + g].set(values());
          }
          for (let part = 0; part < parts; part++) {
            if (parts > 1) for (const sum of sums) sum.set(f.i32x4.const(0));
            steps(STEPS / parts);
            if (parts > 1) {
              for (let g = 0; g < groups; g++) {
                weight.set(loadPartScales(f, header(), 32 + 16 * part + 4 * g));
                for (let r = 0; r < rows; r++) {
                  const i = r * groups + g;
                  totals[i].set(f.i32x4.add(totals[i](), f.i32x4.mul(sums[i](), weight())));
                }
              }
            }
          }
          for (let g = 0; g < groups; g++) {
            weight.set(loadScales(f, constants, header(), 8 * g));
            for (let r = 0; r < rows; r++) {
              const i = r * groups + g;
              if (layout.scaledActivations)
                totals[i].set(f.i32x4.shr_s(totals[i](), f.i32.const(Math.log2(NIBBLE_SCALE))));
              results[i].set(
                f.f32x4.add(
                  results[i](),
                  f.f32x4.mul(
                    f.f32x4.convert_i32x4_s(totals[i]()),
                    f.f32x4.mul(weight(), f.v128.load32_splat(rowScales[r]())),
                  ),
                ),
              );
            }
            if (!layout.minimums) continue;
            weight.set(loadScales(f, constants, header(), 32 + 8 * g));
            for (let r = 0; r < rows; r++) {
              const i = r * groups + g;
              results[i].set(f.f32x4.add(results[i](), f.f32x4.mul(weight(), f.v128.load32_splat(rowScales[r](), 4))));
            }
          }
          f.advance(header, blockBytes(layout));
          f.advance(weights, layout.headerBytes);
          for (const pointer of rowScales) f.advance(pointer, ACTIVATION_SCALE_BYTES);
          blocks.set(f.i32.sub(blocks(), f.i32.const(1)));
        },
        () => f.i32.gt_s(blocks(), f.i32.const(0)),
      );
    f.if(blocks(), overBlocks);
    const outs = rowPointers(f, rows, out, outStride);
    for (let r = 0; r < rows; r++) {
      for (let g = 0; g < groups; g++) f.v128.store(outs[r](), results[r * groups + g](), 16 * g);
    }
  });
}

/**
 * The kernel `matmul.int8.{dtype}`, over panels from..to, of activations `x` and their `scales`. `edge`: see matmul-float.ts.
 */
export function emitQuantizedMatmul(
  module: ModuleBuilder,
  layout: QuantizedLayout,
  tiles: readonly IntegerTile[],
): void {
  if (layout.parts > 1 && tiles.some(({ groups }) => groups !== 4))
    throw new RangeError("parts need tiles of 4 groups");
  const calls = tiles.map((tile) => ({ ...tile, call: tileFunction(module, layout, tile) }));
  module.kernel(
    `matmul.int8.${layout.dtype}`,
    {
      out: "ptr",
      x: "ptr",
      scales: "ptr",
      weight: "ptr",
      bias: "ptr",
      edge: "ptr",
      rows: "i32",
      inputs: "i32",
      outputs: "i32",
    },
    (f, a, range) => {
      const panel = f.local("i32", range.from());
      const outStride = f.local("i32");
      const out = f.local("ptr");
      const w = f.local("ptr");
      const bias = f.local("ptr");
      const width = f.local("i32");
      const row = f.local("i32");
      const blocks = f.local(
        "i32",
        f.i32.shr_u(f.i32.add(a.inputs(), f.i32.const(QUANTIZED_BLOCK - 1)), f.i32.const(Math.log2(QUANTIZED_BLOCK))),
      );
      const xStride = f.local("i32", f.i32.mul(blocks(), f.i32.const(QUANTIZED_BLOCK * activationBytes(layout))));
      const scaleStride = f.local("i32", f.i32.mul(blocks(), f.i32.const(ACTIVATION_SCALE_BYTES)));
      f.for(panel, range.to, 1, () => {
        width.set(f.i32.sub(a.outputs(), f.i32.mul(panel(), f.i32.const(PANEL))));
        panelTarget(f, a, panel, width, out, outStride, bias);
        w.set(f.ptr.add(a.weight(), f.ptr.product(panel(), f.i32.mul(blocks(), f.i32.const(blockBytes(layout))))));
        row.set(f.i32.const(0));
        for (const { rows, groups, call } of calls) {
          f.while(
            () => f.i32.le_s(f.i32.add(row(), f.i32.const(rows)), a.rows()),
            () => {
              for (let g = 0; g < PANEL / GROUP; g += groups) {
                f.call(call, [
                  f.ptr.add(a.x(), f.ptr.product(row(), xStride())),
                  xStride(),
                  f.ptr.add(a.scales(), f.ptr.product(row(), scaleStride())),
                  scaleStride(),
                  f.ptr.add(w(), f.ptr.const(8 * g)),
                  f.ptr.add(w(), f.ptr.const(layout.headerBytes + groupBytes(layout) * g)),
                  blocks(),
                  f.ptr.add(f.ptr.add(out(), f.ptr.product(row(), outStride())), f.ptr.const(16 * g)),
                  outStride(),
                  f.select(bias(), f.ptr.add(bias(), f.ptr.const(16 * g)), f.ptr.isNull(bias())),
                ]);
              }
              row.set(f.i32.add(row(), f.i32.const(rows)));
            },
          );
        }
        copyEdge(f, a, panel, width);
      });
    },
  );
}
