import { blockSizes, bytesFor, type Dtype, decode, isDtype } from "@qkv/core";
import { describe, expect, it } from "vitest";
import { UnsupportedModelError } from "../errors";
import { ggmlType } from "./gguf-types";
import { openSafetensors } from "./safetensors";
import { readTensor, type TensorEntry } from "./tensor";
import { inMemory, readRepositoryFile, values } from "./testing";

const GOLDENS = "tests/fixtures/goldens/gguf_quants";
const files = inMemory({
  "quants.safetensors": readRepositoryFile(`${GOLDENS}.safetensors`),
});
const goldens = await openSafetensors(files, { path: "quants.safetensors" });
const sizes = JSON.parse(new TextDecoder().decode(readRepositoryFile(`${GOLDENS}.json`))).types;
const dtypes = Object.keys(blockSizes) as Dtype[];

describe("decoding", () => {
  it.each(dtypes.filter((dtype) => dtype !== "F32"))(
    "gives the gguf package's values for %s, exactly",
    async (dtype) => {
      const packed = goldens.tensors.get(`${dtype}/bytes`)!;
      const bytes = await files.readExactly(packed.path, packed.start, packed.end);
      const expected = await values(files, goldens.tensors.get(`${dtype}/values`));
      for (const shift of [0, 1, 2, 3]) {
        const unaligned = new Uint8Array(bytes.length + shift).subarray(shift);
        unaligned.set(bytes);
        const out = new Float32Array(expected.length + 2);
        decode(dtype, unaligned, out, 1);
        expect([out[0], out.at(-1)]).toEqual([0, 0]);
        expect(out.subarray(1, -1)).toEqual(expected);
      }
      expect(bytesFor(dtype, expected.length)).toBe(bytes.length);
    },
  );

  it("copies F32 from any alignment, bits and all", () => {
    const bits = new Uint32Array([0x3f800000, 0x7fa00001, 0x80000001]);
    const bytes = new Uint8Array(13);
    bytes.set(new Uint8Array(bits.buffer), 1);
    const out = new Float32Array(4);
    decode("F32", bytes.subarray(1), out, 1);
    expect(new Uint32Array(out.buffer)).toEqual(new Uint32Array([0, ...bits]));
  });

  it("knows the block sizes of ggml's types as the gguf package has them", () => {
    const types = new Map(Array.from({ length: 64 }, (_, id) => ggmlType(id)).map((type) => [type?.name, type]));
    for (const [name, size] of Object.entries<{
      block_size: number;
      type_size: number;
    }>(sizes)) {
      expect(types.get(name)).toEqual({ name, elements: size.block_size, bytes: size.type_size });
    }
    for (const dtype of dtypes) expect(types.get(dtype)).toEqual({ name: dtype, ...blockSizes[dtype] });
    expect(ggmlType(43)).toBeNull();
    expect(ggmlType(-1)).toBeNull();
  });

  it("refuses parts of blocks, and arrays that are too short", () => {
    expect(() => decode("Q4_0", new Uint8Array(17), new Float32Array(32), 0)).toThrow(/17 bytes .* 18/);
    expect(() => decode("Q4_0", new Uint8Array(18), new Float32Array(32), 1)).toThrow(/do not fit/);
    expect(() => bytesFor("Q6_K", 100)).toThrow(/100 elements .* 256/);
    expect(bytesFor("F32", 0)).toBe(0);
    expect(isDtype("I64")).toBe(false);
    expect(isDtype("toString")).toBe(false);
  });
});

describe("readTensor", () => {
  it("reads in pieces of whole blocks", async () => {
    // Two pieces of 16 MiB and a bit, of Q8_0: 34 bytes for 32 elements. Scale 1, element = block number mod 100.
    const blocks = 1_000_000;
    const bytes = new Uint8Array(blocks * 34);
    for (let block = 0; block < blocks; block++) {
      bytes[block * 34 + 1] = 0x3c;
      bytes.fill(block % 100, block * 34 + 2, (block + 1) * 34);
    }
    const reads: number[] = [];
    const big = inMemory({ a: bytes });
    const { readExactly } = big;
    big.readExactly = (path, start, end, options) => {
      reads.push(end - start);
      return readExactly.call(big, path, start, end, options);
    };
    const out = new Float32Array(blocks * 32);
    const entry = { name: "t", dtype: "Q8_0", shape: [blocks, 32], path: "a", start: 0, end: bytes.length };
    await readTensor(big, entry, out);
    expect(reads.length).toBe(3);
    expect(Math.max(...reads)).toBeLessThanOrEqual(16 * 1024 * 1024);
    expect(out.every((value, i) => value === (i >> 5) % 100)).toBe(true);
  });

  it("names dtype and number of what it does not decode", async () => {
    const entry: TensorEntry = { name: "t", dtype: "Q5_K", ggmlType: 13, shape: [256], path: "a", start: 0, end: 176 };
    const reading = readTensor(inMemory({ a: new Uint8Array(176) }), entry, new Float32Array(256));
    await expect(reading).rejects.toThrow(UnsupportedModelError);
    await expect(reading).rejects.toThrow(/^a: tensor "t": dtype "Q5_K" is not supported .*F32.*Q6_K.*ggml type 13/);
  });
});
