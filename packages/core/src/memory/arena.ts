/** One block of memory for weights, caches and scratch, in which kernels reach everything by address. */

/** Byte offset into an arena. Float data lies at multiples of 4; `allocate` aligns to 64. */
export type Address = number;

const PAGE_BYTES = 65_536;
/** Below the first block: room for the arguments and constants of kernels. Address 0 is never given out. */
export const RESERVED_BYTES = 4096;
/** A cache line: rows that start on one never share it with a neighbour. */
const ALIGNMENT = 64;
/** Most pages of a memory, by the width of its addresses: 4 GiB, and 16 GiB, which is what engines allow. */
export const MAX_PAGES = { 32: 65_536, 64: 262_144 } as const;

/** There is not enough memory for what was asked; the message says how much it would take. */
export class OutOfMemoryError extends RangeError {
  override readonly name = "OutOfMemoryError";
}

/** What kind of memory an arena takes. */
export interface ArenaOptions {
  /** Memory that workers can share: needs SharedArrayBuffer, which browsers give to isolated pages only. */
  readonly shared?: boolean;
  /** Addresses of 64 bits reach beyond 4 GiB, where the engine has them (`memory64Available`). */
  readonly addressBits?: 32 | 64;
}

/** A point in an arena's history. */
export interface ArenaMark {
  readonly used: number;
  readonly byPurpose: ReadonlyMap<string, number>;
}

/**
 * A bump allocator over one `WebAssembly.Memory`, which is made when the first of it is needed, at the size that is
 * known by then.
 *
 * `allocate` only counts: memory is taken when the next view is asked for, in one step, so that a model can lay out
 * everything first and learn whether it fits before it reads a byte.
 * Views are made anew for each use, never kept: they die when the memory grows.
 *
 * @example
 * const arena = new Arena();
 * const x = arena.allocate(4 * 16, "scratch");
 * arena.f32(x, 16).fill(1);
 */
export class Arena {
  readonly shared: boolean;
  readonly addressBits: 32 | 64;
  #maxBytes: number;
  #memory: WebAssembly.Memory | null = null;
  #disposed = false;
  #used = RESERVED_BYTES;
  #byPurpose: Map<string, number> = new Map();

  constructor({ shared = false, addressBits = 32 }: ArenaOptions = {}) {
    this.shared = shared;
    this.addressBits = addressBits;
    this.#maxBytes = MAX_PAGES[addressBits] * PAGE_BYTES;
  }

  /** Bytes given out so far, alignment included. */
  get used(): number {
    return this.#used;
  }

  /**
   * Gives out `bytes` bytes: zeros, unless they were released before.
   *
   * @param purpose what `report` files the bytes under, such as "weights"
   * @throws OutOfMemoryError if the arena would pass what its addresses reach, 4 GiB for those of 32 bits
   */
  allocate(bytes: number, purpose: string): Address {
    this.#alive();
    const whole = Number.isSafeInteger(bytes) || bytes > this.#maxBytes;
    if (!whole || bytes < 0) throw new RangeError(`cannot allocate ${bytes} bytes`);
    const address = this.#used;
    const end = Math.ceil((address + bytes) / ALIGNMENT) * ALIGNMENT;
    if (end > this.#maxBytes) {
      const limit = `a model's memory is limited to ${mebibytes(this.#maxBytes)}`;
      throw new OutOfMemoryError(
        `${purpose} need ${mebibytes(bytes)} more, after ${mebibytes(address)}: ${limit} by addresses of ${this.addressBits} bits`,
      );
    }
    this.#used = end;
    this.#byPurpose.set(purpose, (this.#byPurpose.get(purpose) ?? 0) + end - address);
    return address;
  }

  /** `allocate` and `commit` in one: where the engine refuses, nothing is taken. */
  take(bytes: number, purpose: string): Address {
    return this.attempt(() => this.allocate(bytes, purpose));
  }

  /** Whatever `allocate` lays out, and its memory; or, where that fails, the arena as it was. */
  attempt<T>(allocate: () => T): T {
    const mark = this.mark();
    try {
      const made = allocate();
      this.commit();
      return made;
    } catch (error) {
      this.release(mark);
      throw error;
    }
  }

  /** Where allocation stands, for `release`. */
  mark(): ArenaMark {
    return { used: this.#used, byPurpose: new Map(this.#byPurpose) };
  }

  /** Takes back whatever was allocated since `mark`. The memory itself is kept for the next allocation. */
  release({ used, byPurpose }: ArenaMark): void {
    if (used > this.#used) throw new RangeError("release: this mark was released already");
    this.#used = used;
    this.#byPurpose = new Map(byPurpose);
  }

  /** Bytes by purpose, in the order of their first allocation. */
  report(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#byPurpose);
  }

  /**
   * Takes the memory that has been allocated. Done by the next view too; by hand, to fail early.
   *
   * @throws OutOfMemoryError if the engine has not so much
   */
  commit(): void {
    this.#alive();
    const pages = Math.ceil(this.#used / PAGE_BYTES);
    const missing = pages - (this.#memory === null ? 0 : this.#memory.buffer.byteLength / PAGE_BYTES);
    if (missing <= 0) return;
    try {
      if (this.#memory === null) this.#memory = this.#create(pages);
      else this.#memory.grow(this.#count(missing));
    } catch (cause) {
      throw new OutOfMemoryError(`the engine refused ${mebibytes(this.#used)} of memory`, { cause });
    }
  }

  /** The memory, with all that has been allocated: for kernels and workers. */
  get memory(): WebAssembly.Memory {
    this.commit();
    return this.#memory as WebAssembly.Memory;
  }

  /** View of `length` floats at `address`. Make it, use it, drop it. */
  f32(address: Address, length: number): Float32Array {
    return new Float32Array(this.#buffer(address, 4 * length), address, length);
  }

  /** View of `length` 32-bit integers at `address`. Make it, use it, drop it. */
  i32(address: Address, length: number): Int32Array {
    return new Int32Array(this.#buffer(address, 4 * length), address, length);
  }

  /** View of `length` bytes at `address`. Make it, use it, drop it. */
  u8(address: Address, length: number): Uint8Array {
    return new Uint8Array(this.#buffer(address, length), address, length);
  }

  /** Gives the memory back. Every later use throws. */
  dispose(): void {
    this.#memory = null;
    this.#disposed = true;
  }

  /** Whether `dispose` was called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  #alive(): void {
    if (this.#disposed) throw new Error("this memory was disposed");
  }

  #create(pages: number): WebAssembly.Memory {
    const memory = (maximum: number | null) => {
      const descriptor = {
        initial: this.#count(pages),
        ...(maximum !== null && { shared: true, maximum: this.#count(maximum) }),
        ...(this.addressBits === 64 && { address: "i64" }),
      };
      return new WebAssembly.Memory(descriptor as unknown as WebAssembly.MemoryDescriptor);
    };
    if (!this.shared) return memory(null);
    // A shared memory must say how far it may grow. Most engines reserve addresses for that and no memory; some refuse
    // much of it, and get less room to grow.
    for (let maximum: number = MAX_PAGES[this.addressBits]; ; maximum = Math.max(pages, Math.ceil(maximum / 2))) {
      try {
        const made = memory(maximum);
        this.#maxBytes = maximum * PAGE_BYTES;
        return made;
      } catch (error) {
        if (maximum <= pages) throw error;
      }
    }
  }

  /** Pages as the engine wants them: a BigInt where addresses have 64 bits, which TypeScript's types do not know. */
  #count(pages: number): number {
    return (this.addressBits === 64 ? BigInt(pages) : pages) as number;
  }

  #buffer(address: Address, bytes: number): ArrayBuffer {
    this.#alive();
    if (!(address >= RESERVED_BYTES && address + bytes <= this.#used)) {
      throw new RangeError(`bytes ${address} to ${address + bytes} are outside the ${this.#used} that were allocated`);
    }
    // Whatever was allocated is taken now, not only what this view needs: an op makes several views in a row, and the
    // growth for a later one would empty the earlier ones.
    return this.memory.buffer;
  }
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1_048_576)} MiB`;
}
