/** Which kernels a model runs on, from the options of `load`. */

import {
  type ActivationPrecision,
  Arena,
  checkInteger,
  type Dtype,
  type EngineFeatures,
  engineFeatures,
  type Kernels,
  MAX_THREADS,
  memory64Available,
  OutOfMemoryError,
  processors,
  ReferenceKernels,
  sharingAvailable,
  simdAvailable,
  turboFeatures,
  WasmKernels,
} from "@qkv/core";

/** Options of `load` that say how numbers are computed. `threads` and `turbo` change no bit of a result. */
export interface KernelOptions {
  /**
   * `wasm`: SIMD code, fast. `reference`: plain loops in double precision, one thread, slow; what the others are held
   * against, and what runs where an engine has no WebAssembly SIMD. `wasm` if left out, where it runs.
   */
  readonly kernels?: "wasm" | "reference";
  /**
   * What quantised weights are multiplied with: activations quantised to 8 bits for each block of 32, which is fast, or
   * activations as they are. `int8` if left out. Float weights always take activations as they are.
   */
  readonly activations?: ActivationPrecision;
  /**
   * Threads that share the work, this one included: a number, or `auto`, all that this process may use, at most 4.
   * `auto` if left out. More than 1 needs SharedArrayBuffer, which browsers give to cross-origin isolated pages.
   */
  readonly threads?: number | "auto";
  /**
   * Sets a flag of V8 for the whole process, for speed: 256-bit vectors, from Node 24 on. Results stay the same, bit for
   * bit, which is checked first. Elsewhere there is nothing to turn on.
   */
  readonly turbo?: boolean;
}

export const KERNEL_OPTIONS: readonly (keyof KernelOptions)[] = ["kernels", "activations", "threads", "turbo"];

/** More than so many share little: they wait for memory. */
const MOST_AUTO_THREADS = 4;
/** Below so many bytes of weights no kernel has work for two threads, and workers need not start. */
const LEAST_SHARED_BYTES = 4 * 1024 * 1024;

/** How a loaded model computes. */
export interface KernelReport {
  readonly kernels: "wasm" | "reference";
  readonly activations: ActivationPrecision;
  readonly threads: number;
  readonly addressBits: 32 | 64;
  /** What the code was emitted for; null for the reference. */
  readonly engine: EngineFeatures | null;
}

/** Kernels for one model, and what belongs to them. */
export interface ModelKernels {
  readonly kernels: Kernels;
  /** Starts the threads, once the memory is laid out. */
  start(): Promise<void>;
  report(): KernelReport;
  dispose(): void;
}

/** @throws TypeError and RangeError for wrong options, and for those that contradict each other */
export function checkKernelOptions(options: KernelOptions): void {
  const { activations, threads, turbo } = options;
  const kernels = implementationOf(options);
  if (kernels !== "wasm" && kernels !== "reference")
    throw new RangeError(`kernels: expected "wasm" or "reference", got ${String(kernels)}`);
  if (activations !== undefined && activations !== "f32" && activations !== "int8")
    throw new RangeError(`activations: expected "f32" or "int8", got ${String(activations)}`);
  if (turbo !== undefined && typeof turbo !== "boolean")
    throw new TypeError(`turbo: expected true or false, got ${String(turbo)}`);
  if (threads !== undefined && threads !== "auto") checkInteger("threads", threads, 1, MAX_THREADS);
  if (kernels === "reference" && turbo) throw new RangeError("turbo: the reference kernels have no fast variant");
  if (kernels === "reference" && typeof threads === "number" && threads > 1)
    throw new RangeError(`threads: the reference kernels run on one thread, got ${threads}`);
  if (kernels === "wasm" && !simdAvailable())
    throw new RangeError('kernels: this engine has no WebAssembly SIMD; take "reference"');
  if (typeof threads === "number" && threads > 1 && !sharingAvailable())
    throw new RangeError(
      `threads: ${threads} need SharedArrayBuffer, which this page does not have: serve it cross-origin isolated (COOP and COEP headers), or take 1`,
    );
}

/**
 * Makes kernels and lays a model out in their memory: with addresses of 32 bits, or where that is too little and the
 * engine has them, of 64.
 *
 * @param dtypes that matrices will have: code is emitted for no others
 * @param layOut takes what the model needs, and throws OutOfMemoryError where it does not fit
 */
export async function kernelsFor<T>(
  options: KernelOptions,
  dtypes: ReadonlySet<Dtype>,
  layOut: (made: ModelKernels) => T,
): Promise<{ made: ModelKernels; result: T }> {
  for (const addressBits of [32, 64] as const) {
    const made = await makeKernels(options, addressBits, dtypes);
    try {
      return { made, result: layOut(made) };
    } catch (error) {
      made.dispose();
      if (!(error instanceof OutOfMemoryError) || addressBits === 64) throw error;
      if (!memory64Available()) {
        throw new OutOfMemoryError(`${error.message}; this engine has no memories with addresses of 64 bits`, {
          cause: error,
        });
      }
    }
  }
  throw new Error("unreachable");
}

/** `wasm` unless something else is asked for, or the engine cannot. */
function implementationOf({ kernels }: KernelOptions): "wasm" | "reference" {
  return kernels ?? (simdAvailable() ? "wasm" : "reference");
}

async function makeKernels(
  options: KernelOptions,
  addressBits: 32 | 64,
  dtypes: ReadonlySet<Dtype>,
): Promise<ModelKernels> {
  const { activations = "int8", turbo = false, threads = "auto" } = options;
  if (implementationOf(options) === "reference") {
    const kernels = new ReferenceKernels(new Arena({ addressBits }), { activations });
    return {
      kernels,
      start: async () => {},
      report: () => ({ kernels: "reference", activations, threads: 1, addressBits, engine: null }),
      dispose: () => kernels.arena.dispose(),
    };
  }
  const shared = sharingAvailable() && threads !== 1;
  const arena = new Arena({ addressBits, shared });
  const features = turbo ? await turboFeatures(dtypes) : engineFeatures();
  const kernels = await WasmKernels.create(arena, features, { activations, dtypes });
  return {
    kernels,
    async start() {
      if (!shared) return;
      const small = (arena.report().weights ?? 0) < LEAST_SHARED_BYTES;
      const count = threads === "auto" ? (small ? 1 : Math.min(await processors(), MOST_AUTO_THREADS)) : threads;
      await kernels.useThreads(count);
    },
    report: () => ({ kernels: "wasm", activations, threads: kernels.threads, addressBits, engine: kernels.engine }),
    dispose() {
      kernels.dispose();
      arena.dispose();
    },
  };
}
