import { describe, expect, it } from "vitest";
import { ModelFileError, UnsupportedModelError } from "../errors";
import { openSource } from "../files/open";
import { openPytorch, usualPytorch } from "./pytorch";
import {
  call,
  checkpoint,
  dict,
  floats,
  global,
  int,
  ops,
  orderedDict,
  pickle,
  storage,
  str,
  tensor,
  tuple,
  zip,
} from "./pytorch-testing";
import { openSafetensors } from "./safetensors";
import { expectBadFile, inMemory, readRepositoryFile, repositoryPath, sameBits, utf8, values } from "./testing";

const F = "pytorch_model.bin";
const INDEX = "pytorch_model.bin.index.json";
const open = (file: Uint8Array, options = {}) => openPytorch(inMemory({ [F]: file }, options), F);
const fixture = async (name: string) => {
  const { files, file } = await openSource(repositoryPath(`tests/fixtures/${name}`));
  return { files, opened: openPytorch(files, file!) };
};
const count = (length: number, start = 0) => Array.from({ length }, (_, i) => start + i);

async function refusedAs(
  opening: Promise<unknown>,
  kind: typeof ModelFileError | typeof UnsupportedModelError,
  problem: RegExp,
  tensorName: string | null = null,
): Promise<void> {
  const error = await opening.then(
    () => new Error("it was read"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(kind);
  expect((error as Error).message).toMatch(problem);
  expect((error as ModelFileError).file).toBe(F);
  expect((error as ModelFileError).tensor).toBe(tensorName);
}

// tests/fixtures/pytorch/make.py has what is in them.
describe("files that PyTorch wrote", () => {
  it.each(["state-dict.bin", "protocol-4.bin"])("%s: a state dict with tied weights and buffers", async (name) => {
    const { files, opened } = await fixture(`pytorch/${name}`);
    const { tensors } = await opened;
    expect([...tensors.keys()]).toEqual([
      "embedding.weight",
      "norm.weight",
      "norm.bias",
      "norm.running_mean",
      "norm.running_var",
      "norm.num_batches_tracked",
      "head.weight",
      "head.bias",
    ]);
    expect([...(await values(files, tensors.get("embedding.weight")))]).toEqual(count(15));
    expect([...(await values(files, tensors.get("norm.weight")))]).toEqual([20, 21, 22]);
    expect([...(await values(files, tensors.get("norm.running_var")))]).toEqual([1, 1, 1]);
    expect([...(await values(files, tensors.get("head.bias")))]).toEqual(count(5, 30));
    const { name: _, ...embedding } = tensors.get("embedding.weight")!;
    expect(tensors.get("head.weight")).toEqual({ name: "head.weight", ...embedding });
    expect(tensors.get("norm.num_batches_tracked")).toMatchObject({ dtype: "I64", shape: [] });
    await expect(values(files, tensors.get("norm.num_batches_tracked"))).rejects.toThrow(
      /dtype "I64" is not supported/,
    );
    await files.close();
  });

  it("values.bin: every dtype, a parameter, views, nothing, and a scalar", async () => {
    const { files, opened } = await fixture("pytorch/values.bin");
    const { tensors } = await opened;
    const bytes = readRepositoryFile("tests/fixtures/pytorch/values.bin");
    const raw = (name: string) => bytes.slice(tensors.get(name)!.start, tensors.get(name)!.end);
    expect([...(await values(files, tensors.get("f16")))]).toEqual([0, 1, 2, 3]);
    expect([...(await values(files, tensors.get("bf16")))]).toEqual([0, 1, 2, 3]);
    expect([...new Float64Array(raw("f64").buffer)]).toEqual([0, 1, 2, 3]);
    expect([...new Int32Array(raw("i32").buffer)]).toEqual([0, 1, 2, 3]);
    expect([...new Int16Array(raw("i16").buffer)]).toEqual([0, 1, 2, 3]);
    expect([...raw("i8")]).toEqual([0, 1, 2, 3]);
    expect([...raw("u8")]).toEqual([0, 1, 2, 3]);
    expect([...raw("bool")]).toEqual([0, 1, 1, 1]);
    expect(
      [...tensors.values()]
        .slice(0, 8)
        .map(({ dtype }) => dtype)
        .join(),
    ).toBe("F16,BF16,F64,I32,I16,I8,U8,BOOL");
    expect([...(await values(files, tensors.get("parameter")))]).toEqual(count(4, 40));
    expect([...(await values(files, tensors.get("base")))]).toEqual(count(12, 100));
    expect([...(await values(files, tensors.get("view")))]).toEqual(count(6, 103));
    expect([...(await values(files, tensors.get("one row of many")))]).toEqual(count(3, 100));
    expect(tensors.get("one row of many")?.shape).toEqual([1, 3]);
    expect([...(await values(files, tensors.get("empty")))]).toEqual([]);
    expect(tensors.get("empty")?.shape).toEqual([0, 3]);
    expect([...(await values(files, tensors.get("scalar")))]).toEqual([7]);
    await files.close();
  });

  it("llama-gqa-bin: the same numbers as its safetensors, and the tied head besides", async () => {
    const { files, opened } = await fixture(`goldens/tiny/llama-gqa-bin/${F}`);
    const { tensors } = await opened;
    const twin = inMemory({
      "model.safetensors": readRepositoryFile("tests/fixtures/goldens/tiny/llama-gqa/model.safetensors"),
    });
    const expected = (await openSafetensors(twin)).tensors;
    const head = "lm_head.weight";
    const embedding = tensors.get("model.embed_tokens.weight");
    expect(tensors.get(head)).toEqual({ ...embedding, name: head });
    tensors.delete(head);
    expect([...tensors.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, entry] of tensors) {
      expect(sameBits(await values(files, entry), await values(twin, expected.get(name))), name).toBe(true);
    }
    await files.close();
  });

  it.each<[string, RegExp, string | null]>([
    ["transposed.bin", /tensor "transposed": strides \[1,3\] is not supported.*contiguous\(\)/, "transposed"],
    [
      "training.bin",
      /content "a dict of model, optimizer, epoch" is not .*its "model" has 8 tensors: .*\["model"\]/,
      null,
    ],
    ["module.bin", /the Python name "torch.nn.modules.linear.Linear" is not .*torch.save\(model.state_dict\(\)/, null],
    ["before-1.6.bin", /file format "torch.save before PyTorch 1.6" .*torch.save\(torch.load\(FILE, weights/, null],
    ["torchscript.pt", /file format "TorchScript" is not supported.*torch.jit.load\(FILE\).state_dict\(\)/, null],
  ])("%s is refused, with what to do", async (name, problem, tensorName) => {
    const { files, opened } = await fixture(`pytorch/${name}`);
    const error: unknown = await opened.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect((error as UnsupportedModelError).message).toMatch(problem);
    expect((error as UnsupportedModelError).message.startsWith(`${name}: `)).toBe(true);
    expect((error as UnsupportedModelError).tensor).toBe(tensorName);
    await files.close();
  });
});

describe("checkpoints", () => {
  const one = pickle(dict({ a: tensor() }));

  it("may lack byteorder and version, and may be read from a source without sizes", async () => {
    for (const more of [{}, { version: "3\n" }, { byteorder: "little", version: "10" }] as Record<string, string>[]) {
      for (const sizes of [true, false]) {
        const files = inMemory({ [F]: checkpoint(one, undefined, more) }, { sizes });
        const { tensors } = await openPytorch(files, F);
        expect([...(await values(files, tensors.get("a")))]).toEqual([1, 2, 3, 4, 5, 6]);
      }
    }
  });

  it("may be empty, of plain or ordered dicts, and of sizes past 2 GiB", async () => {
    expect((await open(checkpoint(pickle("}")))).tensors.size).toBe(0);
    expect((await open(checkpoint(pickle(orderedDict(), "}b")))).tensors.size).toBe(0);
    const length = 2 ** 33;
    const big = pickle(dict({ a: tensor({ length, shape: [2 ** 20, 2 ** 13] }) }));
    await refusedAs(open(checkpoint(big)), ModelFileError, /has 24 bytes, and is said to have 34359738368$/, "a");
  });

  it("take free strides where a size is 1 or 0", async () => {
    const shapes = { a: tensor({ shape: [1, 6], strides: [77, 1] }), b: tensor({ shape: [6, 1], strides: [1, 9] }) };
    const empty = {
      c: tensor({ shape: [0, 2 ** 40, 2 ** 40], strides: [5, 5, 5] }),
      d: tensor({ shape: [1], offset: 5 }),
    };
    const { tensors } = await open(checkpoint(pickle(dict({ ...shapes, ...empty }))));
    expect([...tensors.values()].map(({ start, end }) => end - start)).toEqual([24, 24, 0, 4]);
  });

  it("read no storage before it is asked for", async () => {
    const long = new Uint8Array(1_000_000);
    const body = pickle(dict({ a: tensor({ length: 250_000, shape: [250_000] }) }));
    const files = inMemory({ [F]: checkpoint(body, { "0": long }) });
    let bytes = 0;
    const { readSome } = files;
    files.readSome = (path, start, end, options) => {
      bytes += end - start;
      return readSome.call(files, path, start, end, options);
    };
    await openPytorch(files, F);
    expect(bytes).toBeLessThan(70_000); // the end of the file, where the directory is, and headers
  });

  it("are found by the usual names, in a folder too", async () => {
    expect(await usualPytorch(inMemory({ [F]: "", [INDEX]: "" }))).toBe(F);
    expect(await usualPytorch(inMemory({ [INDEX]: "" }))).toBe(INDEX);
    expect(await usualPytorch(inMemory({ [`sub/${F}`]: "" }), "sub/")).toBe(`sub/${F}`);
    expect(await usualPytorch(inMemory({ "model.bin": "" }))).toBeNull();
  });

  it("may be in shards", async () => {
    const index = (map: Record<string, string>) => JSON.stringify({ metadata: {}, weight_map: map });
    const two = checkpoint(pickle(dict({ b: tensor({ shape: [6] }) })), { "0": floats(6, 5, 4, 3, 2, 1) });
    const files = inMemory({ "x.bin": checkpoint(one), "y.bin": two, [INDEX]: index({ a: "x.bin", b: "y.bin" }) });
    const { tensors } = await openPytorch(files, INDEX);
    expect([...(await values(files, tensors.get("b")))]).toEqual([6, 5, 4, 3, 2, 1]);
    expect(tensors.get("a")?.path).toBe("x.bin");
    const wrong = inMemory({ "x.bin": checkpoint(one), [INDEX]: index({ b: "x.bin" }) });
    await expectBadFile(openPytorch(wrong, INDEX), {
      file: "x.bin",
      tensor: "a",
      problem: /index.json does not name it/,
    });
    const old = readRepositoryFile("tests/fixtures/pytorch/before-1.6.bin");
    const outdated = inMemory({ "x.bin": old, [INDEX]: index({ a: "x.bin" }) });
    await expect(openPytorch(outdated, INDEX)).rejects.toThrow(/^x.bin: file format "torch.save before PyTorch 1.6"/);
  });
});

describe("a checkpoint is refused", () => {
  const HUGE = Number.MAX_SAFE_INTEGER;
  const tensors: [string, Parameters<typeof tensor>[0], RegExp][] = [
    ["a storage that is not there", { key: "2" }, /storage "2" is not in the file/],
    ["a storage out of the archive's folder", { key: "../version" }, /storage "\.\.\/version" is not in the file/],
    ["a storage that is larger than it says", { length: 5 }, /storage "0" has 24 bytes, and is said to have 20/],
    ["a storage that is smaller than it says", { length: 7, shape: [7] }, /has 24 bytes, and is said to have 28/],
    ["a storage of another type", { type: "torch.DoubleStorage" }, /has 24 bytes, and is said to have 48/],
    ["a storage of no size that is exact", { length: HUGE }, /has 24 bytes, and is said to have/],
    ["a shape larger than the storage", { shape: [7] }, /has 6 elements, too few for the shape \[7\] from element 0/],
    ["a view past the storage", { shape: [2], offset: 5 }, /too few for the shape \[2\] from element 5/],
    ["an offset past everything", { shape: [0], offset: HUGE }, /too few for the shape \[0\] from element 9007/],
    ["sizes whose product is not exact", { shape: [2 ** 30, 2 ** 30], strides: [2 ** 30, 1] }, /too few for the shape/],
    ["sizes past what is exact, before strides", { shape: [2, 2 ** 40, 2 ** 40], strides: [5, 2 ** 40, 1] }, /too few/],
    ["sizes whose product is 0 in 64 bits", { shape: [2 ** 32, 2 ** 32], strides: [2 ** 32, 1] }, /too few/],
  ];
  it.each(tensors)("for %s, by the tensor's name", (_, parts, problem) => {
    const body = dict({ sound: tensor({ key: "1" }), a: tensor(parts) });
    const six = floats(1, 2, 3, 4, 5, 6);
    return refusedAs(open(checkpoint(pickle(body), { "0": six, "1": six })), ModelFileError, problem, "a");
  });

  it.each<[string, readonly number[]]>([
    ["columns", [1, 2]],
    ["a broadcast", [0, 1]],
    ["gaps", [4, 1]],
  ])("for strides of %s", (_, strides) =>
    refusedAs(open(checkpoint(pickle(dict({ a: tensor({ strides }) })))), UnsupportedModelError, /strides/, "a"),
  );

  const NO_HOOKS = ops("\x89", orderedDict());
  const pickles: [string, Uint8Array, RegExp][] = [
    [
      "two ways of one storage",
      dict({ a: tensor(), b: tensor({ type: "torch.LongStorage" }) }),
      /describes storage "0" as torch.FloatStorage of 6 and as torch.LongStorage of 6/,
    ],
    [
      "two lengths of one storage",
      dict({ a: tensor(), b: tensor({ length: 5 }) }),
      /as torch.FloatStorage of 6 and as/,
    ],
    ["hooks", dict({ a: tensor({ rest: [ops("\x89"), dict({ a: int(1) })] }) }), /a tensor with hooks or metadata/],
    [
      "metadata",
      dict({ a: tensor({ rest: [NO_HOOKS, dict({ neg: ops("\x88") })] }) }),
      /a tensor with hooks or metadata/,
    ],
    ["more arguments", dict({ a: tensor({ rest: [NO_HOOKS, ops("}"), ops("N")] }) }), /sizes, strides or an offset/],
    ["fewer arguments", dict({ a: tensor({ rest: [] }) }), /sizes, strides or an offset/],
    ["no strides", dict({ a: tensor({ strides: [] }) }), /sizes, strides or an offset/],
    [
      "more dimensions than there are",
      dict({ a: tensor({ shape: Array<number>(65).fill(1) }) }),
      /sizes, strides or an offset/,
    ],
    ["a tensor of no storage", dict({ a: call("torch._utils._rebuild_tensor_v2", int(1)) }), /a tensor of no storage/],
    ["a tensor of a tensor", dict({ a: call("torch._utils._rebuild_tensor_v2", tensor()) }), /a tensor of no storage/],
    [
      "a parameter of a storage",
      dict({ a: call("torch._utils._rebuild_parameter", storage(), NO_HOOKS) }),
      /parameter of no/,
    ],
    ["a called class", dict({ a: call("torch.FloatStorage") }), /calls torch.FloatStorage, which is no function/],
    [
      "a persistent id of six parts",
      ops(tuple(str("storage"), global("torch.FloatStorage"), str("0"), str("cpu"), int(6), ops("N")), "Q"),
      /persistent id that describes no storage/,
    ],
    ["no persistent id", ops("NQ"), /persistent id that describes no storage/],
    ["another persistent id", ops(tuple(str("module"), str("x")), "Q"), /persistent id that describes no storage/],
    [
      "a storage of no class",
      ops(tuple(str("storage"), str("torch.FloatStorage"), str("0"), str("cpu"), int(6)), "Q"),
      /persistent id/,
    ],
    [
      "a storage of a function",
      ops(tuple(str("storage"), global("torch._utils._rebuild_tensor_v2"), str("0"), str("cpu"), int(6)), "Q"),
      /persistent id/,
    ],
    ["a storage of less than nothing", storage({ length: -1 }), /persistent id that describes no storage/],
    ["a storage of more than is exact", storage({ length: 2 ** 60 }), /persistent id that describes no storage/],
    ["a key that is no name", ops("}", int(5), tensor(), "s"), /has the key 5 in its state dict/],
  ];
  it.each(pickles)("for %s", (_, body, problem) => refusedAs(open(checkpoint(pickle(body))), ModelFileError, problem));

  it.each<[string, Uint8Array, RegExp]>([
    ["a number", int(5), /is the number 5, where a tensor was expected/],
    ["a list", ops("](K\x01K\x02e"), /is a list of 2, where/],
    ["a list that contains itself", ops("]q\x07h\x07a"), /is a list of 1, where/],
    ["a dict", dict({ x: int(1) }), /is a dict of 1, where/],
    ["a storage", storage(), /is a storage, where/],
    ["nothing", ops("N"), /is None, where/],
  ])("for %s among its tensors", (_, value, problem) =>
    refusedAs(open(checkpoint(pickle(dict({ ok: tensor(), a: value })))), ModelFileError, problem, "a"),
  );

  it.each<[string, Uint8Array, RegExp]>([
    ["one tensor", tensor(), /content "one tensor" is not supported \(supported: a dict of tensors by name\)/],
    ["a list", ops("]", tensor(), "a"), /content "a list of 1"/],
    ["a list that contains itself", ops("]q\0h\0a"), /content "a list of 1"/],
    [
      "a wrapped state dict",
      dict({ state_dict: dict({ a: tensor() }) }),
      /its "state_dict" has 1 tensors: .*\["state_dict"\]/,
    ],
    [
      "a dict of something else",
      dict({ a: int(1), "b\u001b": int(2) }),
      /"a dict of a, b\\u001b" .*save the model's state_dict/,
    ],
  ])("for %s instead of a state dict", (_, body, problem) =>
    refusedAs(open(checkpoint(pickle(body))), UnsupportedModelError, problem),
  );

  it("for dicts that are all the same large one, without looking into each", () => {
    const entries = Array.from({ length: 50_000 }, (_, i) => ops(str(`${i}`), "N"));
    const same = Array.from({ length: 100_000 }, (_, i) => ops(str(`${i}`), "h\0"));
    const inParts = (items: readonly Uint8Array[]) =>
      Array.from({ length: items.length / 10_000 }, (_, i) =>
        ops("(", ...items.slice(i * 10_000, (i + 1) * 10_000), "u"),
      );
    const body = ops("}", str("x"), "}q\0", ...inParts(entries), "s", ...inParts(same));
    return refusedAs(open(checkpoint(pickle(body))), UnsupportedModelError, /"a dict of x, 0, 1, .*, \.\.\."/);
  });

  it("for a name that is not a state dict's, and nothing runs", async () => {
    for (const name of ["os.system", "posix.system", "builtins.eval", "torch.load", "torch._utils._rebuild_qtensor"]) {
      const body = dict({ a: call(name, str("touch /tmp/pwned")) });
      await refusedAs(open(checkpoint(pickle(body))), UnsupportedModelError, new RegExp(`Python name "${name}"`));
    }
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["no zip", utf8("once upon a time"), /a zip archive without an end/],
    ["no data.pkl", zip([{ name: "word/document.xml", data: utf8("x") }]), /without a data.pkl: torch.save did not/],
    ["a data.pkl at the top", zip([{ name: "data.pkl", data: utf8("x") }]), /without a data.pkl/],
    [
      "two",
      zip(["a", "b"].map((f) => ({ name: `${f}/data.pkl`, data: utf8("x") }))),
      /several pickles: "a\/data.pkl", "b/,
    ],
    ["a long word", checkpoint(pickle("}"), {}, { byteorder: "little".repeat(100) }), /byteorder" has 600 bytes/],
    ["a long pickle", zip([{ name: "m/data.pkl", data: new Uint8Array(33_554_433) }]), /has 33554433 bytes, more than/],
  ])("for %s", (_, file, problem) => refusedAs(open(file), ModelFileError, problem));

  it.each<[string, Uint8Array, RegExp]>([
    ["big-endian", checkpoint(pickle("}"), {}, { byteorder: "big" }), /byte order "big" is not supported/],
    ["another byte order", checkpoint(pickle("}"), {}, { byteorder: "\u001b" }), /byte order "\\u001b"/],
    ["a later version", checkpoint(pickle("}"), {}, { version: "11\n" }), /archive version "11" is not supported/],
    ["no version", checkpoint(pickle("}"), {}, { version: "" }), /archive version ""/],
    ["TorchScript", checkpoint(pickle("}"), {}, { "code/x.py": "" }), /"TorchScript"/],
    ["deflate", zip([{ name: "m/data.pkl", data: pickle("}"), method: 8 }]), /compression of "m\/data.pkl" "deflate"/],
  ])("for %s", (_, file, problem) => refusedAs(open(file), UnsupportedModelError, problem));

  it("for a file that is not there", () => expectBadFile(openPytorch(inMemory({}), F), { problem: /no such file/ }));
});
