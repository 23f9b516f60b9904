/**
 * A strict subset of Python's pickle, read as plain data: nothing is imported, called or built.
 *
 * Takes the opcodes that CPython's pickler writes for `torch.save` at protocols 2 to 4 (they are described in its
 * `pickletools.py`), and refuses all others by name. A global is refused by its name the moment it appears, unless the
 * caller lists it. One loop over the bytes, no recursion, so nesting costs no stack.
 */

import { ModelFileError, printable, UnsupportedModelError } from "../errors";
import { decodeUtf8 } from "../files/checked";
import { INST, OP, REFUSED } from "./pickle-opcodes";
import { isKind, type PickleValue } from "./pickle-values";

/** About 45 for each tensor: room for 100 thousand tensors. */
const MAX_OPCODES = 5_000_000;
/** Tuples, lists, dicts and the like, six for each tensor. Each takes some hundred bytes here, and one in the file. */
const MAX_OBJECTS = 600_000;
/** A memo entry for each object, string and global. */
const MAX_MEMO = 1_000_000;
/** The pickler hands on 1000 elements at a time, and a tuple whole. */
const MAX_STACK = 100_000;
/** Open marks: how deep containers are nested while they are written. Checkpoints have up to 6. */
const MAX_MARKS = 100;
/** How deep finished values are nested. Checkpoints with an optimizer's state have up to 8. */
const MAX_DEPTH = 100;
/** Names of tensors have up to 200. */
const MAX_STRING_BYTES = 65_536;
/** A module and a name, each on a line. */
const MAX_GLOBAL_BYTES = 256;
/** Integers of more are no size, and no offset. */
const MAX_INTEGER_BYTES = 8;

/** A reason to refuse what a pickle says. */
export interface PickleProblem {
  readonly problem: string;
}

/** The OrderedDict of Python, which every reader of pickles knows. */
export const ORDERED_DICT = "collections.OrderedDict";

/** What a pickle may name, and what its objects become: pure functions of plain data. */
export interface PickleMeaning<T> {
  /** Beside OrderedDict. A null may be named and not called. */
  readonly globals: ReadonlyMap<string, ((args: readonly PickleValue<T>[]) => T | PickleProblem) | null>;
  persistent(id: PickleValue<T>): T | PickleProblem;
  /** What to do about a file that names others. */
  readonly advice: string;
}

/**
 * Reads a pickle of plain data.
 *
 * @param bytes the whole pickle, nothing behind its STOP
 * @param where the file, and what to call the pickle in messages
 * @throws UnsupportedModelError for a global that is not listed; ModelFileError for everything else that is refused
 * @example
 * readPickle(bytes, { globals: new Map(), persistent: () => ({ problem: "x" }), advice: "" }, { file: "x.bin", part: "data.pkl" });
 */
export function readPickle<T extends object>(
  bytes: Uint8Array,
  meaning: PickleMeaning<T>,
  where: { readonly file: string; readonly part: string },
): PickleValue<T> {
  return new Unpickler(bytes, meaning, where).read();
}

class Unpickler<T extends object> {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #meaning: PickleMeaning<T>;
  readonly #where: { readonly file: string; readonly part: string };
  #at = 0;
  /** Where the opcode under way begins. */
  #opcodeAt = 0;
  #objects = 0;
  readonly #stack: PickleValue<T>[] = [];
  /** Heights of the stack. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue<T>>();
  readonly #steps = new Map<number, () => void>([
    [OP.FRAME, () => this.#frame()],
    [OP.NONE, () => this.#push(null)],
    [OP.NEWTRUE, () => this.#push(true)],
    [OP.NEWFALSE, () => this.#push(false)],
    [OP.BININT, () => this.#push(this.#view.getInt32(this.#take(4), true))],
    [OP.BININT1, () => this.#push(this.#byte())],
    [OP.BININT2, () => this.#push(this.#view.getUint16(this.#take(2), true))],
    [OP.LONG1, () => this.#push(this.#long(this.#byte()))],
    [OP.BINFLOAT, () => this.#push(this.#view.getFloat64(this.#take(8), false))],
    [OP.BINUNICODE, () => this.#push(this.#string(this.#u32()))],
    [OP.SHORT_BINUNICODE, () => this.#push(this.#string(this.#byte()))],
    [OP.MARK, () => this.#mark()],
    [OP.EMPTY_TUPLE, () => this.#tuple([])],
    [OP.TUPLE, () => this.#tuple(this.#popMark())],
    [OP.TUPLE1, () => this.#tuple(this.#popMany(1))],
    [OP.TUPLE2, () => this.#tuple(this.#popMany(2))],
    [OP.TUPLE3, () => this.#tuple(this.#popMany(3))],
    [OP.EMPTY_LIST, () => this.#made({ kind: "list", items: [], depth: 1 })],
    [OP.APPEND, () => this.#append(this.#popMany(1))],
    [OP.APPENDS, () => this.#append(this.#popMark())],
    [OP.EMPTY_DICT, () => this.#made({ kind: "dict", ordered: false, entries: new Map(), depth: 1 })],
    [OP.SETITEM, () => this.#setItems(this.#popMany(2))],
    [OP.SETITEMS, () => this.#setItems(this.#popMark())],
    [OP.BINGET, () => this.#get(this.#byte())],
    [OP.LONG_BINGET, () => this.#get(this.#u32())],
    [OP.BINPUT, () => this.#put(this.#byte())],
    [OP.LONG_BINPUT, () => this.#put(this.#u32())],
    [OP.MEMOIZE, () => this.#put(this.#memo.size)],
    [OP.GLOBAL, () => this.#global(this.#line(), this.#line())],
    [OP.STACK_GLOBAL, () => this.#stackGlobal()],
    [OP.REDUCE, () => this.#reduce()],
    [OP.BUILD, () => this.#build()],
    [OP.BINPERSID, () => this.#object(this.#meaning.persistent(this.#pop()))],
  ]);

  constructor(bytes: Uint8Array, meaning: PickleMeaning<T>, where: { readonly file: string; readonly part: string }) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#meaning = meaning;
    this.#where = where;
  }

  read(): PickleValue<T> {
    if (this.#byte() !== OP.PROTO)
      throw this.#bad("begins with no protocol: it is no pickle, or one of protocol 0 or 1");
    const protocol = this.#byte();
    if (protocol < 2 || protocol > 4) throw this.#bad(`is of protocol ${protocol}; 2 to 4 are read`);
    for (let opcodes = 0; opcodes < MAX_OPCODES; opcodes++) {
      this.#opcodeAt = this.#at;
      const opcode = this.#byte();
      if (opcode === OP.STOP) return this.#stop();
      this.#step(opcode);
      if (this.#stack.length > MAX_STACK) throw this.#bad(`puts more than ${MAX_STACK} values on its stack`);
    }
    throw this.#bad(`has more than ${MAX_OPCODES} opcodes`);
  }

  #stop(): PickleValue<T> {
    if (this.#marks.length > 0 || this.#stack.length !== 1) throw this.#bad("stops in the middle of something");
    if (this.#at !== this.#bytes.length) throw this.#bad(`has ${this.#bytes.length - this.#at} bytes behind its end`);
    return this.#stack[0] as PickleValue<T>;
  }

  #step(opcode: number): void {
    const step = this.#steps.get(opcode);
    if (step !== undefined) {
      step();
      return;
    }
    if (opcode === INST) this.#checkGlobal(this.#line(), this.#line());
    const name = REFUSED.get(opcode) ?? `0x${opcode.toString(16).padStart(2, "0")}`;
    throw this.#bad(`has the opcode ${name}, which is not read`);
  }

  // ---- Bytes

  /** The position of so many bytes, which are then behind us. */
  #take(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw this.#bad("ends too soon: it is truncated");
    this.#at += length;
    return start;
  }

  #byte(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  #u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** Protocol 4 says how many bytes come next; what matters here is that they are there. */
  #frame(): void {
    const length = this.#view.getBigUint64(this.#take(8), true);
    if (length > BigInt(this.#bytes.length - this.#at)) throw this.#bad(`has a frame of ${length} bytes`);
  }

  #string(length: number): string {
    if (length > MAX_STRING_BYTES) throw this.#bad(`has a string of ${length} bytes, more than ${MAX_STRING_BYTES}`);
    const start = this.#take(length);
    return decodeUtf8(this.#bytes.subarray(start, this.#at), `${this.#where.part}: a string`, {
      file: this.#where.file,
    });
  }

  /** Text up to a newline. */
  #line(): string {
    const end = this.#bytes.subarray(this.#at, this.#at + MAX_GLOBAL_BYTES + 1).indexOf(10);
    if (end < 0) throw this.#bad(`has a global without an end within ${MAX_GLOBAL_BYTES} bytes`);
    const line = this.#string(end);
    this.#at++;
    return line;
  }

  /** Two's complement, lowest byte first. */
  #long(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES)
      throw this.#bad(`has an integer of ${length} bytes, more than ${MAX_INTEGER_BYTES}`);
    const start = this.#take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[start + i] as number);
    value = BigInt.asIntN(8 * length, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  // ---- The stack and the memo

  #push(value: PickleValue<T>): void {
    this.#stack.push(value);
  }

  #mark(): void {
    if (this.#marks.length === MAX_MARKS) throw this.#bad(`nests more than ${MAX_MARKS} levels`);
    this.#marks.push(this.#stack.length);
  }

  #popMany(count: number): PickleValue<T>[] {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length - count < floor) throw this.#bad("takes more from its stack than is there");
    return this.#stack.splice(this.#stack.length - count);
  }

  #pop(): PickleValue<T> {
    return this.#popMany(1)[0] as PickleValue<T>;
  }

  /** What lies above the last mark. */
  #popMark(): PickleValue<T>[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#bad("closes what it has not opened");
    return this.#stack.splice(mark);
  }

  #top(): PickleValue<T> {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#bad("takes more from its stack than is there");
    return this.#stack.at(-1) as PickleValue<T>;
  }

  #get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#bad(`asks for the memo's entry ${index}, which is not there`);
    this.#push(value);
  }

  #put(index: number): void {
    if (index >= MAX_MEMO) throw this.#bad(`puts the memo's entry ${index}, and ${MAX_MEMO} are allowed`);
    this.#memo.set(index, this.#top());
  }

  // ---- Values

  #made(value: PickleValue<T>): void {
    if (++this.#objects > MAX_OBJECTS) throw this.#bad(`has more than ${MAX_OBJECTS} objects`);
    this.#push(value);
  }

  #tuple(items: readonly PickleValue<T>[]): void {
    this.#made({ kind: "tuple", items, depth: this.#depthAround(items, 1) });
  }

  /** The depth of a container with these in it, `least` or more. What contains it already does not grow with it. */
  #depthAround(items: readonly PickleValue<T>[], least: number): number {
    let depth = least;
    for (const item of items) {
      if (typeof item === "object" && item !== null && "depth" in item) depth = Math.max(depth, item.depth + 1);
    }
    if (depth > MAX_DEPTH) throw this.#bad(`nests more than ${MAX_DEPTH} levels`);
    return depth;
  }

  #append(items: readonly PickleValue<T>[]): void {
    const list = this.#top();
    if (!isKind(list, "list")) throw this.#bad("appends to what is no list");
    list.depth = this.#depthAround(items, list.depth);
    for (const item of items) list.items.push(item);
  }

  #setItems(items: readonly PickleValue<T>[]): void {
    const dict = this.#top();
    if (!isKind(dict, "dict")) throw this.#bad("sets items of what is no dict");
    if (items.length % 2 !== 0) throw this.#bad("sets an item without a value");
    dict.depth = this.#depthAround(items, dict.depth);
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i] as PickleValue<T>;
      if (typeof key === "object" && key !== null) throw this.#bad(`has a ${key.kind} as the key of a dict`);
      if (dict.entries.has(key)) throw this.#bad(`sets the key ${JSON.stringify(String(key))} of a dict twice`);
      dict.entries.set(key, items[i + 1] as PickleValue<T>);
    }
  }

  #checkGlobal(module: string, name: string): string {
    const full = `${module}.${name}`;
    if (full === ORDERED_DICT || this.#meaning.globals.has(full)) return full;
    throw new UnsupportedModelError("the Python name", full, [ORDERED_DICT, ...this.#meaning.globals.keys()], {
      file: this.#where.file,
      hint: `${this.#where.part} asks for it at byte ${this.#opcodeAt}; nothing was run; ${this.#meaning.advice}`,
    });
  }

  #global(module: string, name: string): void {
    this.#made({ kind: "global", name: this.#checkGlobal(module, name) });
  }

  #stackGlobal(): void {
    const [module, name] = this.#popMany(2);
    if (typeof module !== "string" || typeof name !== "string") throw this.#bad("names a global by no string");
    this.#global(module, name);
  }

  #reduce(): void {
    const [callee, args] = this.#popMany(2);
    if (!isKind(callee, "global") || !isKind(args, "tuple")) throw this.#bad("calls what is no function");
    if (callee.name === ORDERED_DICT) {
      if (args.items.length > 0) throw this.#bad("makes an OrderedDict with arguments");
      this.#made({ kind: "dict", ordered: true, entries: new Map(), depth: 1 });
      return;
    }
    const call = this.#meaning.globals.get(callee.name) ?? null;
    if (call === null) throw this.#bad(`calls ${callee.name}, which is no function`);
    this.#object(call(args.items));
  }

  #object(made: T | PickleProblem): void {
    if ("problem" in made) throw this.#bad((made as PickleProblem).problem);
    this.#made({ kind: "object", value: made });
  }

  /** Attributes of an OrderedDict, such as the `_metadata` of PyTorch's state dicts: checked, and left. */
  #build(): void {
    const state = this.#pop();
    const owner = this.#top();
    if (!isKind(owner, "dict") || !owner.ordered || !isKind(state, "dict")) {
      throw this.#bad("sets the state of what is no OrderedDict");
    }
  }

  #bad(problem: string): ModelFileError {
    const { file, part } = this.#where;
    return new ModelFileError(`${part}, byte ${this.#opcodeAt}: ${printable(problem)}`, { file });
  }
}
