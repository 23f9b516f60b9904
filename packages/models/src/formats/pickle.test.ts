import { describe, expect, it } from "vitest";
import { UnsupportedModelError } from "../errors";
import { type PickleMeaning, type PickleProblem, readPickle } from "./pickle";
import { describe as described, isKind, type PickleValue } from "./pickle-values";
import { call, dict, global, int, ops, pickle, str, tuple } from "./pytorch-testing";
import { concat, expectBadFile, u32, u64, utf8 } from "./testing";

interface Made {
  readonly args: number;
}

/** Which calls were made, to show that a refused one is not. */
const calls: string[] = [];
const MEANING: PickleMeaning<Made> = {
  globals: new Map<string, ((args: readonly unknown[]) => Made | PickleProblem) | null>([
    [
      "safe.make",
      (args) => {
        calls.push("safe.make");
        return { args: args.length };
      },
    ],
    ["safe.fail", () => ({ problem: "fails" })],
    ["safe.Class", null],
  ]),
  persistent: (id) => (id === "known" ? { args: 0 } : { problem: "has an id that is not known" }),
  advice: "do something else",
};
const WHERE = { file: "f.bin", part: "data.pkl" };
const read = (bytes: Uint8Array) => readPickle(bytes, MEANING, WHERE);
const refused = (bytes: Uint8Array, problem: RegExp) =>
  expectBadFile(
    Promise.resolve().then(() => read(bytes)),
    { file: "f.bin", problem },
  );
const GET0 = "h\0";
const PUT0 = "q\0";

/** A value as JSON would have it, for small ones without loops. */
function plain(value: PickleValue<Made>): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value.kind === "tuple" || value.kind === "list") return { [value.kind]: value.items.map(plain) };
  if (value.kind === "dict") return Object.fromEntries([...value.entries].map(([key, v]) => [key, plain(v)]));
  return value.kind === "global" ? { global: value.name } : value.value;
}

describe("readPickle", () => {
  it.each<[string, Uint8Array, unknown]>([
    ["None", pickle("N"), null],
    ["truth values", pickle("\x88\x89\x86"), { tuple: [true, false] }],
    ["BININT", pickle("J\xff\xff\xff\xff"), -1],
    ["BININT1", pickle("K\xff"), 255],
    ["BININT2", pickle("M\x01\x02"), 513],
    ["LONG1 of no byte", pickle("\x8a\0"), 0],
    ["LONG1, negative", pickle("\x8a\x02\x00\x80"), -32768],
    ["LONG1 that a number holds", pickle(ops("\x8a\x07", u64(2n ** 53n - 1n).subarray(0, 7))), 2 ** 53 - 1],
    ["LONG1 that no number holds", pickle(ops("\x8a\x08", u64(2n ** 62n + 1n))), 2n ** 62n + 1n],
    ["BINFLOAT", pickle("G\x3f\xb9\x99\x99\x99\x99\x99\x9a"), 0.1],
    ["BINUNICODE", pickle(str("é😀")), "é😀"],
    ["SHORT_BINUNICODE", pickle("\x8c\x02hi"), "hi"],
    [
      "tuples",
      pickle(")K\x01\x85K\x02K\x03\x86", "\x87"),
      { tuple: [{ tuple: [] }, { tuple: [1] }, { tuple: [2, 3] }] },
    ],
    ["a marked tuple", pickle(tuple(int(1), int(2), int(3), int(4))), { tuple: [1, 2, 3, 4] }],
    ["lists", pickle("](K\x01K\x02eK\x03a"), { list: [1, 2, 3] }],
    ["dicts", pickle(dict({ a: int(1), b: int(2) }), str("c"), "Ns"), { a: 1, b: 2, c: null }],
    ["keys that are no text", pickle("}K\x05Ns"), { 5: null }],
    ["the names of prototypes", pickle("}", str("__proto__"), "K\x01s"), JSON.parse('{"__proto__":1}')],
    ["the memo", pickle("K\x05", PUT0, GET0, "r\x01\x02\0\0j\x01\x02\0\0\x87"), { tuple: [5, 5, 5] }],
    ["MEMOIZE", ops("\x80\x04\x8c\x01a\x94h\0\x86."), { tuple: ["a", "a"] }],
    ["frames", ops("\x80\x04\x95\x02\0\0\0\0\0\0\0K\x05."), 5],
    ["an OrderedDict with attributes", pickle(call("collections.OrderedDict"), dict({ _metadata: int(1) }), "b"), {}],
    ["listed globals", pickle(global("safe.Class")), { global: "safe.Class" }],
    ["STACK_GLOBAL", ops("\x80\x04\x8c\x04safe\x8c\x05Class\x93."), { global: "safe.Class" }],
    ["calls of listed globals", pickle(call("safe.make", int(1), int(2))), { args: 2 }],
    ["persistent ids", pickle(str("known"), "Q"), { args: 0 }],
  ])("reads %s", (_, bytes, value) => expect(plain(read(bytes))).toEqual(value));

  it("keeps what is shared, shared: a memo bomb of 2^60 leaves has 61 tuples", () => {
    const doubled = `${PUT0}${GET0}\x86`; // (x, x) of the x on the stack
    let value = read(pickle(")", doubled.repeat(60)));
    let depth = 0;
    while (isKind(value, "tuple") && value.items.length === 2) {
      expect(value.items[0]).toBe(value.items[1]);
      value = value.items[0] as PickleValue<Made>;
      depth++;
    }
    expect(depth).toBe(60);
  });

  it("takes a list that contains itself as what it is", () => {
    const value = read(pickle("]", PUT0, GET0, "a"));
    expect(isKind(value, "list") && value.items[0] === value).toBe(true);
    expect(described(value, () => "")).toBe("a list of 1");
  });
});

const OTHER_NAMES: readonly [string, Uint8Array, string][] = [
  ["os.system, called", pickle(call("os.system", str("touch /tmp/pwned"))), "os.system"],
  ["posix.system, called", pickle(call("posix.system", str("id"))), "posix.system"],
  ["nt.system", pickle(global("nt.system")), "nt.system"],
  ["builtins.eval, called", pickle(call("builtins.eval", str("1"))), "builtins.eval"],
  ["__builtin__.eval", pickle(global("__builtin__.eval")), "__builtin__.eval"],
  ["STACK_GLOBAL", ops("\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R."), "posix.system"],
  ["STACK_GLOBAL by the memo", ops("\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\0h\x01\x93."), "os.system"],
  ["INST", pickle("(", str("id"), "ios\nsystem\n"), "os.system"],
  ["a class for OBJ", pickle("(", global("subprocess.Popen"), str("id"), "o"), "subprocess.Popen"],
  ["a class for NEWOBJ", pickle(global("subprocess.Popen"), ")\x81"), "subprocess.Popen"],
  ["an attribute of a listed module", pickle(global("safe.__dict__")), "safe.__dict__"],
  ["an attribute of a listed function", pickle(global("safe.make.__globals__")), "safe.make.__globals__"],
  ["a prototype's name", pickle(global("x.constructor")), "x.constructor"],
  ["numpy's", pickle(global("numpy.core.multiarray._reconstruct")), "numpy.core.multiarray._reconstruct"],
];

describe("names that are not listed", () => {
  it.each(OTHER_NAMES)("%s: refused by the name, and nothing is called", (_, bytes, name) => {
    calls.length = 0;
    let error: unknown;
    try {
      read(bytes);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(UnsupportedModelError);
    const { message, value, file } = error as UnsupportedModelError;
    expect([value, file]).toEqual([name, "f.bin"]);
    expect(message).toMatch(
      /^f.bin: the Python name ".*data.pkl asks for it at byte \d+; nothing was run; do something/,
    );
    expect(calls).toEqual([]);
  });

  it("are shown without what would drive a terminal", () => {
    expect(() => read(pickle(global("os.\u001b]0;x\u0007")))).toThrow(/os\.\\+u\{?001b|os\.\\+u\{1b/);
  });
});

describe("readPickle refuses", () => {
  it.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(), /ends too soon/],
    ["protocol 0", ops("I5\n."), /begins with no protocol/],
    ["protocol 1", ops("\x80\x01N."), /is of protocol 1; 2 to 4/],
    ["protocol 5", ops("\x80\x05N."), /is of protocol 5; 2 to 4/],
    ["a second protocol", pickle("\x80\x02N"), /opcode 0x80/],
    ["no STOP", ops("\x80\x02N"), /ends too soon/],
    ["more behind STOP", ops("\x80\x02N.x"), /has 1 bytes behind its end/],
    ["two values", pickle("NN"), /stops in the middle/],
    ["no value", pickle(""), /stops in the middle/],
    ["an open mark", pickle("(N"), /stops in the middle/],
    ["an unknown opcode", pickle("\xff"), /byte 2: has the opcode 0xff, which is not read/],
    ["EXT1", pickle("\x82\x01"), /opcode EXT1/],
    ["EXT2", pickle("\x83\x01\x01"), /opcode EXT2/],
    ["EXT4", pickle("\x84\x01\0\0\0"), /opcode EXT4/],
    ["INST of a listed class", pickle("(isafe\nClass\n"), /opcode INST/],
    ["OBJ of a listed class", pickle("(", global("safe.Class"), "o"), /opcode OBJ/],
    ["NEWOBJ of a listed class", pickle(global("safe.Class"), ")\x81"), /opcode NEWOBJ,/],
    ["NEWOBJ_EX", pickle(global("safe.Class"), ")}\x92"), /opcode NEWOBJ_EX/],
    ["PERSID", pickle("Pknown\n"), /opcode PERSID/],
    ["DUP", pickle("N2"), /opcode DUP/],
    ["bytes", pickle("C\x01a"), /opcode SHORT_BINBYTES/],
    ["sets", pickle("\x8f"), /opcode EMPTY_SET/],
    ["out-of-band buffers", pickle("\x97"), /opcode NEXT_BUFFER/],
    ["LONG4 of any length", pickle("\x8b\xff\xff\xff\x7f"), /opcode LONG4/],
    ["BINUNICODE8 of any length", pickle("\x8d", u64(2n ** 62n)), /opcode BINUNICODE8/],
    ["BINBYTES8", pickle("\x8e", u64(2n ** 62n)), /opcode BINBYTES8/],
    ["a long integer", pickle("\x8a\x09123456789"), /an integer of 9 bytes, more than 8/],
    ["a long text that is not there", pickle("X", u32(0xffffffff)), /a string of 4294967295 bytes, more than 65536/],
    ["a text that is not there", pickle("X", u32(100)), /ends too soon/],
    ["a text that is not UTF-8", pickle("X", u32(1), "\xff"), /data.pkl: a string is not valid UTF-8/],
    ["a frame that is not there", pickle("\x95", u64(2n ** 62n)), /has a frame of 4611686018427387904 bytes/],
    ["a global without an end", pickle("c", "o".repeat(1000)), /a global without an end within 256 bytes/],
    ["a global that is no text", pickle("K\x05K\x05\x93"), /names a global by no string/],
    ["an empty stack", pickle("\x85"), /takes more from its stack than is there/],
    ["a stack below the mark", pickle("NN(\x86"), /takes more from its stack than is there/],
    ["a memo of what is below the mark", pickle("N(q\0"), /takes more from its stack than is there/],
    ["no mark", pickle("Nt"), /closes what it has not opened/],
    ["a memo entry that is not there", pickle("h\x05"), /the memo's entry 5, which is not there/],
    ["a huge memo entry", pickle("Nr\xff\xff\xff\xff"), /puts the memo's entry 4294967295, and 1000000 are/],
    ["elements of no list", pickle("}Na"), /appends to what is no list/],
    ["items of no dict", pickle("]NNs"), /sets items of what is no dict/],
    ["an item without a value", pickle("}(Nu"), /sets an item without a value/],
    ["a key twice", pickle(dict({ a: int(1) }), str("a"), "Ns"), /sets the key "a" of a dict twice/],
    ["a key that is a list", pickle("}]Ns"), /has a list as the key of a dict/],
    ["a key that is a dict in itself", pickle("}", PUT0, GET0, "Ns"), /has a dict as the key/],
    ["a call of no function", pickle("N)R"), /calls what is no function/],
    ["a call without a tuple", pickle(global("safe.make"), "]R"), /calls what is no function/],
    ["a call of a class", pickle(call("safe.Class")), /calls safe.Class, which is no function/],
    ["a call that fails", pickle(call("safe.fail")), /^f.bin: data.pkl, byte 15: fails$/],
    ["an OrderedDict with arguments", pickle(call("collections.OrderedDict", int(1))), /OrderedDict with arguments/],
    ["an unknown persistent id", pickle(str("x"), "Q"), /an id that is not known/],
    ["the state of a plain dict", pickle("}}b"), /the state of what is no OrderedDict/],
    ["the state of an object", pickle(call("safe.make"), "}b"), /the state of what is no OrderedDict/],
    ["a state that is no dict", pickle(call("collections.OrderedDict"), "Nb"), /the state of what is no OrderedDict/],
  ])("%s", (_, bytes, problem) => refused(bytes, problem));

  const DEEP = 100_000;
  it.each<[string, string, RegExp]>([
    ["tuples, 100 thousand deep", `)${"\x85".repeat(DEEP)}`, /nests more than 100 levels/],
    ["lists, built from outside", `${"]".repeat(DEEP)}${"a".repeat(DEEP - 1)}`, /nests more than 100 levels/],
    ["lists, more than the stack takes", "]".repeat(DEEP + 1), /puts more than 100000 values on its stack/],
    ["lists, built from inside", `]${PUT0}${`](${GET0}eq\0`.repeat(DEEP)}`, /nests more than 100 levels/],
    ["dicts", `}${"}K\x01".repeat(DEEP)}`, /puts more than 100000 values on its stack/],
    ["marks", "(".repeat(DEEP), /nests more than 100 levels/],
    [
      "two lists in each other",
      `]${PUT0}]q\x01${`h\x01${GET0}a${GET0}h\x01a`.repeat(DEEP)}`,
      /nests more than 100 levels/,
    ],
    ["a memo bomb", `)${`${PUT0}${GET0}\x86`.repeat(DEEP)}`, /nests more than 100 levels/],
  ])("%s", (_, text, problem) => refused(pickle(text), problem));

  it.each<[string, string, RegExp]>([
    ["opcodes", `](${`K\x01`.repeat(50_000)}e`.repeat(101), /has more than 5000000 opcodes/],
    ["objects", `](${`(${"]".repeat(50_000)}t`.repeat(13)}e`, /has more than 600000 objects/],
  ])("more %s than any model has", (_, text, problem) => refused(pickle(text), problem));

  it("whatever is cut off, at every byte", async () => {
    const whole = pickle(
      dict({ a: call("safe.make", int(1), int(70_000)), b: tuple(str("x"), ops("G12345678")) }),
      PUT0,
      str("c"),
      GET0,
      "s",
    );
    expect(isKind(read(whole), "dict")).toBe(true);
    for (let length = 0; length < whole.length; length++) await refused(whole.subarray(0, length), /^f.bin: /);
    await refused(concat(whole, utf8(".")), /behind its end/);
  });
});
