/** What the machine could do at most, by WebAssembly as ours: reading memory, and multiplying in registers. */

import { Arena } from "@qkv/core";
import { lease } from "../../../packages/core/src/threads/pool";
import { type KernelFunction, ModuleBuilder, SLOTS_ADDRESS } from "../../../packages/core/src/wasm/module";
import type { Contender, Job } from "../protocol";

/** Memory that is read: more than any cache. */
const READ_BYTES = 256 << 20;
/** What is handed to threads at once. */
const READ_UNIT = 4096;
/** Loads of a turn of the loop, each with a sum of its own. */
const LOADS = 8;

/**
 * Products and sums, each of which waits for its last value only: two of either a cycle, that take 3 to 4 cycles, are
 * 6 to 8. With the factor they fill the registers.
 */
const SUMS = 7;
const TURNS = 2000;
const MULTIPLY_UNITS = 256;
/** Four lanes, a multiplication and an addition each. */
const MULTIPLY_FLOP = MULTIPLY_UNITS * TURNS * SUMS * 4 * 2;

const ARGUMENTS = { data: "ptr", results: "ptr" } as const;
/** A thread's results, 16 bytes, and some that nobody writes to. */
const RESULT_BYTES = 64;
const UNTOUCHED = 32;

function emit(): ModuleBuilder {
  const module = new ModuleBuilder({ addressBits: 32, shared: true });
  // In the order of panels: one stream, from front to back.
  module.kernel("read", ARGUMENTS, (f, { data, results }, { from, to, thread }) => {
    const unit = () => f.i32.const(READ_UNIT);
    const at = f.local("ptr", f.ptr.add(data(), f.ptr.product(from(), unit())));
    const turns = f.local("i32");
    turns.set(f.i32.mul(f.i32.sub(to(), from()), f.i32.const(READ_UNIT / (16 * LOADS))));
    const sums = f.locals("v128", LOADS);
    f.doWhile(
      () => {
        for (let i = 0; i < LOADS; i++) sums[i].set(f.i32x4.add(sums[i](), f.v128.load(at(), 16 * i)));
        f.advance(at, 16 * LOADS);
        turns.set(f.i32.sub(turns(), f.i32.const(1)));
      },
      () => turns(),
    );
    for (let i = 1; i < LOADS; i++) sums[0].set(f.i32x4.add(sums[0](), sums[i]()));
    f.v128.store(f.ptr.add(results(), f.ptr.product(thread(), f.i32.const(RESULT_BYTES))), sums[0]());
  });
  module.kernel("multiply-add", ARGUMENTS, (f, { results }, { from, to, thread }) => {
    const turns = f.local("i32");
    turns.set(f.i32.mul(f.i32.sub(to(), from()), f.i32.const(TURNS)));
    const sums = f.locals("v128", SUMS);
    const products = f.locals("v128", SUMS);
    // 1, which the compiler does not know.
    const factor = f.local("v128", f.f32x4.convert_i32x4_s(f.v128.load(results(), UNTOUCHED)));
    for (const product of products) product.set(factor());
    f.doWhile(
      () => {
        // The last turn's products first: nothing waits for a product of its own turn.
        for (let i = 0; i < SUMS; i++) sums[i].set(f.f32x4.add(sums[i](), products[i]()));
        for (const product of products) product.set(f.f32x4.mul(product(), factor()));
        turns.set(f.i32.sub(turns(), f.i32.const(1)));
      },
      () => turns(),
    );
    for (let i = 1; i < SUMS; i++) sums[0].set(f.f32x4.add(sums[0](), sums[i]()));
    f.v128.store(f.ptr.add(results(), f.ptr.product(thread(), f.i32.const(RESULT_BYTES))), sums[0]());
  });
  return module;
}

/** Gives each case the limit that binds it; the rest have none. */
export async function limits({ threads }: Job): Promise<Contender> {
  const built = emit();
  const module = await WebAssembly.compile(built.finish());
  const { names } = built;
  const arena = new Arena({ shared: true });
  const results = arena.allocate(threads * RESULT_BYTES, "results");
  const data = arena.allocate(READ_BYTES, "data");
  arena.u8(data, READ_BYTES).fill(1); // memory that was never written to is one page of zeros, over and over
  arena.i32(results, (threads * RESULT_BYTES) / 4).fill(1);
  const { memory } = arena;
  new Float64Array(memory.buffer, SLOTS_ADDRESS, 2).set([data, results]);
  const { exports } = new WebAssembly.Instance(module, { qkv: { memory } });
  const shared = threads === 1 ? null : await lease(threads, { module, names, memory, args: SLOTS_ADDRESS });

  return async ({ bound }) => {
    if (bound === null) return "no limit";
    const kernel = exports[bound] as KernelFunction;
    const own = (from: number, to: number) => kernel(SLOTS_ADDRESS, from, to, 0);
    const units = bound === "read" ? READ_BYTES / READ_UNIT : MULTIPLY_UNITS;
    const run = () => (shared === null ? own(0, units) : shared.run(names.indexOf(bound), units, 4 * threads, own));
    const amount = bound === "read" ? READ_BYTES : MULTIPLY_FLOP;
    return { ways: [{ operation: "", run, amount }], overheadMs: 0, release: () => {} };
  };
}
