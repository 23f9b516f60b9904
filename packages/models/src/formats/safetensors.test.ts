import { describe, expect, it } from "vitest";
import { openSource } from "../files/open";
import { openSafetensors, readSafetensorsHeader } from "./safetensors";
import { safetensorsHeader, writeSafetensors } from "./safetensors-write";
import {
  concat,
  expectBadFile,
  inMemory,
  readRepositoryFile,
  repositoryPath,
  safetensors,
  sameBits,
  u64,
  utf8,
  values,
} from "./testing";

const TINY = "tests/fixtures/goldens/tiny";
const F = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const f32 = (shape: unknown, data_offsets: unknown) => ({ dtype: "F32", shape, data_offsets });

/** Reads a file of this header and so many bytes of data. */
const header = (text: unknown, data = 0, options = {}) =>
  readSafetensorsHeader(inMemory({ [F]: safetensors(text, data) }, options), F);

describe("real files", () => {
  it("reads the embedded model's header and tensors", async () => {
    const { files } = await openSource(repositoryPath("packages/cli/models/stories260K"));
    const { tensors, metadata } = await openSafetensors(files);
    expect(metadata).toEqual({ format: "pt" });
    const embedding = tensors.get("model.embed_tokens.weight");
    expect(embedding).toMatchObject({ dtype: "F32", shape: [512, 64], path: F, start: 4864, end: 4864 + 131072 });
    const whole = await values(files, embedding);
    const bin = readRepositoryFile("tests/fixtures/models/stories260K/stories260K.bin");
    expect(sameBits(whole, new Float32Array(bin.buffer, 28, 512 * 64))).toBe(true);
    await files.close();
  });

  it("reads a sharded checkpoint as the same tensors as the whole one", async () => {
    const whole = await openSource(repositoryPath(`${TINY}/llama-gqa`));
    const sharded = await openSource(repositoryPath(`${TINY}/llama-gqa-sharded`));
    const a = await openSafetensors(whole.files);
    const b = await openSafetensors(sharded.files);
    expect([...b.tensors.keys()].sort()).toEqual([...a.tensors.keys()].sort());
    expect(new Set([...b.tensors.values()].map((tensor) => tensor.path)).size).toBe(2);
    for (const [name, tensor] of a.tensors) {
      expect(b.tensors.get(name)?.shape).toEqual(tensor.shape);
      expect(await values(sharded.files, b.tensors.get(name))).toEqual(await values(whole.files, tensor));
    }
    await Promise.all([whole.files.close(), sharded.files.close()]);
  });

  it.each([
    ["f16", 2 ** -11],
    ["bf16", 2 ** -8],
  ])("reads %s as the rounded weights", async (kind, relative) => {
    const exact = inMemory({
      [F]: readRepositoryFile(`${TINY}/llama-gqa/${F}`),
    });
    const rounded = inMemory({
      [F]: readRepositoryFile(`${TINY}/llama-gqa-${kind}/${F}`),
    });
    const names = (await openSafetensors(exact)).tensors;
    for (const [name, tensor] of (await openSafetensors(rounded)).tensors) {
      expect(tensor.dtype).toBe(kind.toUpperCase());
      const expected = await values(exact, names.get(name));
      const got = await values(rounded, tensor);
      // Half a unit of the last place; below the normal range of binary16, of its smallest step.
      const far = got.findIndex(
        (value, i) => Math.abs(value - expected[i]) > relative * Math.abs(expected[i]) + 2 ** -25,
      );
      expect(far, name).toBe(-1);
    }
  });
});

describe("the header", () => {
  it("may be padded, hold scalars, empty tensors, every dtype, and no tensor at all", async () => {
    expect((await header("{}   ")).tensors.size).toBe(0);
    const { tensors } = await header(
      {
        a: f32([], [0, 4]),
        b: f32([3, 0], [4, 4]),
        c: { dtype: "F4", shape: [6], data_offsets: [4, 7] },
        d: { dtype: "F8_E4M3", shape: [1], data_offsets: [7, 8] },
        e: { dtype: "I64", shape: [1], data_offsets: [8, 16] },
        f: f32([0], [16, 16]),
      },
      16,
    );
    expect([...tensors.keys()]).toEqual(["a", "b", "c", "d", "e", "f"]);
    expect(tensors.get("a")?.shape).toEqual([]);
  });

  it("need not list tensors in the order of their bytes", async () => {
    const { tensors } = await header({ b: f32([1], [4, 8]), a: f32([1], [0, 4]) }, 8);
    expect([...tensors.keys()]).toEqual(["b", "a"]);
  });

  it.each<[string, unknown, number, RegExp, string | null]>([
    ["no object", "[]", 0, /does not begin with "\{"/, null],
    ["a BOM", "\ufeff{}", 0, /does not begin with "\{"/, null],
    ["no JSON", "{,}", 0, /not valid JSON/, null],
    ["deep JSON", `{"a":${"[".repeat(1e6)}`, 0, /deeper than 4 levels/, null],
    ["a name twice", '{"a":{"dtype":"U8"},"a":{}}', 0, /key "a" twice/, null],
    ["metadata that is no object", { __metadata__: [] }, 0, /"__metadata__" is no JSON object/, null],
    ["metadata that is no string", { __metadata__: { a: 1 } }, 0, /strings only, and "a" is none/, null],
    ["a tensor that is no object", { a: 5 }, 0, /is described by no JSON object/, "a"],
    ["an unknown dtype", { a: { dtype: "F31", shape: [1], data_offsets: [0, 4] } }, 4, /has the dtype "F31"/, "a"],
    ["a dtype from Object", { a: { dtype: "constructor", shape: [], data_offsets: [0, 0] } }, 0, /the dtype/, "a"],
    ["no dtype", { a: { shape: [1], data_offsets: [0, 4] } }, 4, /has the dtype undefined/, "a"],
    [
      "a wrong dtype",
      { a: { dtype: "F16", shape: [1], data_offsets: [0, 4] } },
      4,
      /has 4 bytes, and F16 \[1\] takes 2/,
      "a",
    ],
    ["half a byte", { a: { dtype: "F4", shape: [3], data_offsets: [0, 1] } }, 1, /takes 1.5/, "a"],
    ["a negative dimension", { a: f32([-1], [0, 4]) }, 4, /the shape \[-1\]/, "a"],
    ["a fractional dimension", { a: f32([0.5, 2], [0, 4]) }, 4, /the shape \[0.5,2\]/, "a"],
    ["no shape", { a: f32("1", [0, 4]) }, 4, /the shape "1"/, "a"],
    ["a count that overflows", { a: f32([2 ** 40, 2 ** 40], [0, 4]) }, 4, /too large/, "a"],
    ["a count that overflows to 0", { a: f32([2 ** 52, 2 ** 52, 0], [0, 0]) }, 0, /too large/, "a"],
    [
      "an infinite dimension",
      '{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}',
      4,
      /the shape \[null\]/,
      "a",
    ],
    ["one offset", { a: f32([1], [4]) }, 4, /data_offsets \[4\]/, "a"],
    ["three offsets", { a: f32([1], [0, 4, 8]) }, 4, /data_offsets/, "a"],
    ["negative offsets", { a: f32([1], [-4, 0]) }, 4, /data_offsets \[-4,0\]/, "a"],
    ["fractional offsets", { a: f32([1], [0.5, 4.5]) }, 4, /data_offsets/, "a"],
    ["offsets the wrong way round", { a: f32([1], [4, 0]) }, 4, /data_offsets \[4,0\]/, "a"],
    [
      "offsets beyond every file",
      {
        a: { dtype: "U8", shape: [1], data_offsets: [2 ** 53 - 2, 2 ** 53 - 1] },
      },
      1,
      /beyond every file/,
      "a",
    ],
    ["an overlap", { a: f32([2], [0, 8]), b: f32([1], [4, 8]) }, 8, /overlaps tensor "a"/, "b"],
    ["one range for two", { a: f32([1], [0, 4]), b: f32([1], [0, 4]) }, 4, /overlaps tensor "a"/, "b"],
    ["a hole", { a: f32([1], [0, 4]), b: f32([1], [8, 12]) }, 12, /leaves a hole after tensor "a"/, "b"],
    ["a hole at the start", { a: f32([1], [4, 8]) }, 8, /leaves a hole after the header/, "a"],
    [
      "too few bytes",
      { a: f32([1], [0, 4]), b: f32([2], [4, 12]) },
      11,
      /ends at byte \d+, and by its header at \d+/,
      "b",
    ],
    ["too many bytes", { a: f32([1], [0, 4]) }, 5, /has more behind its tensors/, null],
  ])("with %s is refused", (_, text, data, problem, tensor) =>
    expectBadFile(header(text, data), { file: F, tensor, problem }),
  );

  it("escapes what could drive a terminal", async () => {
    const error = await header({ "a\u001b[31m\u202e": 5 }).catch((thrown: Error) => thrown.message);
    expect(error).toBe(`${F}: tensor "a\\u{1b}[31m\\u{202e}": is described by no JSON object`);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["an empty file", new Uint8Array(0), /ends at byte 0, 8 were needed/],
    ["half a length", new Uint8Array(5), /ends at byte 5, 8 were needed/],
    ["a length beyond the file", concat(u64(100), utf8("{}")), /said to end at byte 108, and the file at 10/],
    ["a length beyond 2^53", concat(u64(2n ** 64n - 1n), utf8("{}")), /more than the 100000000/],
    ["a length beyond the limit", concat(u64(100_000_001), utf8("{}")), /more than the 100000000/],
    ["no header", u64(0), /does not begin/],
    ["a header that is no UTF-8", concat(u64(3), new Uint8Array([0x7b, 0xff, 0x7d])), /the header is not valid UTF-8/],
  ])("%s is refused", (_, file, problem) =>
    expectBadFile(readSafetensorsHeader(inMemory({ [F]: file }), F), { file: F, tensor: null, problem }),
  );

  it("is refused for a truncated file also where its size is unknown", async () => {
    const file = inMemory({ [F]: concat(u64(100), utf8("{}")) }, { sizes: false });
    await expectBadFile(readSafetensorsHeader(file, F), { file: F, problem: /ends at byte 10, 108 were needed/ });
    // A cut among the tensors shows when they are read.
    const files = inMemory({ [F]: safetensors({ a: f32([4], [0, 16]) }, 15) }, { sizes: false });
    const { tensors } = await readSafetensorsHeader(files, F);
    await expectBadFile(values(files, tensors.get("a")), { file: F, problem: /ends at byte \d+, \d+ were needed/ });
  });
});

describe("finding the files", () => {
  const one = safetensors({ a: f32([1], [0, 4]) }, 4);
  const index = (map: unknown) => JSON.stringify({ metadata: {}, weight_map: map });
  const open = (files: Record<string, Uint8Array | string>, path?: string) =>
    openSafetensors(inMemory(files), path === undefined ? {} : { path });

  it("takes model.safetensors, else the index, else the only one, else the one that is named", async () => {
    const names = async (opening: ReturnType<typeof open>) => [...(await opening).tensors.values()].map((t) => t.path);
    expect(await names(open({ [F]: one, [INDEX]: "{}" }))).toEqual([F]);
    expect(await names(open({ [INDEX]: index({ a: "x" }), x: one }))).toEqual(["x"]);
    expect(await names(open({ "other.safetensors": one, "README.md": "" }))).toEqual(["other.safetensors"]);
    expect(await names(open({ [F]: one, "b.safetensors": one }, "b.safetensors"))).toEqual(["b.safetensors"]);
    expect(await names(open({ [`sub/${INDEX}`]: index({ a: "x" }), "sub/x": one }, `sub/${INDEX}`))).toEqual(["sub/x"]);
  });

  it("says what it looked for", async () => {
    await expectBadFile(open({}), { problem: /neither model.safetensors nor model.safetensors.index.json$/ });
    await expectBadFile(open({ "a.safetensors": one, "b.safetensors": one }), {
      problem: /there are a.safe.*: name one/,
    });
    await expectBadFile(open({}, F), { file: F, problem: /no such file/ });
  });

  it.each<[string, unknown, Record<string, Uint8Array>, string, string | null, RegExp]>([
    ["no weight_map", [], {}, INDEX, null, /has no "weight_map"/],
    ["a shard that is no name", { a: 5 }, {}, INDEX, "a", /its shard 5 is no file name/],
    [
      "a shard out of the folder",
      { a: "../../etc/passwd" },
      {},
      INDEX,
      "a",
      /"..\/..\/etc\/passwd" is a path that leaves/,
    ],
    ["an absolute shard", { a: "/etc/passwd" }, {}, INDEX, "a", /absolute/],
    ["a missing shard", { a: "x", b: "y" }, { x: one }, INDEX, "b", /its shard "y" is missing/],
    ["a tensor that no shard has", { a: "x", b: "x" }, { x: one }, INDEX, "b", /is not in its shard "x"/],
    [
      "a tensor in another shard",
      { a: "x", b: "y" },
      { x: one, y: one },
      "y",
      "a",
      /model.safetensors.index.json has it in "x"/,
    ],
    [
      "a tensor that it does not name",
      { b: "x" },
      { x: one },
      "x",
      "a",
      /model.safetensors.index.json does not name it/,
    ],
    ["a damaged shard", { a: "x" }, { x: one.subarray(0, 20) }, "x", null, /truncated/],
  ])("refuses an index with %s", (_, map, shards, file, tensor, problem) =>
    expectBadFile(open({ [INDEX]: index(map), ...shards }), { file, tensor, problem }),
  );

  it("refuses an index of 10,000 shards before it reads one", () =>
    expectBadFile(
      open({
        [INDEX]: index(Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`t${i}`, `s${i}`]))),
      }),
      { problem: /names 10000 shards/ },
    ));
});

describe("writing", () => {
  const tensors = [
    { name: "b", shape: [2, 3], data: new Float32Array([1, 2, 3, 4, 5, Number.NaN]) },
    { name: "0", shape: [], data: new Float32Array([-0]) },
    { name: "__proto__", shape: [0, 5], data: new Float32Array(0) },
    { name: "layers.*.ü\n", shape: [1], data: new Float32Array([0, 7]).subarray(1) },
  ];

  it("gives what the reader reads, in the given order, aligned to 8 bytes", async () => {
    const file = writeSafetensors(tensors, { made: "here" });
    const files = inMemory({ [F]: file });
    const read = await openSafetensors(files);
    expect(read.metadata).toEqual({ made: "here" });
    const inFile = [...read.tensors.values()].sort((a, b) => a.start - b.start || a.end - b.end);
    expect(inFile.map((tensor) => tensor.name)).toEqual(tensors.map((tensor) => tensor.name));
    for (const { name, shape, data } of tensors) {
      expect(read.tensors.get(name)?.shape).toEqual(shape);
      expect(await values(files, read.tensors.get(name))).toEqual(data);
    }
    expect(read.tensors.get("b")!.start % 8).toBe(0);
    expect(file.subarray(0, safetensorsHeader(tensors, { made: "here" }).length)).toEqual(
      safetensorsHeader(tensors, { made: "here" }),
    );
  });

  it("writes a file without tensors", async () => {
    expect((await openSafetensors(inMemory({ [F]: writeSafetensors([]) }))).tensors.size).toBe(0);
  });

  it("refuses names and shapes that no file can have", () => {
    const data = new Float32Array(2);
    expect(() => writeSafetensors([{ name: "a", shape: [3], data }])).toThrow(
      /"a" has 2 elements, and its shape \[3\] 3/,
    );
    expect(() => writeSafetensors([{ name: "a", shape: [-2], data }])).toThrow(TypeError);
    expect(() => writeSafetensors([{ name: "__metadata__", shape: [2], data }])).toThrow(TypeError);
    const twice = { name: "a", shape: [2], data };
    expect(() => writeSafetensors([twice, twice])).toThrow(TypeError);
  });
});
