/**
 * A small assembler for WebAssembly functions that reads like the expressions it emits.
 *
 * Every call emits its instruction at once, and JavaScript evaluates arguments from left to right, so that nested
 * calls come out in stack order: `f.f32x4.add(acc(), f.f32x4.mul(x(), w()))`. What a call returns stands for the value
 * that it left on the operand stack. Each instruction checks that its arguments are the top of the stack, in order and
 * of the right type, so that a wrong kernel throws here, at its own line, and not in the engine's validator.
 *
 * TypeScript sees the types too: `f.i32.add(x(), y())` with a vector does not compile.
 */

import {
  ATOMIC,
  EXTRACTS,
  INSTRUCTIONS,
  type Instruction,
  LANE_STORES,
  LOADS,
  type MemoryInstruction,
  SIMD,
  STORES,
  type ValueType,
} from "./instructions";

export type { ValueType } from "./instructions";

/** A value on the operand stack. */
export interface Operand<T extends ValueType = ValueType> {
  readonly type: T;
}

/** A local variable: called, it pushes its value. */
export interface Local<T extends ValueType = ValueType> {
  (): Operand<T>;
  readonly type: T;
  /** Pops a value into it. */
  set(value: Operand<T>): void;
  /** Pops a value into it and pushes it again. */
  tee(value: Operand<T>): Operand<T>;
}

/** A function that other functions of the module call with operands. */
export interface Callable {
  readonly index: number;
  readonly parameters: readonly ValueType[];
}

/** Where a branch goes: the end of a block, the start of a loop. */
export interface Label {
  readonly depth: number;
}

type Operands<P extends readonly ValueType[]> = { [I in keyof P]: Operand<P[I]> };
type Family<F> = {
  readonly [K in keyof F]: F[K] extends Instruction<infer P, infer R>
    ? (...operands: Operands<P>) => Operand<R>
    : never;
};
type LoadFamily<F> = {
  readonly [K in keyof F]: F[K] extends MemoryInstruction<infer T>
    ? (address: Operand<"ptr">, offset?: number) => Operand<T>
    : never;
};
type StoreFamily<F> = {
  readonly [K in keyof F]: F[K] extends MemoryInstruction<infer T>
    ? (address: Operand<"ptr">, value: Operand<T>, offset?: number) => void
    : never;
};
type LaneStores = {
  readonly [K in keyof typeof LANE_STORES]: (
    address: Operand<"ptr">,
    value: Operand<"v128">,
    lane: number,
    offset?: number,
  ) => void;
};
type Extract<T extends ValueType> = { readonly extract_lane: (vector: Operand<"v128">, lane: number) => Operand<T> };
type Constant<T extends ValueType> = { readonly const: (value: number) => Operand<T> };

/** A growing run of bytes, with WebAssembly's number formats. */
export class Bytes {
  readonly #bytes: number[] = [];

  get length(): number {
    return this.#bytes.length;
  }

  u8(...values: number[]): void {
    for (const value of values) this.#bytes.push(value & 0xff);
  }

  /** LEB128, unsigned. */
  unsigned(value: number): void {
    let rest = value;
    do {
      const low = rest % 128;
      rest = Math.floor(rest / 128);
      this.#bytes.push(rest > 0 ? low | 0x80 : low);
    } while (rest > 0);
  }

  /** LEB128, signed. */
  signed(value: number | bigint): void {
    let rest = BigInt(value);
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      const done = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0);
      this.#bytes.push(done ? low : low | 0x80);
      if (done) return;
    }
  }

  f32(value: number): void {
    this.u8(...new Uint8Array(new Float32Array([value]).buffer));
  }

  f64(value: number): void {
    this.u8(...new Uint8Array(new Float64Array([value]).buffer));
  }

  append(other: Bytes): void {
    for (const byte of other.#bytes) this.#bytes.push(byte);
  }

  /** Another run, preceded by its length. */
  sized(other: Bytes): void {
    this.unsigned(other.length);
    this.append(other);
  }

  text(value: string): void {
    const encoded = new TextEncoder().encode(value);
    this.unsigned(encoded.length);
    this.u8(...encoded);
  }

  toArray(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.#bytes);
  }
}

const TYPE_CODES = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;

/** The code of a type, where `ptr` is one of 32 or 64 bits. */
export function typeCode(type: ValueType, addressBits: 32 | 64): number {
  return TYPE_CODES[type === "ptr" ? (addressBits === 64 ? "i64" : "i32") : type];
}

const VOID = 0x40;

/** One function under construction. */
export class FunctionBuilder {
  readonly addressBits: 32 | 64;
  readonly #code = new Bytes();
  readonly #locals: ValueType[] = [];
  readonly #parameters: number;
  #stack: Operand[] = [];
  #depth = 0;

  readonly i32: Family<(typeof INSTRUCTIONS)["i32"]> &
    LoadFamily<(typeof LOADS)["i32"]> &
    StoreFamily<(typeof STORES)["i32"]> &
    Constant<"i32">;
  readonly i64: Family<(typeof INSTRUCTIONS)["i64"]> &
    LoadFamily<(typeof LOADS)["i64"]> & { const(value: bigint): Operand<"i64"> };
  readonly f32: Family<(typeof INSTRUCTIONS)["f32"]> &
    LoadFamily<(typeof LOADS)["f32"]> &
    StoreFamily<(typeof STORES)["f32"]> &
    Constant<"f32">;
  readonly f64: Family<(typeof INSTRUCTIONS)["f64"]> &
    LoadFamily<(typeof LOADS)["f64"]> &
    StoreFamily<(typeof STORES)["f64"]> &
    Constant<"f64">;
  readonly v128: Family<(typeof INSTRUCTIONS)["v128"]> &
    LoadFamily<(typeof LOADS)["v128"]> &
    StoreFamily<(typeof STORES)["v128"]> &
    LaneStores;
  readonly i8x16: Family<(typeof INSTRUCTIONS)["i8x16"]> & {
    /** Lanes of both vectors, 0 to 15 of the first and 16 to 31 of the second. */
    shuffle(a: Operand<"v128">, b: Operand<"v128">, lanes: readonly number[]): Operand<"v128">;
    /** Sixteen bytes. */
    const(lanes: readonly number[]): Operand<"v128">;
  };
  readonly i16x8: Family<(typeof INSTRUCTIONS)["i16x8"]> & Constant<"v128">;
  readonly i32x4: Family<(typeof INSTRUCTIONS)["i32x4"]> & Constant<"v128"> & Extract<"i32">;
  readonly f32x4: Family<(typeof INSTRUCTIONS)["f32x4"]> & Constant<"v128"> & Extract<"f32">;
  readonly f64x2: Family<(typeof INSTRUCTIONS)["f64x2"]> & Extract<"f64">;

  /** Address arithmetic, in the memory's own width. */
  readonly ptr: {
    const(value: number): Operand<"ptr">;
    add(a: Operand<"ptr">, b: Operand<"ptr">): Operand<"ptr">;
    isNull(a: Operand<"ptr">): Operand<"i32">;
    /** An i32, read as unsigned, as a number of bytes. */
    from(value: Operand<"i32">): Operand<"ptr">;
    /** A double, rounded down, as an address. */
    fromF64(value: Operand<"f64">): Operand<"ptr">;
    /** a * b without loss where i32 would overflow and the memory is larger. */
    product(a: Operand<"i32">, b: Operand<"i32">): Operand<"ptr">;
  };

  /** @param parameters types; `this.parameters` are their locals */
  constructor(parameters: readonly ValueType[], addressBits: 32 | 64) {
    this.addressBits = addressBits;
    this.#parameters = parameters.length;
    const op = this.#families();
    this.i32 = {
      ...op.i32,
      const: this.#constant("i32", (v) => this.#immediate(0x41, () => this.#code.signed(v | 0))),
    };
    this.i64 = {
      ...op.i64,
      const: (value) => {
        this.#immediate(0x42, () => this.#code.signed(BigInt.asIntN(64, value)));
        return this.#push("i64");
      },
    };
    this.f32 = { ...op.f32, const: this.#constant("f32", (v) => this.#immediate(0x43, () => this.#code.f32(v))) };
    this.f64 = { ...op.f64, const: this.#constant("f64", (v) => this.#immediate(0x44, () => this.#code.f64(v))) };
    this.v128 = { ...op.v128, ...this.#laneStores() };
    this.i8x16 = {
      ...op.i8x16,
      shuffle: (a, b, lanes) => {
        if (lanes.length !== 16 || lanes.some((lane) => !(lane >= 0 && lane < 32)))
          throw new RangeError("shuffle: expected sixteen lanes of 0 to 31");
        this.#pop("i8x16.shuffle", [a, b], ["v128", "v128"]);
        this.#code.u8(SIMD);
        this.#code.unsigned(0x0d);
        this.#code.u8(...lanes);
        return this.#push("v128");
      },
      const: (lanes) => this.#vector(lanes),
    };
    this.i16x8 = { ...op.i16x8, const: (v) => this.#vector(repeated(new Int16Array(8).fill(v))) };
    this.i32x4 = {
      ...op.i32x4,
      const: (v) => this.#vector(repeated(new Int32Array(4).fill(v))),
      extract_lane: this.#extract("i32x4"),
    };
    this.f32x4 = {
      ...op.f32x4,
      const: (v) => this.#vector(repeated(new Float32Array(4).fill(v))),
      extract_lane: this.#extract("f32x4"),
    };
    this.f64x2 = { ...op.f64x2, extract_lane: this.#extract("f64x2") };
    const wide = addressBits === 64;
    this.ptr = {
      const: this.#constant("ptr", (v) =>
        this.#immediate(wide ? 0x42 : 0x41, () => this.#code.signed(wide ? v : v | 0)),
      ),
      add: (a, b) => this.#emit("ptr.add", wide ? 0x7c : 0x6a, [a, b], ["ptr", "ptr"], "ptr"),
      isNull: (a) => this.#emit("ptr.isNull", wide ? 0x50 : 0x45, [a], ["ptr"], "i32"),
      from: (value) => this.#emit("ptr.from", wide ? 0xad : null, [value], ["i32"], "ptr"),
      fromF64: (value) => {
        this.#pop("ptr.fromF64", [value], ["f64"]);
        this.#code.u8(0xfc, wide ? 0x07 : 0x03);
        return this.#push("ptr");
      },
      product: (a, b) => {
        if (!wide) return this.#emit("ptr.product", 0x6c, [a, b], ["i32", "i32"], "ptr");
        // The first operand lies below the second: widen the second, then the first by way of a local.
        const right = this.local("i64");
        right.set(this.i64.extend_i32_u(b));
        this.i64.mul(this.i64.extend_i32_u(a), right());
        this.#stack.pop();
        return this.#push("ptr");
      },
    };
    this.parameters = parameters.map((type, index) => this.#localAt(index, type));
  }

  /** The function's parameters. */
  readonly parameters: readonly Local[];

  /** A new local: zero at first. */
  local<T extends ValueType>(type: T, value?: Operand<T>): Local<T> {
    const local = this.#localAt(this.#parameters + this.#locals.length, type);
    this.#locals.push(type);
    if (value !== undefined) local.set(value);
    return local;
  }

  /** `count` new locals of one type. */
  locals<T extends ValueType>(type: T, count: number): Local<T>[] {
    return Array.from({ length: count }, () => this.local(type));
  }

  /** condition ? a : b, both computed. */
  select<T extends ValueType>(a: Operand<T>, b: Operand<T>, condition: Operand<"i32">): Operand<T> {
    this.#pop("select", [a, b, condition], [a.type, a.type, "i32"]);
    if (a.type === "v128" || a.type === "ptr") {
      this.#code.u8(0x1c, 1, typeCode(a.type, this.addressBits));
    } else {
      this.#code.u8(0x1b);
    }
    return this.#push(a.type);
  }

  /** Runs `body`; a branch to the label leaves it. */
  block(body: (label: Label) => void): void {
    this.#enter(0x02, body);
  }

  /** Runs `body`; a branch to the label starts it again. */
  loop(body: (label: Label) => void): void {
    this.#enter(0x03, body);
  }

  /** Runs one of the two. */
  if(condition: Operand<"i32">, then: () => void, otherwise?: () => void): void {
    this.#pop("if", [condition], ["i32"]);
    this.#enter(0x04, () => {
      then();
      if (otherwise !== undefined) {
        this.#empty("else");
        this.#code.u8(0x05);
        otherwise();
      }
    });
  }

  /** Leaves for a label. */
  br(label: Label): void {
    this.#empty("br");
    this.#code.u8(0x0c);
    this.#code.unsigned(this.#depth - label.depth);
  }

  /** Leaves for a label if the condition holds. */
  brIf(label: Label, condition: Operand<"i32">): void {
    this.#pop("br_if", [condition], ["i32"]);
    this.#empty("br_if");
    this.#code.u8(0x0d);
    this.#code.unsigned(this.#depth - label.depth);
  }

  /** while (condition) body. */
  while(condition: () => Operand<"i32">, body: () => void): void {
    this.block((end) => {
      this.loop((again) => {
        this.brIf(end, this.i32.eqz(condition()));
        body();
        this.br(again);
      });
    });
  }

  /** do body while (condition). */
  doWhile(body: () => void, condition: () => Operand<"i32">): void {
    this.loop((again) => {
      body();
      this.brIf(again, condition());
    });
  }

  /** for (i = i; i < to; i += step) body, for integers read as signed. */
  for(i: Local<"i32">, to: () => Operand<"i32">, step: number, body: () => void): void {
    this.while(
      () => this.i32.lt_s(i(), to()),
      () => {
        body();
        i.set(this.i32.add(i(), this.i32.const(step)));
      },
    );
  }

  /** address += bytes. */
  advance(address: Local<"ptr">, bytes: number): void {
    address.set(this.ptr.add(address(), this.ptr.const(bytes)));
  }

  /** address += bytes, a number of them that is only known at run time. */
  advanceBy(address: Local<"ptr">, bytes: Operand<"i32">): void {
    const by = this.local("ptr", this.ptr.from(bytes));
    address.set(this.ptr.add(address(), by()));
  }

  /** Calls a function of the module, which gives nothing back. */
  call({ index, parameters }: Callable, operands: readonly Operand[]): void {
    this.#pop("call", operands, parameters);
    this.#code.u8(0x10);
    this.#code.unsigned(index);
  }

  /** An i32 read by an atomic load: what another thread wrote before it stored this is seen after. */
  atomicLoad(address: Operand<"ptr">, offset = 0): Operand<"i32"> {
    this.#pop("i32.atomic.load", [address], ["ptr"]);
    this.#code.u8(ATOMIC, 0x10, 2);
    this.#code.unsigned(offset);
    return this.#push("i32");
  }

  /** The body, with its locals, as the code section wants it. */
  finish(): Bytes {
    this.#empty("end of the function");
    const body = new Bytes();
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    body.unsigned(runs.length);
    for (const { type, count } of runs) {
      body.unsigned(count);
      body.u8(typeCode(type, this.addressBits));
    }
    body.append(this.#code);
    body.u8(0x0b);
    return body;
  }

  #families() {
    const families: Record<string, Record<string, unknown>> = {};
    const family = (name: string) => {
      families[name] ??= {};
      return families[name];
    };
    for (const [name, instructions] of Object.entries(INSTRUCTIONS)) {
      for (const [op, { prefix, code, takes, gives }] of Object.entries<Instruction>(instructions)) {
        family(name)[op] = (...operands: Operand[]) => {
          this.#pop(`${name}.${op}`, operands, takes);
          this.#opcode(prefix, code);
          return this.#push(gives);
        };
      }
    }
    for (const [name, instructions] of Object.entries(LOADS)) {
      for (const [op, instruction] of Object.entries<MemoryInstruction>(instructions)) {
        family(name)[op] = (address: Operand, offset = 0) => {
          this.#pop(`${name}.${op}`, [address], ["ptr"]);
          this.#memory(instruction.prefix, instruction.code, instruction.align, offset);
          return this.#push(instruction.type);
        };
      }
    }
    for (const [name, instructions] of Object.entries(STORES)) {
      for (const [op, instruction] of Object.entries<MemoryInstruction>(instructions)) {
        family(name)[op] = (address: Operand, value: Operand, offset = 0) => {
          this.#pop(`${name}.${op}`, [address, value], ["ptr", instruction.type]);
          this.#memory(instruction.prefix, instruction.code, instruction.align, offset);
        };
      }
    }
    return families as unknown as {
      i32: Family<(typeof INSTRUCTIONS)["i32"]> &
        LoadFamily<(typeof LOADS)["i32"]> &
        StoreFamily<(typeof STORES)["i32"]>;
      i64: Family<(typeof INSTRUCTIONS)["i64"]> & LoadFamily<(typeof LOADS)["i64"]>;
      f32: Family<(typeof INSTRUCTIONS)["f32"]> &
        LoadFamily<(typeof LOADS)["f32"]> &
        StoreFamily<(typeof STORES)["f32"]>;
      f64: Family<(typeof INSTRUCTIONS)["f64"]> &
        LoadFamily<(typeof LOADS)["f64"]> &
        StoreFamily<(typeof STORES)["f64"]>;
      v128: Family<(typeof INSTRUCTIONS)["v128"]> &
        LoadFamily<(typeof LOADS)["v128"]> &
        StoreFamily<(typeof STORES)["v128"]>;
      i8x16: Family<(typeof INSTRUCTIONS)["i8x16"]>;
      i16x8: Family<(typeof INSTRUCTIONS)["i16x8"]>;
      i32x4: Family<(typeof INSTRUCTIONS)["i32x4"]>;
      f32x4: Family<(typeof INSTRUCTIONS)["f32x4"]>;
      f64x2: Family<(typeof INSTRUCTIONS)["f64x2"]>;
    };
  }

  #laneStores(): LaneStores {
    const stores: Record<string, unknown> = {};
    for (const [op, { code, align, lanes }] of Object.entries(LANE_STORES)) {
      stores[op] = (address: Operand<"ptr">, value: Operand<"v128">, lane: number, offset = 0) => {
        this.#pop(`v128.${op}`, [address, value], ["ptr", "v128"]);
        this.#memory(SIMD, code, align, offset);
        this.#code.u8(checkedLane(op, lane, lanes));
      };
    }
    return stores as LaneStores;
  }

  #extract<S extends keyof typeof EXTRACTS>(shape: S) {
    const { code, lanes, type } = EXTRACTS[shape];
    return (vector: Operand<"v128">, lane: number): Operand<(typeof EXTRACTS)[S]["type"]> => {
      this.#pop(`${shape}.extract_lane`, [vector], ["v128"]);
      this.#opcode(SIMD, code);
      this.#code.u8(checkedLane(shape, lane, lanes));
      return this.#push(type);
    };
  }

  #localAt<T extends ValueType>(index: number, type: T): Local<T> {
    const get = (): Operand<T> => {
      this.#code.u8(0x20);
      this.#code.unsigned(index);
      return this.#push(type);
    };
    const set = (value: Operand<T>): void => {
      this.#pop("local.set", [value], [type]);
      this.#code.u8(0x21);
      this.#code.unsigned(index);
    };
    const tee = (value: Operand<T>): Operand<T> => {
      this.#pop("local.tee", [value], [type]);
      this.#code.u8(0x22);
      this.#code.unsigned(index);
      return this.#push(type);
    };
    return Object.assign(get, { type, set, tee });
  }

  #constant<T extends ValueType>(type: T, emit: (value: number) => void): (value: number) => Operand<T> {
    return (value) => {
      emit(value);
      return this.#push(type);
    };
  }

  #immediate(code: number, value: () => void): void {
    this.#code.u8(code);
    value();
  }

  #vector(bytes: readonly number[]): Operand<"v128"> {
    if (bytes.length !== 16) throw new RangeError(`v128.const: expected sixteen bytes, got ${bytes.length}`);
    this.#opcode(SIMD, 0x0c);
    this.#code.u8(...bytes);
    return this.#push("v128");
  }

  #emit<T extends ValueType>(
    name: string,
    code: number | null,
    operands: readonly Operand[],
    types: readonly ValueType[],
    gives: T,
  ): Operand<T> {
    this.#pop(name, operands, types);
    if (code !== null) this.#code.u8(code);
    return this.#push(gives);
  }

  #opcode(prefix: number | null, code: number): void {
    if (prefix === null) {
      this.#code.u8(code);
    } else {
      this.#code.u8(prefix);
      this.#code.unsigned(code);
    }
  }

  #memory(prefix: number | null, code: number, align: number, offset: number): void {
    if (!Number.isInteger(offset) || offset < 0 || offset >= 2 ** 32)
      throw new RangeError(`a memory offset must be 0 to 2^32 - 1, got ${offset}`);
    this.#opcode(prefix, code);
    this.#code.unsigned(align);
    this.#code.unsigned(offset);
  }

  #enter(code: number, body: (label: Label) => void): void {
    this.#code.u8(code, VOID);
    this.#depth++;
    const outer = this.#stack;
    this.#stack = [];
    body({ depth: this.#depth });
    this.#empty("end of a block");
    this.#stack = outer;
    this.#depth--;
    this.#code.u8(0x0b);
  }

  #push<T extends ValueType>(type: T): Operand<T> {
    const operand: Operand<T> = { type };
    this.#stack.push(operand);
    return operand;
  }

  #pop(name: string, operands: readonly Operand[], types: readonly ValueType[]): void {
    const top = this.#stack.length - operands.length;
    if (operands.length !== types.length) {
      throw new TypeError(`${name}: expected ${types.length} operands, got ${operands.length}`);
    }
    operands.forEach((operand, i) => {
      if (this.#stack[top + i] !== operand) {
        throw new TypeError(
          `${name}: operand ${i} is not where it must be on the stack: used twice, out of order, or something was left above it`,
        );
      }
      if (operand.type !== types[i]) {
        throw new TypeError(`${name}: operand ${i} must be ${types[i]}, got ${operand.type}`);
      }
    });
    this.#stack.length = top;
  }

  #empty(where: string): void {
    if (this.#stack.length > 0) {
      const types = this.#stack.map(({ type }) => type).join(", ");
      throw new TypeError(`${where}: ${this.#stack.length} values are left on the stack: ${types}`);
    }
  }
}

function repeated({ buffer }: { readonly buffer: ArrayBufferLike }): number[] {
  return [...new Uint8Array(buffer)];
}

function checkedLane(name: string, lane: number, lanes: number): number {
  if (!Number.isInteger(lane) || lane < 0 || lane >= lanes)
    throw new RangeError(`${name}: expected a lane of 0 to ${lanes - 1}, got ${lane}`);
  return lane;
}
