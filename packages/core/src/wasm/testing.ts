/** Runs single kernels in tests: a module of its own, arguments copied in and out, and watch kept over the memory. */

import { Random } from "../../../../tests/ops/random";
import { CONSTANTS_ADDRESS, type KernelFunction, ModuleBuilder, SLOTS_ADDRESS } from "./module";

const PAGE_BYTES = 65_536;
/** Where arrays begin: what comes before belongs to arguments and constants. */
const ARRAYS_ADDRESS = 16_384;
/** Bytes of either side of an array that must stay as they are, as much as any kernel could pass over by. */
const GUARD_BYTES = 256;
const GUARD = 0xc3;

/** An argument: an array is passed by its address, null as address 0. The same array twice is the same address. */
export type Argument = Float32Array | number | null;

/** A part of a job. */
export type Part = readonly [from: number, to: number];

/** Kernels that are ready to run. */
export interface TestKernels {
  /**
   * Runs a kernel over its job, part by part, and gives what its first argument holds then.
   *
   * @throws if anything but the first argument was written
   */
  run(name: string, args: readonly Argument[], ...parts: readonly Part[]): Float32Array;
}

/** Kernels in a module and a memory of their own. */
export function testKernels(build: (module: ModuleBuilder) => void, addressBits: 32 | 64 = 32): TestKernels {
  const builder = new ModuleBuilder({ addressBits, shared: false });
  build(builder);
  const module = new WebAssembly.Module(builder.finish());
  const { constants } = builder;
  if (CONSTANTS_ADDRESS + constants.length > ARRAYS_ADDRESS) throw new RangeError("too many constants for a test");

  return {
    run(name: string, args: readonly Argument[], ...parts: readonly Part[]) {
      const places = new Map<Float32Array, number>();
      let end = ARRAYS_ADDRESS;
      for (const argument of args) {
        if (!(argument instanceof Float32Array) || places.has(argument)) continue;
        places.set(argument, end + GUARD_BYTES + 4); // no multiple of 16: float arrays lie at any multiple of 4
        end += Math.ceil((GUARD_BYTES + 4 + argument.byteLength) / 16) * 16;
      }
      end += GUARD_BYTES;

      const memory = newMemory(Math.ceil(end / PAGE_BYTES), addressBits);
      new Uint8Array(memory.buffer).fill(GUARD);
      new Uint8Array(memory.buffer, CONSTANTS_ADDRESS, constants.length).set(constants);
      for (const [array, address] of places) new Float32Array(memory.buffer, address, array.length).set(array);
      const slots = args.map((argument) =>
        argument instanceof Float32Array ? places.get(argument)! : (argument ?? 0),
      );
      new Float64Array(memory.buffer, SLOTS_ADDRESS, slots.length).set(slots);

      const [out] = args;
      if (!(out instanceof Float32Array)) throw new TypeError(`${name}: the first argument must be an array`);
      const outAddress = places.get(out)!;
      const before = new Uint8Array(memory.buffer.slice(0));
      const { exports } = new WebAssembly.Instance(module, { qkv: { memory } });
      const kernel = exports[name] as KernelFunction;
      for (const [from, to] of parts) kernel(addressBits === 64 ? BigInt(SLOTS_ADDRESS) : SLOTS_ADDRESS, from, to, 0);

      const after = new Uint8Array(memory.buffer);
      const changed = after.findIndex(
        (byte, i) => byte !== before[i] && !(i >= outAddress && i < outAddress + out.byteLength),
      );
      if (changed >= 0) {
        throw new Error(`${name} wrote to ${changed}, outside its ${out.length} results at ${outAddress}`);
      }
      return new Float32Array(memory.buffer, outAddress, out.length).slice();
    },
  };
}

function newMemory(pages: number, addressBits: 32 | 64): WebAssembly.Memory {
  if (addressBits === 32) return new WebAssembly.Memory({ initial: pages });
  const wide = { initial: BigInt(pages), address: "i64" };
  return new WebAssembly.Memory(wide as unknown as WebAssembly.MemoryDescriptor);
}

/** The widths of addresses that the engine knows. */
export function knownAddressBits(): (32 | 64)[] {
  const wide = new ModuleBuilder({ addressBits: 64, shared: false }).finish();
  return WebAssembly.validate(wide) ? [32, 64] : [32];
}

const SPECIAL = [
  ...[0, -0, 1e-45, -1e-45, 1e-39, -1e-39, 1.1754944e-38, 1e-30, -1e-30, 1e-7, -1e-7, 0.5, -0.5, 1, -1, 5.9, -5.9],
  ...[-12, 20, -20, -64, -65, 88.5, 88.8, 89, -87, -88, -103, -104, -110, 1e10, -1e10, 1e30, -1e30, 3.4e38, -3.4e38],
  ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
];

/** The floats at which functions turn. */
export function specialFloats(): Float32Array {
  return Float32Array.from(SPECIAL);
}

/** `count` floats spread evenly over all exponents from 2^-149 up, of both signs: their bits count up in even steps. */
export function floatsOfAllSizes(count: number, largest = 3.4028234663852886e38): Float32Array {
  const random = new Random(count);
  const float = new Float32Array([largest]);
  const bits = new Uint32Array(float.buffer);
  const most = bits[0];
  const out = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    bits[0] = Math.floor(((i + random.next()) * most) / count);
    out[i] = i % 2 === 0 ? float[0] : -float[0];
  }
  return out;
}

/** The distance between neighbouring float32 at x: the unit of bounds. */
export function ulp(x: number): number {
  const size = Math.abs(x);
  if (!(size >= 2 ** -126)) return 2 ** -149;
  let power = 2 ** Math.floor(Math.log2(size));
  if (power > size) power /= 2; // log2 may round up to the next integer
  return Math.min(power, 2 ** 127) * 2 ** -23;
}

/**
 * The largest distance of float32 results from exact ones, in ulp of the exact ones. Infinity where they differ and one
 * of them is not finite in float32.
 */
export function worstUlp(actual: ArrayLike<number>, exact: ArrayLike<number>): { ulps: number; at: number } {
  if (actual.length !== exact.length) return { ulps: Number.POSITIVE_INFINITY, at: -1 };
  let [ulps, at] = [0, -1];
  for (let i = 0; i < actual.length; i++) {
    const rounded = Math.fround(exact[i]);
    if (actual[i] === rounded && !Number.isFinite(rounded)) continue;
    if (Number.isNaN(actual[i]) && Number.isNaN(rounded)) continue;
    const distance = Math.abs(actual[i] - exact[i]) / ulp(exact[i]);
    if (distance > ulps || Number.isNaN(distance)) [ulps, at] = [Number.isNaN(distance) ? Infinity : distance, i];
  }
  return { ulps, at };
}
