import { describe, expect, it } from "vitest";
import { UnsupportedModelError } from "../errors";
import { openSource } from "../files/open";
import { detectFormat } from "./detect";
import { type Llama2cConfig, layoutLlama2c, parseLlama2cHeader } from "./llama2c";
import { concat, expectBadFile, gguf, inMemory, repositoryPath, safetensors, u64, utf8 } from "./testing";

const F = "model";
const detect = (file: Uint8Array | string, options = {}) => detectFormat(inMemory({ [F]: file }, options), F);
const latin1 = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

describe("detectFormat", () => {
  it.each([
    ["tests/fixtures/models/stories260K/stories260K.bin", "llama2.c"],
    ["tests/fixtures/models/stories260K/stories260K.gguf", "gguf"],
    ["packages/cli/models/stories260K/model.safetensors", "safetensors"],
    ["tests/fixtures/goldens/tiny/llama-gqa-bin/pytorch_model.bin", "pytorch"],
    ["tests/fixtures/pytorch/torchscript.pt", "pytorch"],
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

  it.each([
    [
      "before-1.6.bin",
      /^before-1.6.bin: file format "torch.save before PyTorch 1.6" is not.*; save it anew, in Python:/,
    ],
  ])("says of PyTorch's %s how to convert it", async (name, problem) => {
    const { files, file } = await openSource(repositoryPath(`tests/fixtures/pytorch/${name}`));
    const detecting = detectFormat(files, file!);
    await expect(detecting).rejects.toThrow(UnsupportedModelError);
    await expect(detecting).rejects.toThrow(problem);
    await files.close();
  });

  it("says of a tar archive how to convert it, and of another pickle what it is", async () => {
    const tar = concat(utf8("pickle"), new Uint8Array(251), utf8("ustar"), new Uint8Array(762));
    await expect(detect(tar)).rejects.toThrow(UnsupportedModelError);
    await expect(detect(tar)).rejects.toThrow(/"tar" is not supported.*PyTorch 0.1.*only where you trust it/);
    for (const pickle of ["\x80\x02\x8a\x0al", "\x80\x04\x95\x0a\0\0\0\0\0\0\0}."]) {
      await expectBadFile(detect(latin1(pickle)), { file: F, problem: /is a Python pickle that torch.save did not/ });
    }
  });

  it("is not misled by a llama2.c model of width 640, which begins as a pickle does", async () => {
    const header = new Uint8Array(new Int32Array([640, 6, 1, 4, 2, 5, 3]).buffer);
    expect([...header.subarray(0, 2)]).toEqual([0x80, 0x02]);
    const { end } = layoutLlama2c(parseLlama2cHeader(header) as Llama2cConfig, F);
    expect(await detect(header, { sizes: { [F]: end } })).toBe("llama2.c");
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
    ["PK\x05\x06\0\0", /is an empty zip archive/],
    ["tjgg\x03\0\0\0", /in ggml's format before GGUF/],
    [
      "once upon a time, in a file of no format",
      /is of no known format \(safetensors, GGUF, PyTorch's .bin, llama2.c\)/,
    ],
    ["x", /no known format/],
  ])("says what %j is", (beginning, problem) => expectBadFile(detect(latin1(beginning)), { file: F, problem }));

  it("says when there is no file", () =>
    expectBadFile(detectFormat(inMemory({}), F), { file: F, problem: /no such file/ }));
});
