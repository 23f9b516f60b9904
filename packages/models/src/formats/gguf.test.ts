import { describe, expect, it } from "vitest";
import { ModelFileError, UnsupportedModelError } from "../errors";
import { openSource } from "../files/open";
import { identifyModel } from "../model-files";
import { type Gguf, openGguf } from "./gguf";
import {
  concat,
  expectBadFile,
  type GgufParts,
  gguf,
  inMemory,
  repositoryPath,
  text,
  u32,
  u64,
  values,
} from "./testing";

const F = "model.gguf";
const open = (parts: GgufParts | Uint8Array, options = {}): Promise<Gguf> =>
  openGguf(inMemory({ [F]: parts instanceof Uint8Array ? parts : gguf(parts) }, options), F);
const key = (name: string, type: number, ...value: Uint8Array[]) => [name, type, concat(...value)] as const;
const array = (type: number, length: number | bigint, ...elements: Uint8Array[]) =>
  concat(u32(type), u64(length), ...elements);
const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

describe("real files", () => {
  it("reads stories260K", async () => {
    const { files, file } = await openSource(repositoryPath("tests/fixtures/models/stories260K/stories260K.gguf"));
    const { version, metadata, tensors, alignment } = await openGguf(files, file!);
    expect([version, alignment, metadata.size, tensors.size]).toEqual([3, 32, 19, 48]);
    expect(metadata.get("general.architecture")).toBe("llama");
    expect(metadata.get("llama.embedding_length")).toBe(64);
    expect((metadata.get("tokenizer.ggml.tokens") as string[]).slice(0, 4)).toEqual(["<unk>", "<s>", "</s>", "<0x00>"]);
    expect(metadata.get("tokenizer.ggml.scores")).toBeInstanceOf(Float32Array);
    expect(tensors.get("blk.0.ffn_gate.weight")).toMatchObject({ dtype: "F32", ggmlType: 0, shape: [172, 64] });
    await files.close();
  });

  const folder = process.env.QKV_MODELS;
  const smollm2 = `${folder}/SmolLM2-135M-Instruct-Q4_1.gguf`;
  // Set but missing is a failure, not a skip.
  it.skipIf(!folder)("reads SmolLM2's header, and its tensors", async () => {
    const { files, file } = await openSource(smollm2);
    const { metadata, tensors } = await openGguf(files, file!);
    expect((metadata.get("tokenizer.ggml.tokens") as string[]).length).toBe(49152);
    expect(tensors.get("token_embd.weight")?.shape).toEqual([49152, 576]);
    const dtypes = new Set([...tensors.values()].map((tensor) => tensor.dtype));
    expect([...dtypes].sort()).toEqual(["F32", "Q4_1", "Q8_0"]);
    const norm = await values(files, tensors.get("output_norm.weight"));
    expect(norm.every((value) => Number.isFinite(value))).toBe(true);
    await files.close();
  });
});

describe("metadata", () => {
  it("has all thirteen types", async () => {
    const { metadata } = await open({
      version: 2,
      keys: [
        key("u8", 0, new Uint8Array([200])),
        key("i8", 1, new Uint8Array([200])),
        key("u16", 2, bytes(new Uint16Array([60000]))),
        key("i16", 3, bytes(new Int16Array([-6000]))),
        key("u32", 4, u32(4e9)),
        key("i32", 5, bytes(new Int32Array([-2e9]))),
        key("f32", 6, bytes(new Float32Array([0.1]))),
        key("true", 7, new Uint8Array([1])),
        key("false", 7, new Uint8Array([0])),
        key("string", 8, text("\ufeffü")),
        key("empty", 8, text("")),
        key("array", 9, array(0, 2, new Uint8Array([1, 2]))),
        key("u64", 10, u64(2 ** 53 - 1)),
        key("big u64", 10, u64(2n ** 64n - 1n)),
        key("i64", 11, u64(BigInt.asUintN(64, -5n))),
        key("big i64", 11, u64(2n ** 63n)),
        key("f64", 12, bytes(new Float64Array([0.1]))),
      ],
    });
    expect(Object.fromEntries(metadata)).toEqual({
      ...{ u8: 200, i8: -56, u16: 60000, i16: -6000, u32: 4e9, i32: -2e9, f32: Math.fround(0.1), f64: 0.1 },
      ...{ true: true, false: false, string: "\ufeffü", empty: "", array: new Uint8Array([1, 2]) },
      ...{ u64: 2 ** 53 - 1, "big u64": 2n ** 64n - 1n, i64: -5, "big i64": -(2n ** 63n) },
    });
  });

  it("has arrays of each, also nested, at any alignment", async () => {
    const { metadata } = await open({
      keys: [
        key("x", 9, array(6, 2, bytes(new Float32Array([1.5, -2])))),
        key("i64", 9, array(11, 2, bytes(new BigInt64Array([-1n, 2n ** 62n])))),
        key("strings", 9, array(8, 3, text("a"), text(""), text("ü"))),
        key("bools", 9, array(7, 2, new Uint8Array([1, 0]))),
        key("none", 9, array(8, 0)),
        key("nested", 9, array(9, 2, array(8, 1, text("a")), array(5, 2, bytes(new Int32Array([1, -1]))))),
      ],
    });
    expect([...metadata.values()]).toEqual([
      new Float32Array([1.5, -2]),
      new BigInt64Array([-1n, 2n ** 62n]),
      ["a", "", "ü"],
      [true, false],
      [],
      [["a"], new Int32Array([1, -1])],
    ]);
  });

  it("goes on with a longer prefix where the first megabyte ends, at every kind of place", async () => {
    const tokens = Array.from({ length: 100_000 }, (_, i) => `token ${i}`);
    const keys = [
      key("pad", 8, text("x".repeat(1024 * 1024 - 60))),
      key("tokens", 9, u32(8), u64(tokens.length), ...tokens.slice(0, 10).map(text)),
    ];
    const rest = new TextEncoder().encode(
      tokens
        .slice(10)
        .map((token) => `${String.fromCharCode(token.length)}\0\0\0\0\0\0\0${token}`)
        .join(""),
    );
    const file = concat(
      gguf({ keys, keyCount: 2 }).subarray(0, 24),
      ...keys.flatMap(([name, type, value]) => [text(name), u32(type), value]),
    );
    const whole = new Uint8Array(file.length + rest.length);
    whole.set(file);
    whole.set(rest, file.length);
    for (const sizes of [true, false]) {
      const { metadata } = await open(whole, { sizes });
      expect((metadata.get("tokens") as string[]).join()).toBe(tokens.join());
      await expectBadFile(open(whole.subarray(0, whole.length - 1), { sizes }), {
        problem: /in metadata key "tokens"/,
      });
    }
  });

  it.each<[string, GgufParts | Uint8Array, RegExp]>([
    ["an empty file", new Uint8Array(0), /ends at byte 0/],
    ["another magic", new Uint8Array(64).fill(65), /does not begin with "GGUF"/],
    ["10^9 keys", { keyCount: 1e9 }, /has 1000000000 metadata keys, more than 65536/],
    ["2^64 - 1 keys", { keyCount: 2n ** 64n - 1n }, /metadata keys, more than/],
    ["10^9 tensors", { tensorCount: 1e9 }, /has 1000000000 tensors, more than 100000/],
    [
      "more keys than bytes",
      { keyCount: 1000 },
      /has 1000 metadata keys, more than the \d+ bytes behind that can hold/,
    ],
    ["more tensors than bytes", { tensorCount: 1000 }, /has 1000 tensors, more than the \d+ bytes/],
    ["a key twice", { keys: [key("a", 4, u32(1)), key("a", 4, u32(1))] }, /metadata key "a" is there twice/],
    ["an unknown value type", { keys: [key("a", 13, u64(0))] }, /metadata key "a" has the value type 13/],
    ["an unknown element type", { keys: [key("a", 9, array(99, 0))] }, /has elements of type 99/],
    ["a bool of 2", { keys: [key("a", 7, new Uint8Array([2]))] }, /a bool of 2/],
    ["a string beyond the file", { keys: [key("a", 8, u64(1e6))] }, /ends at byte \d+, in metadata key "a"/],
    ["a string of 2^40 bytes", { keys: [key("a", 8, u64(2 ** 40))] }, /a string of 1099511627776 bytes/],
    [
      "a string of 2^64 - 1 bytes",
      { keys: [key("a", 8, u64(2n ** 64n - 1n))] },
      /18446744073709551615: that is too large/,
    ],
    [
      "a string that is no UTF-8",
      { keys: [key("a", 8, u64(1), new Uint8Array([255]))] },
      /metadata key "a" is not valid UTF-8/,
    ],
    [
      "an array of 10^9 strings",
      { keys: [key("a", 9, array(8, 1e9))] },
      /1000000000 elements in metadata key "a", more than/,
    ],
    ["an array of 10^6 strings in no bytes", { keys: [key("a", 9, array(8, 1e6))] }, /more than the \d+ bytes behind/],
    ["an array of 10^6 floats in no bytes", { keys: [key("a", 9, array(6, 1e6))] }, /more than the \d+ bytes behind/],
    [
      "deep arrays",
      {
        keys: [key("a", 9, ...Array.from({ length: 1000 }, () => array(9, 1)))],
      },
      /deeper than 4 levels/,
    ],
    ["an alignment of 0", { keys: [key("general.alignment", 4, u32(0))] }, /general.alignment of 0/],
    ["an odd alignment", { keys: [key("general.alignment", 4, u32(33))] }, /general.alignment of 33/],
    ["a text for an alignment", { keys: [key("general.alignment", 8, text("32"))] }, /general.alignment of "32"/],
  ])("with %s is refused, at once", async (_, parts, problem) => {
    // What it promises is huge: a reader that believed it would not come back before the test's own limit.
    await expectBadFile(open(parts), { file: F, tensor: null, problem });
    await expectBadFile(open(parts, { sizes: false }), { file: F });
  });

  it("is refused where it promises 60,000 keys of a huge file", async () => {
    const keys = [key("a", 9, array(0, 4e6))];
    const huge = inMemory({ [F]: gguf({ keys, keyCount: 60_000 }) }, { sizes: { [F]: 2 ** 40 } });
    await expectBadFile(openGguf(huge, F), { file: F, problem: /metadata key/ });
  });

  it.each<[string, GgufParts | Uint8Array, RegExp]>([
    ["version 1", { version: 1 }, /^model.gguf: GGUF version 1 is not supported \(supported: 2, 3\)/],
    ["version 4", { version: 4 }, /GGUF version 4 is not supported/],
    ["version 0", { version: 0 }, /GGUF version 0 is not supported/],
    ["big-endian", { version: 0x03000000 }, /GGUF byte order "big-endian" is not supported/],
    [
      "split in parts",
      { keys: [key("split.count", 2, new Uint8Array([3, 0]))] },
      /split.count 3 is not supported.*merge/,
    ],
  ])("%s is refused by name", async (_, parts, message) => {
    await expect(open(parts)).rejects.toThrow(UnsupportedModelError);
    await expect(open(parts)).rejects.toThrow(message);
  });
});

describe("tensors", () => {
  const t = (name: string, dims: readonly (number | bigint)[], type = 0, offset: number | bigint = 0) => ({
    name,
    dims,
    type,
    offset,
  });

  it("are row-major, at their place in the file", async () => {
    const tensors = [t("a", [64, 2], 2), t("b", [3], 0, 96), t("c", [], 1, 128), t("d", [0, 7], 8, 160)];
    const file = gguf({ tensors, data: 160 });
    const opened = await open(file);
    const data = file.length - 160;
    expect(data % 32).toBe(0);
    expect([...opened.tensors.values()]).toEqual([
      { name: "a", dtype: "Q4_0", ggmlType: 2, shape: [2, 64], path: F, start: data, end: data + 72 },
      { name: "b", dtype: "F32", ggmlType: 0, shape: [3], path: F, start: data + 96, end: data + 108 },
      { name: "c", dtype: "F16", ggmlType: 1, shape: [], path: F, start: data + 128, end: data + 130 },
      { name: "d", dtype: "Q8_0", ggmlType: 8, shape: [7, 0], path: F, start: data + 160, end: data + 160 },
    ]);
  });

  it("follow general.alignment", async () => {
    const keys = [key("general.alignment", 4, u32(4096))];
    const file = gguf({ keys, tensors: [t("a", [1]), t("b", [1], 0, 4096)], alignment: 4096, data: 4100 });
    const { tensors, alignment } = await open(file);
    expect([alignment, tensors.get("b")?.start]).toEqual([4096, 8192]);
    await expectBadFile(open({ keys, tensors: [t("a", [1], 0, 32)], alignment: 4096, data: 64 }), { tensor: "a" });
  });

  it("of a type that is not decoded fail only when they are read", async () => {
    const files = inMemory({
      [F]: gguf({ tensors: [t("a", [256], 13), t("b", [1], 0, 192)], data: 196 }),
    });
    const { tensors } = await openGguf(files, F);
    expect(tensors.get("a")).toMatchObject({ dtype: "Q5_K", ggmlType: 13 });
    expect(await values(files, tensors.get("b"))).toEqual(new Float32Array(1));
    await expect(values(files, tensors.get("a"))).rejects.toThrow(
      /tensor "a": dtype "Q5_K" is not supported.*ggml type 13/,
    );
  });

  it("of a type that ggml does not have are refused", async () => {
    const opening = open({ tensors: [t("a", [256], 99)], data: 1000 });
    await expect(opening).rejects.toThrow(UnsupportedModelError);
    await expect(opening).rejects.toThrow(/^model.gguf: tensor "a": ggml type 99 is not supported/);
  });

  it.each<[string, GgufParts, string | null, RegExp]>([
    ["a name twice", { tensors: [t("a", [1]), t("a", [1])], data: 4 }, "a", /is there twice/],
    ["five dimensions", { tensors: [t("a", [1, 1, 1, 1, 1])], data: 4 }, "a", /has 5 dimensions, more than 4/],
    [
      "part of a block",
      { tensors: [t("a", [48, 2], 2)], data: 100 },
      "a",
      /rows of 48 elements: Q4_0 needs a multiple of 32/,
    ],
    ["a scalar block", { tensors: [t("a", [], 14)], data: 210 }, "a", /rows of 1 elements: Q6_K needs/],
    ["a shape that overflows", { tensors: [t("a", [2 ** 40, 2 ** 40])], data: 4 }, "a", /too large/],
    [
      "a dimension beyond 2^53",
      { tensors: [t("a", [2n ** 63n])], data: 4 },
      "a",
      /9223372036854775808: that is too large/,
    ],
    ["an offset beyond 2^53", { tensors: [t("a", [1], 0, 2n ** 64n - 32n)], data: 4 }, "a", /that is too large/],
    ["an offset beyond the file", { tensors: [t("a", [1], 0, 32)], data: 32 }, "a", /the file ends at \d+/],
    ["an end beyond the file", { tensors: [t("a", [9])], data: 32 }, "a", /the file ends at \d+/],
    [
      "an unaligned offset",
      { tensors: [t("a", [1], 0, 8)], data: 32 },
      "a",
      /at offset 8: a multiple of the alignment 32/,
    ],
    ["an overlap", { tensors: [t("a", [9]), t("b", [1], 0, 32)], data: 64 }, "b", /overlaps tensor "a"/],
    ["one range for two", { tensors: [t("a", [1]), t("b", [1])], data: 64 }, "b", /overlaps tensor "a"/],
    [
      "a name of 2000 bytes",
      { tensors: [t("a".repeat(2000), [1])], data: 64 },
      null,
      /a string of 2000 bytes, more than 1024/,
    ],
  ])("with %s are refused", (_, parts, tensor, problem) => expectBadFile(open(parts), { file: F, tensor, problem }));
});

describe("numbers and arrays that turn against their reader", () => {
  // [u32 type][u64 length][elements]
  const array = (type: number, elements: readonly Uint8Array[]) => {
    const bytes = new Uint8Array(elements.reduce((sum, element) => sum + element.length, 0));
    let at = 0;
    for (const element of elements) {
      bytes.set(element, at);
      at += element.length;
    }
    return concat(u32(type), u64(elements.length), bytes);
  };

  it("64-bit integers where another value is expected are named like any other", async () => {
    const big = array(10, [u64(2n ** 60n), u64(3)]);
    for (const name of ["general.alignment", "general.architecture"]) {
      const { files, file } = await openSource(
        new Blob([gguf({ keys: [key(name, 9, big)] }) as Uint8Array<ArrayBuffer>]),
      );
      const error = await identifyModel({ files, file }, {}).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ModelFileError);
      expect(String(error)).toContain("1152921504606846976");
    }
  });

  it("arrays in arrays are few", async () => {
    const empty = array(4, []);
    const nested = array(9, new Array(70_000).fill(empty));
    await expectBadFile(open({ keys: [key("x", 9, nested)] }), {
      file: F,
      problem: /more than 65536 arrays inside of arrays/,
    });
    await expect(open({ keys: [key("x", 9, array(9, new Array(100).fill(empty)))] })).resolves.toBeDefined();
  });
});
