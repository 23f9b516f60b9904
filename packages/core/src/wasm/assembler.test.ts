/** The assembler: what it emits runs, and what is wrong throws at its own line, before any engine sees it. */

import { describe, expect, test } from "vitest";
import { Bytes, FunctionBuilder, type Local } from "./assembler";
import { memory64Available } from "./engine";
import { type KernelFunction, ModuleBuilder, SLOTS_ADDRESS } from "./module";

type Emit = (f: FunctionBuilder, a: { readonly out: Local<"ptr">; readonly x: Local<"f64"> }) => void;

/** Runs a kernel that is told where to write, and a number; gives the 16 bytes that it wrote. */
function run(emit: Emit, x = 0, addressBits: 32 | 64 = 32): DataView {
  const module = new ModuleBuilder({ addressBits, shared: false });
  module.kernel("k", { out: "ptr", x: "f64" }, emit);
  const wide = addressBits === 64;
  const descriptor = wide ? { initial: 1n, address: "i64" } : { initial: 1 };
  const memory = new WebAssembly.Memory(descriptor as unknown as WebAssembly.MemoryDescriptor);
  new Float64Array(memory.buffer, SLOTS_ADDRESS, 2).set([4096, x]);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { qkv: { memory } });
  (exports.k as KernelFunction)(wide ? BigInt(SLOTS_ADDRESS) : SLOTS_ADDRESS, 0, 1, 0);
  return new DataView(memory.buffer, 4096, 16);
}

describe("what it emits", () => {
  test("nested calls come out in stack order", () => {
    const view = run((f, { out }) => {
      f.i32.store(out(), f.i32.sub(f.i32.mul(f.i32.const(6), f.i32.const(7)), f.i32.const(2)));
    });
    expect(view.getInt32(0, true)).toBe(40);
  });

  test("constants keep their bits: the least and largest i32 and i64, denormals, -0", () => {
    const view = run((f, { out }) => {
      f.i32.store(out(), f.i32.const(-(2 ** 31)));
      f.i32.store(out(), f.i32.wrap_i64(f.i64.shr_u(f.i64.const(0xfedc_ba98_7654_3210n), f.i64.const(32n))), 4);
      f.f32.store(out(), f.f32.const(1e-45), 8);
      f.f32.store(out(), f.f32.const(-0), 12);
    });
    expect(view.getInt32(0, true)).toBe(-(2 ** 31));
    expect(view.getUint32(4, true)).toBe(0xfedcba98);
    expect(view.getUint32(8, true)).toBe(1);
    expect(view.getUint32(12, true)).toBe(0x80000000);
  });

  test("loops, branches and conditions", () => {
    const view = run((f, { out, x }) => {
      const [sum, i] = f.locals("i32", 2);
      const end = f.local("i32", f.i32.trunc_sat_f64_s(x()));
      f.for(i, end, 1, () => {
        f.if(
          f.i32.eq(f.i32.rem_u(i(), f.i32.const(2)), f.i32.const(0)),
          () => sum.set(f.i32.add(sum(), i())),
          () => sum.set(f.i32.sub(sum(), f.i32.const(1))),
        );
      });
      f.block((out) => {
        f.brIf(out, f.i32.lt_s(sum(), f.i32.const(1000)));
        sum.set(f.i32.const(0));
      });
      f.i32.store(out(), f.select(sum(), f.i32.const(7), f.i32.gt_s(end(), f.i32.const(0))));
    }, 10);
    expect(view.getInt32(0, true)).toBe(0 + 2 + 4 + 6 + 8 - 5);
  });

  test("lanes: a vector constant, a shuffle, one lane out", () => {
    const view = run((f, { out }) => {
      const v = f.local("v128", f.i8x16.const(Array.from({ length: 16 }, (_, i) => i)));
      f.v128.store(out(), f.i8x16.shuffle(v(), f.f32x4.const(0), [3, 2, 1, 0, ...new Array(12).fill(16)]));
      f.i32.store(out(), f.i32x4.extract_lane(v(), 3), 12);
    });
    expect([view.getUint32(0, false), view.getUint32(4, true)]).toEqual([0x03020100, 0]);
    expect(view.getUint32(12, true)).toBe(0x0f0e0d0c);
  });

  test("an atomic load", () => {
    const view = run((f, { out }) => {
      f.i32.store(out(), f.i32.const(5));
      f.i32.store(out(), f.i32.add(f.atomicLoad(out()), f.i32.const(1)));
    });
    expect(view.getInt32(0, true)).toBe(6);
  });

  test.skipIf(!memory64Available())("addresses of 64 bits, from the same source", () => {
    const emit: Emit = (f, { out }) => {
      const at = f.local("ptr", f.ptr.add(out(), f.ptr.product(f.i32.const(2), f.i32.const(4))));
      f.i32.store(at(), f.i32.const(9));
      f.advance(at, -4);
      f.i32.store(at(), f.i32.const(8));
    };
    for (const bits of [32, 64] as const) {
      const view = run(emit, 0, bits);
      expect([view.getInt32(4, true), view.getInt32(8, true)]).toEqual([8, 9]);
    }
  });

  test("numbers of any length in LEB128", () => {
    const bytes = new Bytes();
    for (const value of [0, 127, 128, 624_485]) bytes.unsigned(value);
    for (const value of [-1, 63, 64, -64, -65, -123_456]) bytes.signed(value);
    expect([...bytes.toArray()]).toEqual([
      ...[0x00, 0x7f, 0x80, 0x01, 0xe5, 0x8e, 0x26],
      ...[0x7f, 0x3f, 0xc0, 0x00, 0x40, 0xbf, 0x7f, 0xc0, 0xbb, 0x78],
    ]);
  });
});

describe("what it refuses", () => {
  const refused = (emit: (f: FunctionBuilder) => void) => () => {
    const f = new FunctionBuilder([], 32);
    emit(f);
    f.finish();
  };

  test.each<[string, (f: FunctionBuilder) => void, RegExp]>([
    [
      "operands that were pushed in another order",
      (f) => {
        const a = f.i32.const(1);
        const b = f.i32.const(2);
        f.local("i32", f.i32.sub(b, a));
      },
      /i32.sub: operand 0 is not where it must be/,
    ],
    [
      "a value used twice",
      (f) => {
        const a = f.i32.const(1);
        f.local("i32", f.i32.add(a, a));
      },
      /used twice/,
    ],
    [
      "a value that something was left above",
      (f) => {
        const a = f.i32.const(1);
        f.i32.const(2);
        f.local("i32", f.i32.eqz(a));
      },
      /left above it/,
    ],
    [
      "an operand of another type",
      (f) => f.local("f32", f.f32.sqrt(f.i32.const(1) as never)),
      /f32.sqrt: operand 0 must be f32, got i32/,
    ],
    [
      "too few operands",
      (f) => f.local("i32", (f.i32.add as (...a: unknown[]) => never)(f.i32.const(1))),
      /expected 2/,
    ],
    [
      "a value that nobody took",
      (f) => void f.i32.const(1),
      /end of the function: 1 values are left on the stack: i32/,
    ],
    [
      "a value that a block leaves",
      (f) =>
        f.block(() => {
          f.i32.const(1);
        }),
      /end of a block/,
    ],
    [
      "a value from outside of a block",
      (f) => {
        const a = f.i32.const(1);
        f.block(() => {
          f.local("i32", a);
        });
      },
      /not where it must be/,
    ],
    ["a lane that there is not", (f) => f.local("f32", f.f32x4.extract_lane(f.f32x4.const(0), 4)), /lane of 0 to 3/],
    ["a vector of another length", (f) => f.local("v128", f.i8x16.const([1, 2])), /expected sixteen bytes, got 2/],
    ["a negative offset", (f) => f.i32.store(f.ptr.const(0), f.i32.const(0), -4), /offset must be 0 to/],
  ])("%s", (_, emit, message) => {
    expect(refused(emit)).toThrow(message);
  });
});
