/** What the engine can do: asked with tiny modules, never by its name. */

import { MAX_PAGES } from "../memory/arena";
import { ModuleBuilder, type Target } from "./module";

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
    detected = { relaxedDot, keepsOrder: relaxedDot, wide: false };
  }
  return detected;
}

function validates(target: Target, build: (module: ModuleBuilder) => void): boolean {
  if (typeof WebAssembly === "undefined") return false;
  const module = new ModuleBuilder(target);
  build(module);
  return WebAssembly.validate(module.finish());
}
