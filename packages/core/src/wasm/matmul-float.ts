/**
 * out[N, O] = x[N, I] · weightᵀ + bias, for float weights in panels.
 *
 * A panel holds 16 outputs, [I][16]: the order in which one row of x streams through it, and in which a tile of rows
 * reads it too. Weights are packed once, at load (pack.ts).
 *
 * Every output is ((bias + b0) + b1) + ..., where b is the sum over a block of BLOCK inputs, in order, from 0. No tile,
 * thread or number of rows changes that order. Blocks keep a tile's operands in the first-level cache, and the error
 * of a long sum near sqrt(BLOCK) roundings.
 */

import type { FunctionBuilder, Local } from "./assembler";
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

/** Rows and columns that are computed at once: what the registers hold. */
export interface Tile {
  readonly rows: number;
  readonly columns: 8 | 16;
  /** Inputs a turn of the inner loop. */
  readonly unroll: 1 | 2 | 4;
}

/** A run of inputs for `rows` rows and `columns` outputs: adds it to the outputs, or to the bias in the first block. */
function tileFunction(
  module: ModuleBuilder,
  dtype: FloatDtype,
  { rows, columns, unroll }: Tile,
  range: FloatRange,
): Callable {
  return module.function(["ptr", "i32", "ptr", "i32", "ptr", "i32", "ptr", "i32"], (f) => {
    const [x, xStride, w, count, out, outStride, bias, first] = f.parameters as [
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"i32">,
    ];
    const vectors = columns / 4;
    const step = PANEL * FLOAT_BYTES[dtype];
    const sums = f.locals("v128", rows * vectors);
    const xs = rowPointers(f, rows, x, xStride);
    const weights = f.locals("v128", vectors);
    const load = floatLoader(module, f, dtype, range);
    const value = f.local("v128");
    const left = f.local("i32");
    const one = (k: number) => {
      for (let v = 0; v < vectors; v++) {
        weights[v].set(load(w(), k * step + v * 4 * FLOAT_BYTES[dtype]));
      }
      for (let r = 0; r < rows; r++) {
        value.set(f.v128.load32_splat(xs[r](), 4 * k));
        for (let v = 0; v < vectors; v++) {
          const sum = sums[r * vectors + v];
          sum.set(f.f32x4.add(sum(), f.f32x4.mul(value(), weights[v]())));
        }
      }
    };
    const run = (unroll: number) => {
      f.doWhile(
        () => {
          for (let k = 0; k < unroll; k++) one(k);
          for (const pointer of xs) f.advance(pointer, 4 * unroll);
          f.advance(w, unroll * step);
          left.set(f.i32.sub(left(), f.i32.const(unroll)));
        },
        () => f.i32.ge_s(left(), f.i32.const(unroll)),
      );
    };
    left.set(count());
    f.if(f.i32.ge_s(left(), f.i32.const(unroll)), () => run(unroll));
    f.if(left(), () => run(1));

    const outs = rowPointers(f, rows, out, outStride);
    const base = f.locals("v128", vectors);
    f.if(
      first(),
      () => {
        f.if(
          f.ptr.isNull(bias()),
          () => {
            for (const b of base) b.set(f.f32x4.const(0));
          },
          () => {
            for (let v = 0; v < vectors; v++) base[v].set(f.v128.load(bias(), 16 * v));
          },
        );
        for (let r = 0; r < rows; r++) {
          for (let v = 0; v < vectors; v++) {
            f.v128.store(outs[r](), f.f32x4.add(base[v](), sums[r * vectors + v]()), 16 * v);
          }
        }
      },
      () => {
        for (let r = 0; r < rows; r++) {
          for (let v = 0; v < vectors; v++) {
            f.v128.store(outs[r](), f.f32x4.add(f.v128.load(outs[r](), 16 * v), sums[r * vectors + v]()), 16 * v);
          }
        }
      },
    );
  });
}

/** The addresses of `rows` rows. */
export function rowPointers(f: FunctionBuilder, rows: number, first: Local<"ptr">, stride: Local<"i32">) {
  const pointers: Local<"ptr">[] = [first];
  for (let r = 1; r < rows; r++) {
    pointers.push(f.local("ptr", f.ptr.add(pointers[r - 1](), f.ptr.from(stride()))));
  }
  return pointers;
}

/** What both matmul kernels are told about their output. */
interface OutputArguments {
  readonly out: Local<"ptr">;
  readonly bias: Local<"ptr">;
  readonly edge: Local<"ptr">;
  readonly rows: Local<"i32">;
  readonly outputs: Local<"i32">;
}

/** Where a panel's outputs go: in place, or for the last one, if `width` is less than a panel, into `edge`. */
export function panelTarget(
  f: FunctionBuilder,
  a: OutputArguments,
  panel: Local<"i32">,
  width: Local<"i32">,
  out: Local<"ptr">,
  outStride: Local<"i32">,
  bias: Local<"ptr">,
): void {
  const bytes = f.local("ptr", f.ptr.from(f.i32.mul(panel(), f.i32.const(4 * PANEL))));
  f.if(
    f.i32.ge_s(width(), f.i32.const(PANEL)),
    () => {
      out.set(f.ptr.add(a.out(), bytes()));
      outStride.set(f.i32.mul(a.outputs(), f.i32.const(4)));
    },
    () => {
      out.set(a.edge());
      outStride.set(f.i32.const(4 * PANEL));
    },
  );
  bias.set(f.select(a.bias(), f.ptr.add(a.bias(), bytes()), f.ptr.isNull(a.bias())));
}

/** Copies the outputs of a narrow last panel from `edge` to their place. */
export function copyEdge(f: FunctionBuilder, a: OutputArguments, panel: Local<"i32">, width: Local<"i32">): void {
  f.if(f.i32.lt_s(width(), f.i32.const(PANEL)), () => {
    const row = f.local("i32", f.i32.const(0));
    const column = f.local("i32");
    const to = f.local("ptr");
    const from = f.local("ptr", a.edge());
    f.for(row, a.rows, 1, () => {
      to.set(f.ptr.add(a.out(), f.ptr.from(f.i32.mul(panel(), f.i32.const(4 * PANEL)))));
      to.set(f.ptr.add(to(), f.ptr.product(row(), f.i32.mul(a.outputs(), f.i32.const(4)))));
      column.set(f.i32.const(0));
      f.for(column, width, 1, () => {
        f.f32.store(to(), f.f32.load(from()));
        f.advance(to, 4);
        f.advance(from, 4);
      });
      f.advanceBy(from, f.i32.mul(f.i32.sub(f.i32.const(PANEL), width()), f.i32.const(4)));
    });
  });
}

/** Tiles of different heights, the tallest first and one of a single row: any number of rows is taken apart into these. */
export interface FloatTiles {
  readonly tile: Tile;
  readonly call: Callable;
}

/** The tile functions for one dtype. */
export function emitFloatTiles(
  module: ModuleBuilder,
  dtype: FloatDtype,
  tiles: readonly Tile[],
  range: FloatRange = "all",
): FloatTiles[] {
  return tiles.map((tile) => ({ tile, call: tileFunction(module, dtype, tile, range) }));
}

/** Weights of 16 bits are decoded once for all rows, into a slab, from so many rows on. */
const SLAB_ROWS = 4;

/** How a kernel comes to weights: `direct` tiles read them as they lie, `slab` ones after `decode` into scratch. */
export interface FloatWeights {
  readonly panel: PanelLayout;
  readonly direct: readonly FloatTiles[] | null;
  readonly slab: { readonly decode: Callable; readonly tiles: readonly FloatTiles[] } | null;
  /** In place of `slab.decode` for matrices with infinities or NaN, of which the others know nothing; null: they do. */
  readonly decodeAll: Callable | null;
}

/**
 * The kernel `matmul.{dtype}`, over panels from..to. `edge` is a scratch of N rows of 16 floats: the last panel of an
 * O that is no multiple of 16 is computed there. `slab`: one of SLAB_BYTES for each thread.
 */
export function emitFloatMatmul(module: ModuleBuilder, { panel: layout, direct, slab, decodeAll }: FloatWeights): void {
  module.kernel(
    `matmul.${panelDtype(layout)}`,
    {
      out: "ptr",
      x: "ptr",
      weight: "ptr",
      bias: "ptr",
      edge: "ptr",
      slab: "ptr",
      rows: "i32",
      inputs: "i32",
      outputs: "i32",
      panelBytes: "f64",
      /** 1 where there may be infinities or NaN among the weights */
      special: "i32",
    },
    (f, a, range) => {
      const panel = f.local("i32", range.from());
      const outStride = f.local("i32");
      const out = f.local("ptr");
      const source = f.local("ptr");
      const weights = f.local("ptr");
      const bias = f.local("ptr");
      const width = f.local("i32");
      const k = f.local("i32");
      const count = f.local("i32");
      const row = f.local("i32");
      const xStride = f.local("i32", f.i32.mul(a.inputs(), f.i32.const(4)));
      const scratch = f.local("ptr", f.ptr.add(a.slab(), f.ptr.product(range.thread(), f.i32.const(SLAB_BYTES))));
      const number = f.local("f64");

      // All rows times one block of inputs, whose weights have outputs `weightBytes` apart.
      const block = (tiles: readonly FloatTiles[], weightBytes: number) => {
        const columns = Math.min(...tiles.map(({ tile }) => tile.columns));
        for (let column = 0; column < PANEL; column += columns) {
          row.set(f.i32.const(0));
          for (const { tile, call } of tiles) {
            if (column % tile.columns !== 0) continue; // a wider tile has done this half
            f.while(
              () => f.i32.le_s(f.i32.add(row(), f.i32.const(tile.rows)), a.rows()),
              () => {
                f.call(call, [
                  f.ptr.add(
                    f.ptr.add(a.x(), f.ptr.product(row(), xStride())),
                    f.ptr.from(f.i32.mul(k(), f.i32.const(4))),
                  ),
                  xStride(),
                  f.ptr.add(weights(), f.ptr.const(column * weightBytes)),
                  count(),
                  f.ptr.add(f.ptr.add(out(), f.ptr.product(row(), outStride())), f.ptr.const(4 * column)),
                  outStride(),
                  f.select(bias(), f.ptr.add(bias(), f.ptr.const(4 * column)), f.ptr.isNull(bias())),
                  f.i32.eqz(k()),
                ]);
                row.set(f.i32.add(row(), f.i32.const(tile.rows)));
              },
            );
          }
        }
      };
      const directBlock = () => {
        weights.set(source());
        block(direct as readonly FloatTiles[], layout.kind === "float" ? FLOAT_BYTES[layout.dtype] : 0);
      };
      const slabBlock = () => {
        const { decode, tiles } = slab as NonNullable<typeof slab>;
        const decoding = (by: Callable) => () => f.call(by, [source(), count(), scratch()]);
        if (decodeAll === null) decoding(decode)();
        else f.if(a.special(), decoding(decodeAll), decoding(decode));
        weights.set(scratch());
        block(tiles, 4);
      };

      f.for(panel, range.to, 1, () => {
        width.set(f.i32.sub(a.outputs(), f.i32.mul(panel(), f.i32.const(PANEL))));
        panelTarget(f, a, panel, width, out, outStride, bias);
        number.set(f.f64.convert_i32_s(panel()));
        source.set(f.ptr.add(a.weight(), f.ptr.fromF64(f.f64.mul(number(), a.panelBytes()))));
        k.set(f.i32.const(0));
        f.loop((again) => {
          count.set(f.i32.sub(a.inputs(), k()));
          count.set(f.select(f.i32.const(BLOCK), count(), f.i32.gt_s(count(), f.i32.const(BLOCK))));
          if (slab === null) directBlock();
          else if (direct === null) slabBlock();
          else f.if(f.i32.or(f.i32.ge_s(a.rows(), f.i32.const(SLAB_ROWS)), a.special()), slabBlock, directBlock);
          f.advance(source, panelBytes(layout, BLOCK));
          k.set(f.i32.add(k(), count()));
          f.brIf(again, f.i32.lt_s(k(), a.inputs()));
        });
        copyEdge(f, a, panel, width);
      });
    },
  );
}
