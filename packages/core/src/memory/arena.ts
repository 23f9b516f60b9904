/** One block of memory for weights, caches and scratch, in which kernels reach everything by address. */

/** Byte offset into an arena. Float data lies at multiples of 4; `allocate` aligns to 64. */
export type Address = number;

const PAGE_BYTES = 65_536;
/** A cache line: rows that start on one never share it with a neighbour. */
const ALIGNMENT = 64;
/** What a WebAssembly memory with 32-bit addresses can hold. */
const MAX_BYTES = 65_536 * PAGE_BYTES;

/** There is not enough memory for what was asked; the message says how much it would take. */
export class OutOfMemoryError extends RangeError {
  override readonly name = "OutOfMemoryError";
}

/** A point in an arena's history. */
export interface ArenaMark {
  readonly used: number;
  readonly byPurpose: ReadonlyMap<string, number>;
}

/**
 * A bump allocator over one `WebAssembly.Memory`.
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
  #memory: WebAssembly.Memory | null = new WebAssembly.Memory({ initial: 1 });
  // Address 0 is never given out, so that a forgotten address shows as a write below the first block.
  #used = ALIGNMENT;
  #byPurpose: Map<string, number> = new Map();

  /** Bytes given out so far, alignment included. */
  get used(): number {
    return this.#used;
  }

  /**
   * Gives out `bytes` bytes: zeros, unless they were released before.
   *
   * @param purpose what `report` files the bytes under, such as "weights"
   * @throws OutOfMemoryError if the arena would pass the 4 GiB that 32-bit addresses reach
   */
  allocate(bytes: number, purpose: string): Address {
    this.#alive();
    const whole = Number.isSafeInteger(bytes) || bytes > MAX_BYTES;
    if (!whole || bytes < 0) throw new RangeError(`cannot allocate ${bytes} bytes`);
    const address = this.#used;
    const end = Math.ceil((address + bytes) / ALIGNMENT) * ALIGNMENT;
    if (end > MAX_BYTES) {
      throw new OutOfMemoryError(
        `${purpose} need ${mebibytes(bytes)} more, after ${mebibytes(address)}: a model's memory is limited to 4096 MiB`,
      );
    }
    this.#used = end;
    this.#byPurpose.set(purpose, (this.#byPurpose.get(purpose) ?? 0) + end - address);
    return address;
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
    const memory = this.#alive();
    const missing = this.#used - memory.buffer.byteLength;
    if (missing <= 0) return;
    try {
      memory.grow(Math.ceil(missing / PAGE_BYTES));
    } catch (cause) {
      throw new OutOfMemoryError(`the engine refused ${mebibytes(this.#used)} of memory`, { cause });
    }
  }

  /** View of `length` floats at `address`. Make it, use it, drop it. */
  f32(address: Address, length: number): Float32Array {
    return new Float32Array(this.#buffer(address, 4 * length), address, length);
  }

  /** View of `length` bytes at `address`. Make it, use it, drop it. */
  u8(address: Address, length: number): Uint8Array {
    return new Uint8Array(this.#buffer(address, length), address, length);
  }

  /** Gives the memory back. Every later use throws. */
  dispose(): void {
    this.#memory = null;
  }

  /** Whether `dispose` was called. */
  get disposed(): boolean {
    return this.#memory === null;
  }

  #alive(): WebAssembly.Memory {
    if (this.#memory === null) throw new Error("this memory was disposed");
    return this.#memory;
  }

  #buffer(address: Address, bytes: number): ArrayBuffer {
    const memory = this.#alive();
    if (!(address >= ALIGNMENT && address + bytes <= this.#used)) {
      throw new RangeError(`bytes ${address} to ${address + bytes} are outside the ${this.#used} that were allocated`);
    }
    // Whatever was allocated is taken now, not only what this view needs: an op makes several views in a row, and the
    // growth for a later one would empty the earlier ones.
    this.commit();
    return memory.buffer;
  }
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1_048_576)} MiB`;
}
