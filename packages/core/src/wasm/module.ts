/**
 * Functions put together into a module that imports one memory.
 *
 * A kernel is a function (arguments, from, to, thread): it works on the part from..to of its job, so that threads share
 * one by ranges, and each has scratch memory of its own. Its arguments lie in memory as a row of doubles, one slot each. A double holds every address, size and
 * float32 exactly, so that one layout serves memories of 32 and of 64 bits, the main thread and the workers alike.
 */

import { MAX_PAGES } from "../memory/arena";
import { Bytes, type Callable, FunctionBuilder, type Local, typeCode, type ValueType } from "./assembler";

export type { Callable } from "./assembler";

/** Bytes of a slot. */
export const SLOT_BYTES = 8;
/** Slots that a kernel's arguments may take. */
export const MAX_SLOTS = 32;

/** Where the arguments lie: every arena keeps RESERVED_BYTES below its first block. */
export const SLOTS_ADDRESS = 64;
/** Where the constants of a module lie, up to RESERVED_BYTES. */
export const CONSTANTS_ADDRESS = SLOTS_ADDRESS + MAX_SLOTS * SLOT_BYTES;

/** What an argument is read as. */
export type ArgumentType = "ptr" | "i32" | "f32" | "f64";

/** Arguments by name, in the order of their slots. */
export type Parameters = Readonly<Record<string, ArgumentType>>;

/** The part of a job that a call works on, as locals. */
export interface Range {
  readonly from: Local<"i32">;
  readonly to: Local<"i32">;
  /** Which thread runs it, from 0 on: for scratch memory. */
  readonly thread: Local<"i32">;
}

type ArgumentLocals<P extends Parameters> = { readonly [K in keyof P]: Local<P[K]> };

/** What a memory and an engine offer. */
export interface Target {
  readonly addressBits: 32 | 64;
  readonly shared: boolean;
}

/** The export that a kernel becomes. */
export type KernelFunction = (args: number | bigint, from: number, to: number, thread: number) => void;

/** A module under construction. */
export class ModuleBuilder {
  readonly target: Target;
  readonly #types: string[] = [];
  readonly #typeSection: Bytes[] = [];
  readonly #functions: { type: number; body: Bytes }[] = [];
  readonly #exports: { name: string; index: number }[] = [];
  readonly #constants: number[] = [];

  constructor(target: Target) {
    this.target = target;
  }

  /** A function of operands that gives nothing back: the inner part of a kernel. */
  function(parameters: readonly ValueType[], emit: (f: FunctionBuilder) => void): Callable {
    const f = new FunctionBuilder(parameters, this.target.addressBits);
    emit(f);
    this.#functions.push({ type: this.#type(parameters), body: f.finish() });
    return { index: this.#functions.length - 1, parameters };
  }

  /** An exported kernel. */
  kernel<const P extends Parameters>(
    name: string,
    parameters: P,
    emit: (f: FunctionBuilder, args: ArgumentLocals<P>, range: Range) => void,
  ): void {
    const entries = Object.entries(parameters);
    if (entries.length > MAX_SLOTS) throw new RangeError(`${name}: more than ${MAX_SLOTS} arguments`);
    const { index } = this.function(["ptr", "i32", "i32", "i32"], (f) => {
      const [slots, from, to, thread] = f.parameters as [Local<"ptr">, Local<"i32">, Local<"i32">, Local<"i32">];
      const read: Record<ArgumentType, (offset: number) => Local> = {
        ptr: (offset) => f.local("ptr", f.ptr.fromF64(f.f64.load(slots(), offset))),
        i32: (offset) => f.local("i32", f.i32.trunc_sat_f64_s(f.f64.load(slots(), offset))),
        f32: (offset) => f.local("f32", f.f32.demote_f64(f.f64.load(slots(), offset))),
        f64: (offset) => f.local("f64", f.f64.load(slots(), offset)),
      };
      const args = Object.fromEntries(entries.map(([key, type], i) => [key, read[type](i * SLOT_BYTES)]));
      emit(f, args as ArgumentLocals<P>, { from, to, thread });
    });
    this.#exports.push({ name, index });
  }

  /**
   * A vector constant in a local, by way of memory: engines put a `v128.const` together anew wherever it is used, which
   * takes three instructions in the middle of an inner loop; what was loaded they keep in a register.
   */
  constant(f: FunctionBuilder, lanes: Int8Array | Int16Array | Int32Array | Float32Array): Local<"v128"> {
    const bytes = [...new Uint8Array(lanes.buffer)];
    let at = 0;
    while (at < this.#constants.length && bytes.some((byte, i) => byte !== this.#constants[at + i])) at += 16;
    if (at === this.#constants.length) this.#constants.push(...bytes);
    return f.local("v128", f.v128.load(f.ptr.const(CONSTANTS_ADDRESS + at)));
  }

  /** The kernels, in the order in which they were emitted. */
  get names(): readonly string[] {
    return this.#exports.map(({ name }) => name);
  }

  /** What must lie at CONSTANTS_ADDRESS. */
  get constants(): Uint8Array {
    return Uint8Array.from(this.#constants);
  }

  /** The module's bytes. It imports its memory as "qkv" "memory". */
  finish(): Uint8Array<ArrayBuffer> {
    const { addressBits, shared } = this.target;
    const out = new Bytes();
    out.u8(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);
    const section = (id: number, count: number, content: (bytes: Bytes) => void) => {
      const bytes = new Bytes();
      bytes.unsigned(count);
      content(bytes);
      out.u8(id);
      out.sized(bytes);
    };
    section(1, this.#typeSection.length, (bytes) => {
      for (const type of this.#typeSection) bytes.append(type);
    });
    section(2, 1, (bytes) => {
      bytes.text("qkv");
      bytes.text("memory");
      // Limits: bit 0 a maximum (which shared memories must have), bit 1 shared, bit 2 addresses of 64 bits.
      bytes.u8(0x02, (shared ? 3 : 0) | (addressBits === 64 ? 4 : 0));
      bytes.unsigned(0);
      if (shared) bytes.unsigned(MAX_PAGES[addressBits]);
    });
    section(3, this.#functions.length, (bytes) => {
      for (const { type } of this.#functions) bytes.unsigned(type);
    });
    section(7, this.#exports.length, (bytes) => {
      for (const { name, index } of this.#exports) {
        bytes.text(name);
        bytes.u8(0x00);
        bytes.unsigned(index);
      }
    });
    section(10, this.#functions.length, (bytes) => {
      for (const { body } of this.#functions) bytes.sized(body);
    });
    return out.toArray();
  }

  #type(parameters: readonly ValueType[]): number {
    const key = parameters.join();
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    const bytes = new Bytes();
    bytes.u8(0x60);
    bytes.unsigned(parameters.length);
    for (const type of parameters) bytes.u8(typeCode(type, this.target.addressBits));
    bytes.unsigned(0);
    this.#types.push(key);
    this.#typeSection.push(bytes);
    return this.#types.length - 1;
  }
}
