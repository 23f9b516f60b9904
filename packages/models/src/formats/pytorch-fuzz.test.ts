/** Files that PyTorch wrote, mutated and cut: each is read, or refused by one error that names it. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ModelFileError, UnsupportedModelError } from "../errors";
import { openPytorch } from "./pytorch";
import { ops } from "./pytorch-testing";
import { concat, inMemory, readRepositoryFile, utf8, values } from "./testing";

const F = "pytorch_model.bin";

const patch = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 4 }),
  fc
    .constantFrom("R", "b", "Q", "a", "s", "(", "t", "h\0", "cos\nsystem\n", "X\xff\xff\xff\x7f", "\x93")
    .map((text) => ops(text)),
  fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1).map((value) => new Uint8Array(new Uint32Array([value]).buffer)),
);
const mutations = fc.array(fc.record({ at: fc.noBias(fc.nat(999_999)), patch }), {
  minLength: 1,
  maxLength: 4,
});

describe.each([
  "pytorch/state-dict.bin",
  "pytorch/protocol-4.bin",
  "pytorch/values.bin",
  `goldens/tiny/llama-gqa-bin/${F}`,
])("%s, damaged", (name) => {
  const whole = readRepositoryFile(`tests/fixtures/${name}`);
  // Where a mutation matters: what comes before the first storage, and the directory.
  const head = Math.min(4096, whole.length);
  const tail = Math.min(2500, whole.length - head);
  const outcomes = { read: 0, refused: 0 };

  async function readsOrRefuses(file: Uint8Array, sizes: boolean): Promise<void> {
    const files = inMemory({ [F]: file }, { sizes });
    try {
      const { tensors } = await openPytorch(files, F);
      for (const entry of tensors.values()) {
        expect(entry.end).toBeLessThanOrEqual(file.length);
        if (["F32", "F16", "BF16"].includes(entry.dtype)) await values(files, entry);
      }
      outcomes.read++;
    } catch (error) {
      if (!(error instanceof ModelFileError || error instanceof UnsupportedModelError)) throw error;
      expect(error.file).toBe(F);
      expect(error.message.startsWith(`${F}: `)).toBe(true);
      expect(error.message.length).toBeLessThan(2000);
      outcomes.refused++;
    }
  }

  it("is read or refused, mutated", async () => {
    await fc.assert(
      fc.asyncProperty(mutations, fc.boolean(), async (changes, sizes) => {
        const file = whole.slice();
        for (const { at, patch } of changes) {
          const place = Math.floor((at / 1e6) * (head + tail));
          const start = place < head ? place : file.length - tail + place - head;
          file.set(patch.subarray(0, file.length - start), start);
        }
        await readsOrRefuses(file, sizes);
      }),
      { seed: 20261121, numRuns: 1000 },
    );
    expect(outcomes.read).toBeGreaterThan(20);
    expect(outcomes.refused).toBeGreaterThan(20);
  });

  it("is refused, cut off or with something before or behind", async () => {
    outcomes.read = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.boolean(), async (length, sizes) => {
        await readsOrRefuses(whole.subarray(0, length), sizes);
      }),
      { seed: 20261121, numRuns: 300 },
    );
    await readsOrRefuses(concat(whole, utf8("x")), true);
    await readsOrRefuses(concat(utf8("x"), whole), true);
    expect(outcomes.read).toBe(0);
  });
});
