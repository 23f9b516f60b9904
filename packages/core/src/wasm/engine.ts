/** What the engine can do: asked with tiny modules, never by its name. */

import { MAX_PAGES } from "../memory/arena";
import { type KernelFunction, ModuleBuilder, type Target } from "./module";

const PLAIN: Target = { addressBits: 32, shared: false };

/** Whether this engine runs the kernels at all: WebAssembly with SIMD. */
export function simdAvailable(): boolean {
  return validates(PLAIN, (module) => {
    module.function(["ptr"], (f) => {
      const [at] = f.parameters as [ReturnType<typeof f.local<"ptr">>];
      f.v128.store(at(), f.f32x4.const(0));
    });
  });
}

/** Whether it has the relaxed integer dot product. */
export function relaxedDotAvailable(): boolean {
  return validates(PLAIN, (module) => {
    module.function(["ptr"], (f) => {
      const [at] = f.parameters as [ReturnType<typeof f.local<"ptr">>];
      const x = f.local("v128");
      f.v128.store(at(), f.i32x4.relaxed_dot_i8x16_i7x16_add_s(x(), x(), x()));
    });
  });
}

/** What the relaxed dot product may take a full byte of its second operand for. */
export type ByteReading = "unsigned" | "signed";

/** Both ends of signed and of unsigned bytes, and their neighbours. */
const EXTREMES = [-128, -127, -1, 0, 1, 127, 128, 255];
/** Where the probe's bytes lie: two operands and the sums, of PROBE_BYTES each. */
const PROBE_BYTES = 1024;

/**
 * How the relaxed integer dot product reads full bytes as its second operand, if it adds all four products without loss:
 * unsigned where it is `vpdpbusd` (x64 with AVX-VNNI), signed where it is `sdot` (Arm). Null where pairs saturate, as
 * in `pmaddubsw`. Tried out on bytes from memory, so that no compiler can work it out before.
 */
export function byteDotReading(): ByteReading | null {
  if (!relaxedDotAvailable()) return null;
  const module = new ModuleBuilder(PLAIN);
  module.kernel("dot", {}, (f, _, range) => {
    f.for(range.from, range.to, 16, () => {
      const at = () => f.ptr.from(range.from());
      f.v128.store(
        at(),
        f.i32x4.relaxed_dot_i8x16_i7x16_add_s(f.v128.load(at()), f.v128.load(at(), PROBE_BYTES), f.i32x4.const(-5)),
        2 * PROBE_BYTES,
      );
    });
  });
  const memory = new WebAssembly.Memory({ initial: 1 });
  let exports: WebAssembly.Exports;
  try {
    exports = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { qkv: { memory } }).exports;
  } catch {
    return null; // Pages may forbid to compile. Who needs it hears of that then.
  }
  const one = new Int8Array(memory.buffer, 0, PROBE_BYTES);
  const two = new Int8Array(memory.buffer, PROBE_BYTES, PROBE_BYTES);
  // Each pair of extremes in all four places of a lane, then beside other pairs.
  for (let i = 0; i < PROBE_BYTES; i++) {
    const lane = i >> 2;
    const turn = (i & 3) * (lane >> 6);
    one[i] = EXTREMES[(lane + turn) & 7];
    two[i] = EXTREMES[((lane >> 3) + 3 * turn) & 7];
  }
  (exports.dot as KernelFunction)(0, 0, PROBE_BYTES, 0);
  const sums = new Int32Array(memory.buffer, 2 * PROBE_BYTES, PROBE_BYTES / 4);
  const readings: Readonly<Record<ByteReading, number>> = { unsigned: 0xff, signed: -1 };
  const fits = ([, mask]: readonly [string, number]) =>
    sums.every((sum, lane) => {
      let expected = -5;
      for (let i = 4 * lane; i < 4 * lane + 4; i++) expected += one[i] * (two[i] & mask);
      return sum === expected;
    });
  return (Object.entries(readings).find(fits)?.[0] as ByteReading | undefined) ?? null;
}

/** Whether memories can have addresses of 64 bits, as the specification's final form makes them. */
export function memory64Available(): boolean {
  if (!validates({ addressBits: 64, shared: false }, () => {})) return false;
  try {
    // Engines that had it before the specification was final validate the module, and make memories another way.
    const descriptor = { initial: 1n, maximum: BigInt(MAX_PAGES[64]), address: "i64" };
    const memory = new WebAssembly.Memory(descriptor as unknown as WebAssembly.MemoryDescriptor);
    return memory.buffer.byteLength > 0;
  } catch {
    return false;
  }
}

/** What the emitted code may use; it gives the same bits whatever this says. */
export interface EngineFeatures {
  /** The relaxed dot product, where it is exact. */
  readonly relaxedDot: boolean;
  /** What it takes full bytes for, where it is exact for them too. */
  readonly byteDot: ByteReading | null;
  /**
   * The compiler keeps the order of a loop's operations (V8 from 12 on). The older one moves all arithmetic behind all
   * loads of a loop's body, so that only short bodies stay in registers.
   */
  readonly keepsOrder: boolean;
  /** The engine joins neighbouring vectors to 256 bits. */
  readonly wide: boolean;
}

let detected: EngineFeatures | null = null;

/** What this engine offers by itself. */
export function engineFeatures(): EngineFeatures {
  if (detected === null) {
    const relaxedDot = relaxedDotAvailable();
    // The new compiler came to V8 soon after relaxed SIMD; nothing else tells it from outside. It decides tiles only.
    detected = { relaxedDot, byteDot: byteDotReading(), keepsOrder: relaxedDot, wide: false };
  }
  return detected;
}

function validates(target: Target, build: (module: ModuleBuilder) => void): boolean {
  if (typeof WebAssembly === "undefined") return false;
  const module = new ModuleBuilder(target);
  build(module);
  return WebAssembly.validate(module.finish());
}
