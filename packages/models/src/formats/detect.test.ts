import { describe, expect, it } from "vitest";
import { UnsupportedModelError } from "../errors";
import { openSource } from "../files/open";
import { detectFormat } from "./detect";
import { concat, expectBadFile, gguf, inMemory, repositoryPath, safetensors, u64, utf8 } from "./testing";

const F = "model";
const detect = (file: Uint8Array | string, options = {}) => detectFormat(inMemory({ [F]: file }, options), F);
const latin1 = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

describe("detectFormat", () => {
  it.each([
    ["tests/fixtures/models/stories260K/stories260K.bin", "llama2.c"],
    ["tests/fixtures/models/stories260K/stories260K.gguf", "gguf"],
    ["packages/cli/models/stories260K/model.safetensors", "safetensors"],
  ])("knows %s", async (path, format) => {
    const { files, file } = await openSource(repositoryPath(path));
    expect(await detectFormat(files, file!)).toBe(format);
    await files.close();
  });

  it("knows small and damaged files, which their readers then refuse with better words", async () => {
    expect(await detect(gguf({}))).toBe("gguf");
    expect(await detect("GGUF")).toBe("gguf");
    expect(await detect(safetensors("{}"))).toBe("safetensors");
    expect(await detect(concat(u64(2n ** 60n), utf8("{}")))).toBe("safetensors");
  });

  it("is not misled by a llama2.c model of 123 layers, whose ninth byte is a brace", async () => {
    const header = new Uint8Array(new Int32Array([8, 6, 123, 4, 2, 5, 3]).buffer);
    const size = 28 + 4 * (40 + 123 * (8 + 64 + 32 + 32 + 64 + 8 + 144) + 8 + 6);
    expect(await detect(header, { sizes: { [F]: size } })).toBe("llama2.c");
    await expectBadFile(detect(header, { sizes: { [F]: size + 1 } }), {
      problem: /like a llama2.c checkpoint of \d+ bytes/,
    });
  });

  it("says of PyTorch's pickles how to convert them", async () => {
    const { files, file } = await openSource(
      repositoryPath("tests/fixtures/goldens/tiny/llama-gqa-bin/pytorch_model.bin"),
    );
    const detecting = detectFormat(files, file!);
    await expect(detecting).rejects.toThrow(UnsupportedModelError);
    await expect(detecting).rejects.toThrow(
      /^pytorch_model.bin: file format "PyTorch pickle" is not supported \(supported: safetensors, GGUF, llama2.c\); convert it/,
    );
    await files.close();
    await expect(detect(latin1("\x80\x02\x8a\x0al"))).rejects.toThrow(/PyTorch pickle/);
  });

  it("names llama2.c's later versions", async () => {
    await expect(detect(latin1("24ka\x02\0\0\0"))).rejects.toThrow(/llama2.c export version 2 is not supported/);
  });

  it.each([
    ["", /^model: is empty$/],
    ["\x89HDF\r\n\x1a\n", /is an HDF5 file/],
    ["\x08\x07\x12\x07pytorch", /is an ONNX model/],
    ["version https://git-lfs.github.com/spec/v1\noid", /is a Git LFS pointer.*git lfs pull/],
    ["<!DOCTYPE html><html>", /is a web page/],
    ["\x1f\x8b\x08", /is compressed/],
    ['{"architectures": ["LlamaForCausalLM"]}', /is JSON/],
    ["tjgg\x03\0\0\0", /in ggml's format before GGUF/],
    ["once upon a time, in a file of no format", /is of no known format \(safetensors, GGUF, llama2.c\)/],
    ["x", /no known format/],
  ])("says what %j is", (beginning, problem) => expectBadFile(detect(latin1(beginning)), { file: F, problem }));

  it("says when there is no file", () =>
    expectBadFile(detectFormat(inMemory({}), F), { file: F, problem: /no such file/ }));
});
