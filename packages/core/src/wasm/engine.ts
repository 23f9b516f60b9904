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

/** Numbers for which readings of the dot product differ: both ends of signed and of unsigned bytes. */
const EXTREMES = [-128, -127, -1, 0, 1, 127, 128, 255];

/**
 * Whether the relaxed integer dot product reads its second operand as unsigned bytes and adds all four products in full,
 * as `vpdpbusd` of x64 does. Elsewhere pairs saturate, or bytes from 128 on are negative. Bytes are read from memory, and
 * neighbours differ, so that no compiler can work it out before.
 */
export function unsignedDotAvailable(): boolean {
  if (!relaxedDotAvailable()) return false;
  const module = new ModuleBuilder(PLAIN);
  const [one, two, to] = [0, 1024, 2048].map((offset) => 65_536 - 4096 + offset);
  module.kernel("dot", {}, (f, _, { from, to: end }) => {
    f.for(from, end, 16, () => {
      const at = () => f.ptr.from(from());
      f.v128.store(
        at(),
        f.i32x4.relaxed_dot_i8x16_i7x16_add_s(f.v128.load(at(), one), f.v128.load(at(), two), f.i32x4.const(-5)),
        to,
      );
    });
  });
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { qkv: { memory } });
  // Each pair of extremes in all four places, and in two beside other ones.
  const signed = new Int8Array(memory.buffer, one, 1024);
  const unsigned = new Uint8Array(memory.buffer, two, 1024);
  const lanes = EXTREMES.length ** 2;
  for (let i = 0; i < 4 * 4 * lanes; i++) {
    const lane = i >> 2;
    const pair = lane % lanes;
    const turn = lane < lanes ? 0 : (i & 3) * (lane >> 6);
    signed[i] = EXTREMES[(pair + turn) % 8];
    unsigned[i] = EXTREMES[((pair >> 3) + 3 * turn) % 8];
  }
  (exports.dot as KernelFunction)(0, 0, 1024, 0);
  const sums = new Int32Array(memory.buffer, to, 256);
  return sums.every((sum, lane) => {
    let expected = -5;
    for (let i = 4 * lane; i < 4 * lane + 4; i++) expected += signed[i] * unsigned[i];
    return sum === expected;
  });
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
  /** It takes full unsigned bytes as its second operand, exactly: see `unsignedDotAvailable`. */
  readonly unsignedDot: boolean;
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
    detected = { relaxedDot, unsignedDot: unsignedDotAvailable(), keepsOrder: relaxedDot, wide: false };
  }
  return detected;
}

function validates(target: Target, build: (module: ModuleBuilder) => void): boolean {
  if (typeof WebAssembly === "undefined") return false;
  const module = new ModuleBuilder(target);
  build(module);
  return WebAssembly.validate(module.finish());
}
