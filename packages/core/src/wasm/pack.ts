/**
 * Rows of a file into panels: once, at load. Kernels `pack.{dtype}`, over rows from..to of `source`, which become the
 * rows `first` + from... of the matrix at `to`.
 */

import { blockSizes } from "../dtypes/dtype";
import { QUANTIZED_BLOCK } from "../dtypes/quantize";
import type { FunctionBuilder, Local, Operand } from "./assembler";
import type { ModuleBuilder } from "./module";
import { FLOAT_BYTES, type FloatDtype, PANEL, type PanelLayout, panelBytes, panelDtype } from "./panels";
import { type QuantizedLayout, STEPS } from "./quantized-layout";

export function emitPack(module: ModuleBuilder, panel: PanelLayout): void {
  module.kernel(
    `pack.${panelDtype(panel)}`,
    {
      to: "ptr",
      source: "ptr",
      first: "i32",
      inputs: "i32",
      panelBytes: "f64",
      rowBytes: "i32",
      /** int32, set to 1 where a float16 is infinite or NaN */
      special: "ptr",
    },
    (f, a, range) => {
      const row = f.local("i32", range.from());
      const source = f.local("ptr", f.ptr.add(a.source(), f.ptr.product(row(), a.rowBytes())));
      const to = f.local("ptr");
      const left = f.local("i32");
      f.for(row, range.to, 1, () => {
        const output = f.local("i32", f.i32.add(a.first(), row()));
        const number = f.local("f64", f.f64.convert_i32_s(f.i32.shr_u(output(), f.i32.const(4))));
        to.set(f.ptr.add(a.to(), f.ptr.fromF64(f.f64.mul(number(), a.panelBytes()))));
        const lane = f.local("i32", f.i32.and(output(), f.i32.const(PANEL - 1)));
        left.set(a.inputs());
        if (panel.kind === "float") packFloats(f, panel.dtype, source, to, lane, left, a.special);
        else packBlocks(f, panel, source, to, lane, left);
      });
    },
  );
}

function packFloats(
  f: FunctionBuilder,
  dtype: FloatDtype,
  source: Local<"ptr">,
  to: Local<"ptr">,
  lane: Local<"i32">,
  left: Local<"i32">,
  special: Local<"ptr">,
): void {
  const bytes = FLOAT_BYTES[dtype];
  const value = f.local("i32");
  const found = f.local("i32", f.i32.const(0));
  const exponent = () => f.i32.const(0x7c00);
  f.advanceBy(to, f.i32.mul(lane(), f.i32.const(bytes)));
  f.while(left, () => {
    if (bytes === 4) f.i32.store(to(), f.i32.load(source()));
    else {
      value.set(f.i32.load16_u(source()));
      f.i32.store16(to(), value());
      if (dtype === "F16") found.set(f.i32.or(found(), f.i32.eq(f.i32.and(value(), exponent()), exponent())));
    }
    f.advance(source, bytes);
    f.advance(to, bytes * PANEL);
    left.set(f.i32.sub(left(), f.i32.const(1)));
  });
  if (dtype === "F16") f.if(found(), () => f.i32.store(special(), f.i32.const(1)));
}

function packBlocks(
  f: FunctionBuilder,
  panel: PanelLayout & { readonly kind: "quantized" },
  source: Local<"ptr">,
  to: Local<"ptr">,
  lane: Local<"i32">,
  left: Local<"i32">,
): void {
  const { layout } = panel;
  const { elements, bytes } = blockSizes[layout.dtype];
  const laneAt = (size: number) => f.ptr.from(f.i32.mul(lane(), f.i32.const(size)));
  const copyHalf = (from: number, offset: number) => {
    f.i32.store16(f.ptr.add(to(), laneAt(2)), f.i32.load16_u(source(), from), offset);
  };
  const word = f.local("i64");
  f.while(
    () => f.i32.gt_s(left(), f.i32.const(0)),
    () => {
      for (let part = 0; part < elements / QUANTIZED_BLOCK; part++) {
        switch (layout.dtype) {
          case "Q8_0":
            copyHalf(0, 0);
            if (layout.dot === "quads") {
              for (let quad = 0; quad < QUANTIZED_BLOCK / 4; quad++) {
                // w + 128 as an unsigned byte is w with its highest bit turned.
                f.i32.store(
                  f.ptr.add(to(), laneAt(4)),
                  f.i32.xor(f.i32.load(source(), 2 + 4 * quad), f.i32.const(layout.offset === 128 ? 0x80808080 : 0)),
                  32 + 64 * quad,
                );
              }
            } else {
              for (let pair = 0; pair < QUANTIZED_BLOCK / 2; pair++) copyHalf(2 + 2 * pair, 32 + 32 * pair);
            }
            break;
          case "Q4_0":
          case "Q4_1": {
            copyHalf(0, 0);
            if (layout.minimums) copyHalf(2, 32);
            const nibbles = bytes - 16;
            for (let step = 0; step < STEPS; step++) {
              // Elements 0..15 are the low nibbles of 16 bytes, 16..31 the high ones.
              const loaded = () => f.i64.load(source(), nibbles + 8 * (step & 1));
              word.set(step < 2 ? loaded() : f.i64.shr_u(loaded(), f.i64.const(4n)));
              f.i32.store(
                f.ptr.add(to(), laneAt(4)),
                layout.dot === "quads" ? nibbleQuads(f, word) : nibblePairs(f, word),
                layout.headerBytes + layout.stepBytes * step,
              );
            }
            break;
          }
          case "Q6_K":
            packSixBits(f, layout, source, to, word, part, laneAt, copyHalf);
            break;
        }
        f.advance(to, panelBytes(panel, QUANTIZED_BLOCK));
      }
      f.advance(source, bytes);
      left.set(f.i32.sub(left(), f.i32.const(elements)));
    },
  );
}

/** Part `part` of a block of 256: see `decodeQ6_K` for where its bits lie. */
function packSixBits(
  f: FunctionBuilder,
  layout: QuantizedLayout,
  source: Local<"ptr">,
  to: Local<"ptr">,
  word: Local<"i64">,
  part: number,
  laneAt: (size: number) => Operand<"ptr">,
  copyHalf: (from: number, offset: number) => void,
): void {
  const quarter = part & 3;
  const low = (part >> 2) * 64 + (quarter & 1) * 32;
  const high = 128 + (part >> 2) * 32;
  copyHalf(208, 0);
  for (let i = 0; i < 2; i++) {
    f.i32.store8(f.ptr.add(to(), laneAt(1)), f.i32.load8_u(source(), 192 + 2 * part + i), 32 + 16 * i);
  }
  for (let step = 0; step < STEPS; step++) {
    const at = layout.headerBytes + layout.stepBytes * step;
    word.set(f.i64.shr_u(f.i64.load(source(), low + 8 * step), f.i64.const(BigInt((quarter >> 1) * 4))));
    f.i32.store(f.ptr.add(to(), laneAt(4)), nibblePairs(f, word), at);
    word.set(f.i64.shr_u(f.i64.load(source(), high + 8 * step), f.i64.const(BigInt(2 * quarter))));
    // Two bits of the even inputs in one byte, of the odd ones in the next.
    for (const odd of [0, 1]) {
      const bits = f.local(
        "i64",
        f.i64.and(f.i64.shr_u(word(), f.i64.const(BigInt(8 * odd))), f.i64.const(0x0003_0003_0003_0003n)),
      );
      f.i32.store8(f.ptr.add(to(), laneAt(2)), gathered(f, bits, 14n), at + 64 + odd);
    }
  }
}

/** Low nibbles of eight bytes as two lanes of 16 bits: the even inputs in one, the odd ones in the other. */
function nibblePairs(f: FunctionBuilder, word: Local<"i64">): Operand<"i32"> {
  const lanes = [0, 1].map((odd) => {
    const nibbles = f.local(
      "i64",
      f.i64.and(f.i64.shr_u(word(), f.i64.const(BigInt(8 * odd))), f.i64.const(0x000f_000f_000f_000fn)),
    );
    return f.local("i32", f.i32.and(gathered(f, nibbles, 12n), f.i32.const(0xffff)));
  });
  return f.i32.or(lanes[0](), f.i32.shl(lanes[1](), f.i32.const(16)));
}

/** Four fields at the bottoms of 16-bit lanes moved together: lane j comes down by j * step. */
function gathered(f: FunctionBuilder, lanes: Local<"i64">, step: bigint): Operand<"i32"> {
  const down = (j: bigint) => f.i64.shr_u(lanes(), f.i64.const(j * step));
  return f.i32.wrap_i64(f.i64.or(f.i64.or(lanes(), down(1n)), f.i64.or(down(2n), down(3n))));
}

/** Low nibbles of eight bytes as four bytes: the first four inputs below, the next four above. */
function nibbleQuads(f: FunctionBuilder, word: Local<"i64">): Operand<"i32"> {
  const nibbles = () => f.i64.and(word(), f.i64.const(0x0f0f_0f0f_0f0f_0f0fn));
  return f.i32.or(f.i32.wrap_i64(nibbles()), f.i32.wrap_i64(f.i64.shr_u(nibbles(), f.i64.const(28n))));
}
