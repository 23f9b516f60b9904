/** All kernels as one module, for an engine and a kind of memory; compiled once for all models that want the same. */

import type { Dtype } from "../dtypes/dtype";
import { ACTIVATIONS } from "../kernels/activation";
import { emitAttention } from "./attention";
import { emitDecode, emitEmbedding } from "./decode";
import { emitActivate, emitAdd, emitGate, emitSoftCap } from "./elementwise-kernels";
import type { EngineFeatures } from "./engine";
import type { Tile } from "./matmul-float";
import { emitFloatMatmul, emitFloatTiles } from "./matmul-float";
import { emitQuantizedMatmul, type IntegerTile } from "./matmul-quantized";
import { ModuleBuilder, type Target } from "./module";
import { emitPack } from "./pack";
import type { PanelLayout } from "./panels";
import { emitQuantize } from "./quantize";
import { type QuantizedDtype, type QuantizedLayout, quantizedLayout } from "./quantized-layout";
import { emitRope } from "./rope-kernels";
import { emitLayerNorm, emitRmsNorm, emitSoftmax } from "./row-kernels";

/** What a program is emitted for. */
export type Engine = EngineFeatures & Target;

/** A compiled module, and how weights lie for it. */
export interface Program {
  readonly engine: Engine;
  readonly module: WebAssembly.Module;
  readonly constants: Uint8Array;
  /** Exports, in the order of their numbers. */
  readonly names: readonly string[];
  /** Of the dtypes that it knows. */
  readonly panels: Readonly<Partial<Record<Dtype, PanelLayout>>>;
}

const programs = new Map<string, Promise<Program>>();

/**
 * The program for an engine, compiled when it is first asked for.
 *
 * @param dtypes of the weights that it is to know: a third of all code is for one, which takes its time to emit
 */
export function program(engine: Engine, dtypes: ReadonlySet<Dtype>): Promise<Program> {
  const key = JSON.stringify([engine, DTYPES.filter((dtype) => dtypes.has(dtype))]);
  let compiled = programs.get(key);
  if (compiled === undefined) {
    compiled = compile(engine, dtypes);
    compiled.catch(() => programs.delete(key));
    programs.set(key, compiled);
  }
  return compiled;
}

async function compile(engine: Engine, dtypes: ReadonlySet<Dtype>): Promise<Program> {
  const { bytes, ...parts } = emitProgram(engine, dtypes);
  return { engine, module: await WebAssembly.compile(bytes), ...parts };
}

/** The same at once, on this thread, and for nobody else. */
export function compileNow(engine: Engine, dtypes: ReadonlySet<Dtype>): Program {
  const { bytes, ...parts } = emitProgram(engine, dtypes);
  return { engine, module: new WebAssembly.Module(bytes), ...parts };
}

/** Tiles by measurement: docs/performance.md. */
function floatTiles({ keepsOrder, wide }: Engine): Tile[] {
  const single: Tile = { rows: 1, columns: 16, unroll: 2 };
  if (wide) return [{ rows: 3, columns: 16, unroll: 4 }, single];
  const unroll = keepsOrder ? 4 : 1;
  return [{ rows: 4, columns: 8, unroll }, { rows: 2, columns: 8, unroll }, single];
}

function integerTiles({ keepsOrder, wide }: Engine, { dtype, dot, parts }: QuantizedLayout): IntegerTile[] {
  const tile = (
    rows: number,
    groups: IntegerTile["groups"],
    unroll: IntegerTile["unroll"],
    sharing: IntegerTile["sharing"] = groups,
  ): IntegerTile => ({ rows, groups, unroll, sharing });
  // Scales of parts lie closer together than those of blocks: only whole panels have both at the same place.
  if (parts > 1) return [tile(2, 4, 1, keepsOrder && !wide ? 1 : 4), tile(1, 4, 1)];
  const unroll = dot === "quads" ? 4 : 2;
  if (wide) return [tile(4, 4, unroll), tile(2, 4, 2), tile(1, 4, 2)];
  if (keepsOrder) return [tile(4, 2, unroll), tile(2, 2, 2), tile(1, 4, 2)];
  if (dtype === "Q8_0") return [tile(6, 1, "pair"), tile(4, 1, "pair"), tile(2, 2, "pair"), tile(1, 2, 1)];
  return [tile(2, 1, 1), tile(1, 2, 1)];
}

const FLOATS = ["F32", "F16", "BF16"] as const;
const QUANTIZED: readonly QuantizedDtype[] = ["Q8_0", "Q4_0", "Q4_1", "Q6_K"];

/** Every dtype that has kernels. */
export const DTYPES: readonly Dtype[] = [...FLOATS, ...QUANTIZED];

/** The module's bytes, before any engine has seen them. */
export function emitProgram(
  engine: Engine,
  dtypes: ReadonlySet<Dtype>,
): Omit<Program, "module" | "engine"> & { bytes: Uint8Array<ArrayBuffer> } {
  const module = new ModuleBuilder(engine);
  const tiles = emitFloatTiles(module, "F32", floatTiles(engine));
  const panels: Partial<Record<Dtype, PanelLayout>> = {};
  for (const dtype of FLOATS) {
    if (!dtypes.has(dtype)) continue;
    const panel: PanelLayout = { kind: "float", dtype };
    const decode = emitDecode(module, panel);
    if (dtype === "F32") emitFloatMatmul(module, { panel, direct: tiles, slab: null, decodeAll: null });
    else {
      const tile: Tile = { rows: 1, columns: 16, unroll: engine.keepsOrder ? 2 : 1 };
      const single = emitFloatTiles(module, dtype, [tile], "finite");
      const finite = dtype === "F16" ? emitDecode(module, panel, "finite") : decode;
      const decodeAll = dtype === "F16" ? decode : null;
      emitFloatMatmul(module, { panel, direct: single, slab: { decode: finite, tiles }, decodeAll });
    }
    emitEmbedding(module, panel, decode);
    emitPack(module, panel);
    panels[dtype] = panel;
  }
  const formats = new Set<string>();
  for (const dtype of QUANTIZED) {
    if (!dtypes.has(dtype)) continue;
    const layout = quantizedLayout(dtype, engine);
    const panel: PanelLayout = { kind: "quantized", layout };
    const decode = emitDecode(module, panel);
    emitFloatMatmul(module, { panel, direct: null, slab: { decode, tiles }, decodeAll: null });
    emitQuantizedMatmul(module, layout, integerTiles(engine, layout));
    emitEmbedding(module, panel, decode);
    emitPack(module, panel);
    panels[dtype] = panel;
    const { dot, scaledActivations } = layout;
    if (!formats.has(`${dot} ${scaledActivations}`)) emitQuantize(module, { dot, scaledActivations });
    formats.add(`${dot} ${scaledActivations}`);
  }
  emitAdd(module);
  emitSoftCap(module);
  for (const activation of ACTIVATIONS) {
    emitActivate(module, activation);
    emitGate(module, activation);
  }
  emitRmsNorm(module);
  emitLayerNorm(module);
  emitSoftmax(module);
  emitRope(module, "half-split");
  emitRope(module, "interleaved");
  emitAttention(module, engine.keepsOrder ? 4 : 1);
  return { bytes: module.finish(), constants: module.constants, names: module.names, panels };
}
