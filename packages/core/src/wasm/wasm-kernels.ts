/** The `wasm` implementation of `Kernels`: SIMD code emitted by this folder, on one thread or several. */

import { checkHeads, checkInteger } from "../check";
import { type Dtype, isQuantized } from "../dtypes/dtype";
import { QUANTIZED_BLOCK } from "../dtypes/quantize";
import { ACTIVATIONS, type Activation } from "../kernels/activation";
import type { AttentionCall, PositionBias } from "../kernels/attention-call";
import type {
  ActivationPrecision,
  Kernels,
  LinearAttentionCall,
  Matrix,
  Product,
  RopeLayout,
} from "../kernels/kernels";
import { visibleKeys } from "../kernels/mask";
import { checkMatrix, checkRows } from "../kernels/matrix";
import { ReferenceKernels } from "../kernels/reference/reference-kernels";
import type { Address, Arena } from "../memory/arena";
import { type Lease, lease, MAX_THREADS, PIECES_A_THREAD } from "../threads/pool";
import { attentionItems, attentionScratchBytes } from "./attention";
import { ELEMENT_BLOCK } from "./elementwise-kernels";
import { type EngineFeatures, engineFeatures } from "./engine";
import { ACTIVATION_SCALE_BYTES, activationBytes } from "./matmul-quantized";
import { CONSTANTS_ADDRESS, type KernelFunction, MAX_SLOTS, SLOTS_ADDRESS } from "./module";
import { PANEL, type PanelLayout, panelBytes, SLAB_BYTES } from "./panels";
import { DTYPES, type Program, program } from "./program";
import { quantizeKernel } from "./quantize";

/** How a model's kernels run. */
export interface WasmKernelsOptions {
  /** See `Kernels.activations`; "int8" if left out. */
  readonly activations?: ActivationPrecision;
  /** Dtypes of the matrices that will be made: code is emitted for no others. All if left out. */
  readonly dtypes?: Iterable<Dtype>;
}

/** Multiply-adds, or the like, below which other threads are not asked: a few microseconds of work. */
let leastSharedWork = 60_000;

/**
 * Sets from how much work on (about one multiply-add a unit) kernels share it among threads. Results do not depend on
 * it: for tests, and for machines whose threads are slow to meet.
 */
export function setLeastSharedWork(work: number): void {
  leastSharedWork = checkInteger("work", work, 0);
}

/** Multiply-adds from which on a job is cut finer than into one piece for each thread. */
const LONG_WORK = 2_000_000;
/** Bytes of weights that are packed at once. */
const STAGING_BYTES = 1 << 20;

/** A kernel of the module: its function, and the number that workers know it by. */
interface Kernel {
  readonly run: KernelFunction;
  readonly index: number;
}

/** A buffer that grows when more is asked of it, and stays. */
class Buffer {
  #address: Address = 0;
  #bytes = 0;
  #view: Int32Array = new Int32Array(0);

  constructor(readonly arena: Arena) {}

  /** Its address, with room for so many bytes. */
  of(bytes: number): Address {
    if (bytes > this.#bytes) {
      const whole = Math.ceil(Math.max(bytes, 2 * this.#bytes) / 4) * 4;
      // Taken at once and in one piece, or not at all: a failed growth must leave the buffer as it was.
      this.#address = this.arena.take(whole, "kernels");
      this.#bytes = whole;
    }
    return this.#address;
  }

  /** Lets go of the view, which keeps the memory alive. */
  forget(): void {
    this.#view = new Int32Array(0);
  }

  /** A view of it as integers: made anew only when it or the memory has grown, as this is asked for in every layer. */
  i32(length: number): Int32Array {
    const address = this.of(4 * length);
    const { buffer } = this.arena.memory;
    if (this.#view.buffer !== buffer || this.#view.byteOffset !== address || this.#view.length < length) {
      this.#view = new Int32Array(buffer, address, this.#bytes / 4);
    }
    return this.#view;
  }
}

/**
 * Kernels in WebAssembly. Every result is the same, bit for bit, on any number of threads, for any number of rows at
 * once and on any engine (a NaN's payload aside, which WebAssembly leaves open). Made by `WasmKernels.create`.
 */
export class WasmKernels implements Kernels {
  readonly arena: Arena;
  readonly activations: ActivationPrecision;
  readonly #program: Program;
  readonly #reference: ReferenceKernels;
  readonly #args: number | bigint;
  readonly #staging: Buffer;
  readonly #edge: Buffer;
  readonly #slabs: Buffer;
  readonly #ids: Buffer;
  readonly #ranges: Buffer;
  readonly #attentionScratch: Buffer;
  /** Where packing says that it met infinities or NaN; and the matrices of float16 that have some. */
  readonly #special: Buffer;
  readonly #withSpecials = new Set<Address>();
  readonly #range = { from: 0, to: 0 };
  /** Quantised activations, and their scales, in each format that weights ask for. */
  readonly #quantized = new Map<string, { readonly values: Buffer; readonly scales: Buffer }>();
  /** The kernel that quantises activations for each dtype; "" for those that take them as they are. */
  readonly #formats: Readonly<Partial<Record<Dtype, string>>>;
  #kernels: Map<string, Kernel> | null = null;
  #slotsView: Float64Array = new Float64Array(0);
  #lease: Lease | null = null;

  /** Use `create`, unless the program is there already. */
  constructor(arena: Arena, compiled: Program, { activations = "int8" }: WasmKernelsOptions = {}) {
    this.arena = arena;
    this.activations = activations;
    this.#program = compiled;
    this.#formats = Object.fromEntries(
      Object.entries(compiled.panels).map(([dtype, panel]) => [
        dtype,
        panel.kind === "float" ? "" : quantizeKernel(panel.layout),
      ]),
    );
    this.#reference = new ReferenceKernels(arena, { activations });
    this.#args = arena.addressBits === 64 ? BigInt(SLOTS_ADDRESS) : SLOTS_ADDRESS;
    this.#staging = new Buffer(arena);
    this.#edge = new Buffer(arena);
    this.#slabs = new Buffer(arena);
    this.#ids = new Buffer(arena);
    this.#ranges = new Buffer(arena);
    this.#attentionScratch = new Buffer(arena);
    this.#special = new Buffer(arena);
  }

  /** Compiles the kernels for an engine, or takes those that were compiled before. */
  static async create(
    arena: Arena,
    engine: EngineFeatures = engineFeatures(),
    options: WasmKernelsOptions = {},
  ): Promise<WasmKernels> {
    const { addressBits, shared } = arena;
    const dtypes = new Set(options.dtypes ?? DTYPES);
    return new WasmKernels(arena, await program({ ...engine, addressBits, shared }, dtypes), options);
  }

  /** What its code was emitted for. */
  get engine(): EngineFeatures {
    return this.#program.engine;
  }

  /** Threads that share the work: 1 until `useThreads`. */
  get threads(): number {
    return this.#lease?.threads ?? 1;
  }

  /** Lets workers share the work from now on. The arena's memory must be shared. `dispose` gives them back. */
  async useThreads(threads: number): Promise<void> {
    checkInteger("threads", threads, 1, MAX_THREADS);
    if (threads === 1) return;
    if (this.#lease !== null) throw new Error("useThreads: these kernels have their threads already");
    if (!this.arena.shared) throw new Error("useThreads: the arena's memory is not shared");
    const { module, names } = this.#program;
    const shared = await lease(threads, { module, names, memory: this.arena.memory, args: this.#args });
    if (this.arena.disposed) shared.release();
    else this.#lease = shared;
  }

  /** Gives back the share in the worker threads, and lets go of the memory. The arena is its owner's. */
  dispose(): void {
    this.#lease?.release();
    this.#lease = null;
    this.#kernels = null;
    this.#slotsView = new Float64Array(0);
    this.#ids.forget();
    this.#ranges.forget();
  }

  createMatrix(dtype: Dtype, rows: number, columns: number): Matrix {
    checkMatrix(dtype, rows, columns);
    const bytes = Math.ceil(rows / PANEL) * panelBytes(this.#panel(dtype), columns);
    return { address: this.arena.allocate(bytes, "weights"), rows, columns, dtype };
  }

  writeRows(matrix: Matrix, row: number, bytes: Uint8Array): void {
    const { address, columns, dtype } = matrix;
    const rowBytes = checkRows(matrix, row, bytes);
    if (rowBytes === 0) return;
    const kernel = this.#kernel(`pack.${dtype}`);
    const panel = panelBytes(this.#panel(dtype), columns);
    const step = Math.max(1, Math.floor(STAGING_BYTES / rowBytes));
    const staging = this.#staging.of(step * rowBytes);
    const special = this.#special.of(4);
    this.arena.i32(special, 1)[0] = 0;
    for (let done = 0; done * rowBytes < bytes.length; done += step) {
      const part = bytes.subarray(done * rowBytes, (done + step) * rowBytes);
      this.arena.u8(staging, part.length).set(part);
      const s = this.#slots();
      s[0] = address;
      s[1] = staging;
      s[2] = row + done;
      s[3] = columns;
      s[4] = panel;
      s[5] = rowBytes;
      s[6] = special;
      this.#run(kernel, part.length / rowBytes, part.length);
    }
    if (this.arena.i32(special, 1)[0] !== 0) this.#withSpecials.add(address);
  }

  matmul(out: Address, x: Address, weight: Matrix, bias: Address | null, rows: number): void {
    if (isQuantized(weight.dtype) && this.activations === "int8") {
      this.#quantize(x, weight, rows);
      this.#matmulInt8(out, weight, bias, rows);
    } else {
      this.#matmulFloat(out, x, weight, bias, rows);
    }
  }

  matmuls(x: Address, rows: number, products: readonly Product[]): void {
    let quantized: string | null = null;
    for (const { out, weight, bias } of products) {
      if (isQuantized(weight.dtype) && this.activations === "int8") {
        const format = this.#format(weight.dtype);
        if (format !== quantized) this.#quantize(x, weight, rows);
        quantized = format;
        this.#matmulInt8(out, weight, bias, rows);
      } else {
        this.#matmulFloat(out, x, weight, bias, rows);
      }
    }
  }

  embedding(out: Address, table: Matrix, ids: ArrayLike<number>): void {
    const { address, columns, dtype } = table;
    const slabs = this.#slabs.of(this.threads * SLAB_BYTES);
    this.#ids.i32(ids.length).set(ids);
    const s = this.#slots();
    s[0] = out;
    s[1] = address;
    s[2] = this.#ids.of(0);
    s[3] = columns;
    s[4] = panelBytes(this.#panel(dtype), columns);
    s[5] = slabs;
    this.#run(this.#kernel(`embedding.${dtype}`), ids.length, ids.length * columns * PANEL);
  }

  add(out: Address, a: Address, b: Address, count: number): void {
    const s = this.#slots();
    s[0] = out;
    s[1] = a;
    s[2] = b;
    s[3] = count;
    this.#run(this.#kernel("add"), Math.ceil(count / ELEMENT_BLOCK), count);
  }

  layerNorm(
    out: Address,
    x: Address,
    weight: Address,
    bias: Address | null,
    rows: number,
    width: number,
    eps: number,
  ): void {
    const s = this.#slots();
    s[0] = out;
    s[1] = x;
    s[2] = weight;
    s[3] = bias ?? 0;
    s[4] = rows;
    s[5] = width;
    s[6] = eps;
    this.#run(this.#kernel("layerNorm"), rows, 4 * rows * width);
  }

  rmsNorm(out: Address, x: Address, weight: Address, rows: number, width: number, eps: number): void {
    const s = this.#slots();
    s[0] = out;
    s[1] = x;
    s[2] = weight;
    s[3] = rows;
    s[4] = width;
    s[5] = eps;
    this.#run(this.#kernel("rmsNorm"), rows, 3 * rows * width);
  }

  softmax(out: Address, x: Address, rows: number, width: number): void {
    const s = this.#slots();
    s[0] = out;
    s[1] = x;
    s[2] = rows;
    s[3] = width;
    this.#run(this.#kernel("softmax"), rows, 8 * rows * width);
  }

  activate(out: Address, x: Address, count: number, activation: Activation): void {
    const s = this.#slots();
    s[0] = out;
    s[1] = x;
    s[2] = count;
    this.#run(this.#kernel(ACTIVATE[activation]), Math.ceil(count / ELEMENT_BLOCK), 8 * count);
  }

  gate(out: Address, gate: Address, up: Address, count: number, activation: Activation): void {
    const s = this.#slots();
    s[0] = out;
    s[1] = gate;
    s[2] = up;
    s[3] = count;
    this.#run(this.#kernel(GATE[activation]), Math.ceil(count / ELEMENT_BLOCK), 8 * count);
  }

  softCap(out: Address, x: Address, count: number, cap: number): void {
    const s = this.#slots();
    s[0] = out;
    s[1] = x;
    s[2] = count;
    s[3] = cap;
    this.#run(this.#kernel("softCap"), Math.ceil(count / ELEMENT_BLOCK), 8 * count);
  }

  rope(
    x: Address,
    cos: Address,
    sin: Address,
    rows: number,
    heads: number,
    headDim: number,
    rotaryDim: number,
    layout: RopeLayout,
  ): void {
    const s = this.#slots();
    s[0] = x;
    s[1] = cos;
    s[2] = sin;
    s[3] = rows;
    s[4] = heads;
    s[5] = headDim;
    s[6] = rotaryDim;
    this.#run(this.#kernel(ROPE[layout]), rows, 2 * rows * heads * rotaryDim);
  }

  attention(out: Address, call: AttentionCall): void {
    const { queries, keyCount, heads, kvHeads, headDim, position, mask, bias } = call;
    checkHeads(heads, kvHeads);
    const scratchBytes = attentionScratchBytes(call);
    const scratch = this.#attentionScratch.of(this.threads * scratchBytes);
    const ranges = this.#ranges.i32(2 * queries);
    const range = this.#range;
    let pairs = 0;
    for (let t = 0; t < queries; t++) {
      visibleKeys(mask, position + t, keyCount, range);
      ranges[2 * t] = range.from;
      ranges[2 * t + 1] = range.to;
      pairs += range.to - range.from;
      if (bias?.kind === "relative") checkDistances(bias, position + t, range);
    }
    const s = this.#slots();
    s[0] = out;
    s[1] = call.q;
    s[2] = call.keys;
    s[3] = call.values;
    s[4] = this.#ranges.of(0);
    s[5] = call.probs ?? 0;
    s[6] = bias?.address ?? 0;
    s[7] = scratch;
    s[8] = queries;
    s[9] = keyCount;
    s[10] = heads;
    s[11] = kvHeads;
    s[12] = headDim;
    s[13] = call.scale;
    s[14] = call.softCap ?? 0;
    s[15] = bias?.kind === "relative" ? 1 : 0;
    s[16] = bias?.kind === "relative" ? bias.length : 0;
    s[17] = bias?.kind === "relative" ? bias.origin - position : 0;
    s[18] = scratchBytes;
    s[19] = call.keyRows ?? 0;
    const work = 2 * pairs * heads * headDim;
    // One query reads neighbouring key/value heads together: pieces of one head each would read memory in strides.
    const few = queries === 1 || work < LONG_WORK;
    this.#run(this.#kernel("attention"), attentionItems(queries, heads, kvHeads), work, few);
  }

  linearAttention(out: Address, call: LinearAttentionCall): void {
    this.#reference.linearAttention(out, call);
  }

  #matmulFloat(out: Address, x: Address, weight: Matrix, bias: Address | null, rows: number): void {
    const { address, rows: outputs, columns: inputs, dtype } = weight;
    const slabs = this.#slabs.of(this.threads * SLAB_BYTES);
    const edge = this.#edge.of(4 * PANEL * rows);
    const s = this.#slots();
    s[0] = out;
    s[1] = x;
    s[2] = address;
    s[3] = bias ?? 0;
    s[4] = edge;
    s[5] = slabs;
    s[6] = rows;
    s[7] = inputs;
    s[8] = outputs;
    s[9] = panelBytes(this.#panel(dtype), inputs);
    s[10] = this.#withSpecials.has(address) ? 1 : 0;
    this.#run(this.#kernel(MATMUL_FLOAT[dtype]), Math.ceil(outputs / PANEL), rows * inputs * outputs);
  }

  #matmulInt8(out: Address, weight: Matrix, bias: Address | null, rows: number): void {
    const { address, rows: outputs, columns: inputs, dtype } = weight;
    const { values, scales } = this.#activationBuffers(this.#format(dtype));
    const edge = this.#edge.of(4 * PANEL * rows);
    const s = this.#slots();
    s[0] = out;
    s[1] = values.of(0);
    s[2] = scales.of(0);
    s[3] = address;
    s[4] = bias ?? 0;
    s[5] = edge;
    s[6] = rows;
    s[7] = inputs;
    s[8] = outputs;
    this.#run(this.#kernel(MATMUL_INT8[dtype]), Math.ceil(outputs / PANEL), rows * inputs * outputs);
  }

  /** Quantises the rows that a quantised weight is multiplied with. */
  #quantize(x: Address, { dtype, columns }: Matrix, rows: number): void {
    const panel = this.#panel(dtype);
    if (panel.kind === "float") return;
    const format = this.#format(dtype);
    const blocks = Math.ceil(columns / QUANTIZED_BLOCK);
    const { values, scales } = this.#activationBuffers(format);
    const to = values.of(rows * blocks * QUANTIZED_BLOCK * activationBytes(panel.layout));
    const scalesTo = scales.of(rows * blocks * ACTIVATION_SCALE_BYTES);
    const s = this.#slots();
    s[0] = x;
    s[1] = to;
    s[2] = scalesTo;
    s[3] = columns;
    this.#run(this.#kernel(format), rows, 4 * rows * columns);
  }

  #activationBuffers(format: string): { readonly values: Buffer; readonly scales: Buffer } {
    let buffers = this.#quantized.get(format);
    if (buffers === undefined) {
      buffers = { values: new Buffer(this.arena), scales: new Buffer(this.arena) };
      this.#quantized.set(format, buffers);
    }
    return buffers;
  }

  /** The kernel that quantises activations for a dtype; "" for those that take them as they are. */
  #format(dtype: Dtype): string {
    return this.#formats[dtype] ?? "";
  }

  #panel(dtype: Dtype): PanelLayout {
    const panel = this.#program.panels[dtype];
    if (panel !== undefined) return panel;
    const known = Object.keys(this.#program.panels).join(", ");
    throw new RangeError(`dtype: these kernels were made for ${known}, not for ${dtype}`);
  }

  /** The kernel of a name. The module meets its memory when the first is asked for: by then its size is known. */
  #kernel(name: string): Kernel {
    this.#kernels ??= this.#instantiate();
    return this.#kernels.get(name) as Kernel;
  }

  #instantiate(): Map<string, Kernel> {
    const { module, names, constants } = this.#program;
    const { memory } = this.arena;
    new Uint8Array(memory.buffer).set(constants, CONSTANTS_ADDRESS);
    const { exports } = new WebAssembly.Instance(module, { qkv: { memory } });
    return new Map(names.map((name, index) => [name, { run: exports[name] as KernelFunction, index }]));
  }

  /** Where a kernel's arguments go. Ask for it after everything was allocated: memory that grows empties views. */
  #slots(): Float64Array {
    const { buffer } = this.arena.memory;
    if (this.#slotsView.buffer !== buffer) this.#slotsView = new Float64Array(buffer, SLOTS_ADDRESS, MAX_SLOTS);
    return this.#slotsView;
  }

  /**
   * Runs `units` of a kernel, whose arguments are in the slots; `work` is how much it is, in multiply-adds. `few` asks
   * for no more pieces than threads.
   */
  #run({ run, index }: Kernel, units: number, work: number, few = work < LONG_WORK): void {
    const shared = this.#lease;
    if (shared === null || work < leastSharedWork || units < 2) {
      run(this.#args, 0, units, 0);
    } else {
      const pieces = few ? shared.threads : shared.threads * PIECES_A_THREAD;
      shared.run(index, units, pieces, (from, to) => run(this.#args, from, to, 0));
    }
  }
}

/** A relative bias must cover every distance that is seen: a bucket that is missed in silence is a wrong model. */
function checkDistances(
  { length, origin }: PositionBias & { readonly kind: "relative" },
  position: number,
  { from, to }: { readonly from: number; readonly to: number },
): void {
  if (from >= to) return;
  for (const key of [from, to - 1]) {
    const index = key - position + origin;
    if (index < 0 || index >= length) {
      throw new RangeError(
        `the relative bias covers distances ${-origin} to ${length - 1 - origin}, got ${index - origin}`,
      );
    }
  }
}

const ROPE = { "half-split": "rope.half-split", interleaved: "rope.interleaved" } as const;
const ofActivation = (prefix: string) =>
  Object.fromEntries(ACTIVATIONS.map((activation) => [activation, prefix + activation])) as Record<Activation, string>;
const ACTIVATE = /* @__PURE__ */ ofActivation("activate.");
const GATE = /* @__PURE__ */ ofActivation("gate.");
const ofDtype = (prefix: string) =>
  ({
    F32: `${prefix}F32`,
    F16: `${prefix}F16`,
    BF16: `${prefix}BF16`,
    Q8_0: `${prefix}Q8_0`,
    Q4_0: `${prefix}Q4_0`,
    Q4_1: `${prefix}Q4_1`,
    Q6_K: `${prefix}Q6_K`,
  }) as const;
const MATMUL_FLOAT = ofDtype("matmul.");
const MATMUL_INT8 = ofDtype("matmul.int8.");
