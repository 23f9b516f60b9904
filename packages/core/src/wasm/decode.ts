/**
 * Panels of any dtype decoded to float32: what is not multiplied as it lies goes through a slab of 16 outputs and at most
 * BLOCK inputs, [inputs][16], that fits the first-level cache.
 */

import { QUANTIZED_BLOCK } from "../dtypes/quantize";
import type { Local } from "./assembler";
import type { Callable, ModuleBuilder } from "./module";
import {
  BLOCK,
  FLOAT_BYTES,
  type FloatDtype,
  type FloatRange,
  floatLoader,
  PANEL,
  type PanelLayout,
  panelBytes,
  panelDtype,
  SLAB_BYTES,
} from "./panels";
import {
  blockBytes,
  eachWeights,
  loadPartScales,
  loadScales,
  type QuantizedLayout,
  quantizedConstants,
  STEP,
  STEPS,
} from "./quantized-layout";

/** The function (source, inputs, slab): decodes so many inputs, from a multiple of 32 on. */
export function emitDecode(module: ModuleBuilder, panel: PanelLayout, range: FloatRange = "all"): Callable {
  return panel.kind === "float" ? decodeFloats(module, panel.dtype, range) : decodeQuantized(module, panel.layout);
}

function decodeFloats(module: ModuleBuilder, dtype: FloatDtype, range: FloatRange): Callable {
  return module.function(["ptr", "i32", "ptr"], (f) => {
    const [source, inputs, slab] = f.parameters as [Local<"ptr">, Local<"i32">, Local<"ptr">];
    const load = floatLoader(module, f, dtype, range);
    f.while(inputs, () => {
      for (let v = 0; v < PANEL / 4; v++) {
        f.v128.store(slab(), load(source(), 4 * v * FLOAT_BYTES[dtype]), 16 * v);
      }
      f.advance(source, PANEL * FLOAT_BYTES[dtype]);
      f.advance(slab, PANEL * 4);
      inputs.set(f.i32.sub(inputs(), f.i32.const(1)));
    });
  });
}

/** x = d * (q - offset) + m: product and sum are exact before the last rounding, so these are the dtype's own values. */
function decodeQuantized(module: ModuleBuilder, layout: QuantizedLayout): Callable {
  return module.function(["ptr", "i32", "ptr"], (f) => {
    const [source, inputs, slab] = f.parameters as [Local<"ptr">, Local<"i32">, Local<"ptr">];
    const constants = quantizedConstants(module, f, layout);
    const scales = f.locals("v128", 4);
    const minimums = f.locals("v128", layout.minimums ? 4 : 0);
    const fine = f.locals("v128", layout.parts > 1 ? 4 : 0);
    const temporary = f.local("v128");
    const lanes = f.local("v128");
    const weights = f.local("ptr");
    f.while(
      () => f.i32.gt_s(inputs(), f.i32.const(0)),
      () => {
        scales.forEach((scale, g) => {
          scale.set(loadScales(f, constants, source(), 8 * g));
        });
        minimums.forEach((minimum, g) => {
          minimum.set(loadScales(f, constants, source(), 32 + 8 * g));
        });
        weights.set(f.ptr.add(source(), f.ptr.const(layout.headerBytes)));
        for (let step = 0; step < STEPS; step++) {
          if (layout.parts > 1 && step % (STEPS / layout.parts) === 0) {
            fine.forEach((scale, g) => {
              const at = 32 + 16 * (step / (STEPS / layout.parts)) + 4 * g;
              // d * scale is exact; multiplied as floats, a negative d keeps its sign through a zero.
              scale.set(f.f32x4.mul(scales[g](), f.f32x4.convert_i32x4_s(loadPartScales(f, source(), at))));
            });
          }
          for (let g = 0; g < PANEL / 4; g++) {
            eachWeights(f, layout, constants, weights, 0, g, temporary, (load, activation) => {
              lanes.set(load());
              const place = activation / 4;
              // Each int32 holds the 2 or 4 inputs of one output: move one to the top, and down again, with its sign if
              // it has one.
              const shr = layout.offset === 128 ? f.i32x4.shr_u : f.i32x4.shr_s;
              const perLane = layout.dot === "pairs" ? 2 : 4;
              const bits = 32 / perLane;
              const down = layout.scaledActivations ? [0, 4, 8, 0][place] : 0;
              for (let i = 0; i < perLane; i++) {
                const k = step * STEP + place * perLane + i;
                const up = 32 - bits * (i + 1);
                const moved = () => (up === 0 ? lanes() : f.i32x4.shl(lanes(), f.i32.const(up)));
                const whole = () => shr(moved(), f.i32.const(32 - bits + down));
                const above = () =>
                  layout.offset === 0 ? whole() : f.i32x4.sub(whole(), f.i32x4.const(layout.offset));
                const product = () => f.f32x4.mul(f.f32x4.convert_i32x4_s(above()), (fine[g] ?? scales[g])());
                f.v128.store(
                  slab(),
                  layout.minimums ? f.f32x4.add(product(), minimums[g]()) : product(),
                  k * 4 * PANEL + 16 * g,
                );
              }
            });
          }
          f.advance(weights, layout.stepBytes);
        }
        f.advance(source, blockBytes(layout));
        f.advance(slab, QUANTIZED_BLOCK * 4 * PANEL);
        inputs.set(f.i32.sub(inputs(), f.i32.const(QUANTIZED_BLOCK)));
      },
    );
  });
}

/**
 * The kernel `embedding.{dtype}`, over the ids from..to (int32, at `ids`): rows of the table, decoded. `slab`: one of
 * SLAB_BYTES for each thread.
 */
export function emitEmbedding(module: ModuleBuilder, panel: PanelLayout, decode: Callable): void {
  module.kernel(
    `embedding.${panelDtype(panel)}`,
    { out: "ptr", table: "ptr", ids: "ptr", inputs: "i32", panelBytes: "f64", slab: "ptr" },
    (f, a, range) => {
      const n = f.local("i32", range.from());
      const out = f.local("ptr", f.ptr.add(a.out(), f.ptr.product(n(), f.i32.mul(a.inputs(), f.i32.const(4)))));
      const slab = f.local("ptr", f.ptr.add(a.slab(), f.ptr.product(range.thread(), f.i32.const(SLAB_BYTES))));
      const id = f.local("i32");
      const source = f.local("ptr");
      const left = f.local("i32");
      const count = f.local("i32");
      const from = f.local("ptr");
      f.for(n, range.to, 1, () => {
        id.set(f.i32.load(f.ptr.add(a.ids(), f.ptr.from(f.i32.mul(n(), f.i32.const(4))))));
        const number = f.local("f64", f.f64.convert_i32_s(f.i32.shr_u(id(), f.i32.const(4))));
        source.set(f.ptr.add(a.table(), f.ptr.fromF64(f.f64.mul(number(), a.panelBytes()))));
        left.set(a.inputs());
        f.while(
          () => f.i32.gt_s(left(), f.i32.const(0)),
          () => {
            count.set(f.select(left(), f.i32.const(BLOCK), f.i32.lt_s(left(), f.i32.const(BLOCK))));
            f.call(decode, [source(), count(), slab()]);
            f.advance(source, panelBytes(panel, BLOCK));
            left.set(f.i32.sub(left(), count()));
            from.set(f.ptr.add(slab(), f.ptr.from(f.i32.mul(f.i32.and(id(), f.i32.const(15)), f.i32.const(4)))));
            f.while(count, () => {
              f.i32.store(out(), f.i32.load(from())); // as bits: a NaN keeps its payload
              f.advance(out, 4);
              f.advance(from, 4 * PANEL);
              count.set(f.i32.sub(count(), f.i32.const(1)));
            });
          },
        );
      });
    },
  );
}
