/** The arena: addresses, limits, and what happens when it grows or goes. */

import { describe, expect, test } from "vitest";
import { Arena, OutOfMemoryError, RESERVED_BYTES } from "./arena";

const GIB = 2 ** 30;

describe("allocate", () => {
  test("gives addresses at multiples of 64, none of them 0, that do not overlap", () => {
    const arena = new Arena();
    let end = 1;
    for (const bytes of [1, 64, 65, 4, 0, 1000, 3]) {
      const address = arena.allocate(bytes, "x");
      expect(address % 64).toBe(0);
      expect(address).toBeGreaterThanOrEqual(end);
      end = address + bytes;
    }
    expect(arena.used).toBeGreaterThanOrEqual(end);
  });

  test("gives zeroed memory", () => {
    const arena = new Arena();
    const address = arena.allocate(4 * 100_000, "x");
    expect(arena.f32(address, 100_000).every((x) => x === 0)).toBe(true);
  });

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses %d bytes", (bytes) => {
    expect(() => new Arena().allocate(bytes, "x")).toThrow(RangeError);
  });

  test("refuses to pass 4 GiB, says how much is needed after how much, and takes no memory", () => {
    const arena = new Arena();
    arena.allocate(1024 * 1024, "weights");
    const used = arena.used;
    expect(() => arena.allocate(4 * GIB, "cache")).toThrow(
      /^cache need 4096 MiB more, after 2 MiB: a model's memory is limited to 4096 MiB by addresses of 32 bits$/,
    );
    expect(() => arena.allocate(Number.MAX_SAFE_INTEGER, "cache")).toThrow(RangeError);
    expect(arena.used).toBe(used);
    expect(arena.report()).toEqual({ weights: 1024 * 1024 });
    // The first page, and what holds the weights
    expect(arena.u8(RESERVED_BYTES, 1).buffer.byteLength).toBe(17 * 65_536);
  });

  test("gives out 4 GiB to the last cache line", () => {
    const arena = new Arena();
    arena.allocate(4 * GIB - RESERVED_BYTES - 64, "weights");
    arena.allocate(64, "cache");
    expect(() => arena.allocate(1, "scratch")).toThrow(RangeError);
  });
});

describe("report", () => {
  test("adds up bytes by purpose, alignment included, in order of the first", () => {
    const arena = new Arena();
    arena.allocate(100, "weights");
    arena.allocate(64, "cache");
    arena.allocate(1, "weights");
    expect(Object.entries(arena.report())).toEqual([
      ["weights", 128 + 64],
      ["cache", 64],
    ]);
    expect(Object.values(arena.report()).reduce((a, b) => a + b, RESERVED_BYTES)).toBe(arena.used);
  });
});

describe("views", () => {
  test("show the same bytes", () => {
    const arena = new Arena();
    const address = arena.allocate(8, "x");
    arena.f32(address, 2).set([1, -2]);
    expect([...arena.u8(address, 8)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
    expect([...arena.f32(address + 4, 1)]).toEqual([-2]);
  });

  test("keep their contents when the memory grows", () => {
    const arena = new Arena();
    const first = arena.allocate(4 * 3, "x");
    arena.f32(first, 3).set([1, 2, 3]);
    const second = arena.allocate(10 * 65_536, "x");
    arena.u8(second, 10 * 65_536).fill(7);
    expect([...arena.f32(first, 3)]).toEqual([1, 2, 3]);
    expect(arena.u8(second, 10 * 65_536).every((byte) => byte === 7)).toBe(true);
  });

  test("of blocks that were allocated before them stay alive side by side, wherever the blocks lie", () => {
    const arena = new Arena();
    const addresses = [0, 1, 2].map(() => arena.allocate(4 * 100_000, "x"));
    const views = addresses.map((address) => arena.f32(address, 100_000));
    expect(views.map((view) => view.length)).toEqual([100_000, 100_000, 100_000]);
  });

  test("may be empty", () => {
    const arena = new Arena();
    expect(arena.f32(arena.allocate(0, "x"), 0).length).toBe(0);
  });

  test.each([
    ["past the end", 64, 65],
    ["wholly past the end", 128, 1],
    ["before the first block", 0, 4],
    ["at a negative address", -64, 4],
    ["of a length that is NaN", 64, Number.NaN],
    ["at an address that is NaN", Number.NaN, 4],
  ])("%s are refused", (_, address, bytes) => {
    const arena = new Arena();
    arena.allocate(64, "x");
    expect(() => arena.u8(address, bytes)).toThrow(RangeError);
    expect(() => arena.f32(address, bytes / 4)).toThrow(RangeError);
  });

  test("of floats need an address that is a multiple of 4", () => {
    const arena = new Arena();
    arena.allocate(64, "x");
    expect(() => arena.f32(66, 1)).toThrow(RangeError);
  });
});

describe("commit", () => {
  test("takes what was allocated, in whole pages", () => {
    const arena = new Arena();
    const address = arena.allocate(3 * 65_536, "x");
    arena.commit();
    expect(arena.u8(address, 1).buffer.byteLength).toBe(4 * 65_536);
  });
});

describe("dispose", () => {
  test("makes every later use an error", () => {
    const arena = new Arena();
    const address = arena.allocate(64, "x");
    expect(arena.disposed).toBe(false);
    arena.dispose();
    expect(arena.disposed).toBe(true);
    expect(() => arena.allocate(1, "x")).toThrow("disposed");
    expect(() => arena.f32(address, 1)).toThrow("disposed");
    expect(() => arena.u8(address, 1)).toThrow("disposed");
    expect(() => arena.commit()).toThrow("disposed");
  });

  test("may come twice", () => {
    const arena = new Arena();
    arena.dispose();
    expect(() => arena.dispose()).not.toThrow();
  });
});

describe("where the engine refuses", () => {
  /** An engine that gives no memory that may grow past `pages`. */
  function limited(pages: number, action: () => void): void {
    const { Memory } = WebAssembly;
    class Limited extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        if ((descriptor.maximum ?? descriptor.initial) > pages) throw new RangeError("could not allocate memory");
        super(descriptor);
      }
    }
    WebAssembly.Memory = Limited as typeof Memory;
    try {
      action();
    } finally {
      WebAssembly.Memory = Memory;
    }
  }

  test("a shared memory gets less room to grow, and says so when it is used up", () => {
    limited(1000, () => {
      const arena = new Arena({ shared: true });
      arena.allocate(10 * 65_536, "weights");
      expect(arena.memory.buffer).toBeInstanceOf(SharedArrayBuffer);
      expect(() => arena.allocate(GIB, "cache")).toThrow(/cache need 1024 MiB more.*limited to 32 MiB/);
      arena.allocate(65_536, "cache");
      expect(arena.u8(RESERVED_BYTES, 1).length).toBe(1);
    });
  });

  test("take leaves everything as it was", () => {
    limited(20, () => {
      const arena = new Arena();
      const first = arena.take(65_536, "weights");
      const { used } = arena;
      expect(() => new Arena().take(100 * 65_536, "weights")).toThrow(OutOfMemoryError);
      expect(() => arena.take(8 * GIB, "cache")).toThrow(OutOfMemoryError);
      expect(arena.used).toBe(used);
      expect(arena.report()).toEqual({ weights: 65_536 });
      expect(arena.u8(first, 1)[0]).toBe(0);
    });
  });
});
