/** Real models with random damage: they load, or give one of our own errors; never a hang, a crash, another error. */

import { readFileSync } from "node:fs";
import { loadDecoder, ModelFileError, UnsupportedModelError } from "@qkv/models";
import { TokenizerFileError } from "@qkv/tokenize";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fixture, repository } from "../support/fixtures";
import { type Files, readFolder, sourceOf } from "../support/sources";

const STORIES = readFolder(repository("packages/cli/models/stories260K"));
const FORMS: Record<string, { readonly files: Files; readonly damaged: readonly string[]; readonly header: number }> = {
  "safetensors folder": {
    files: STORIES,
    damaged: ["model.safetensors", "config.json", "tokenizer.json", "generation_config.json"],
    header: 5000,
  },
  GGUF: {
    files: { "m.gguf": new Uint8Array(readFileSync(fixture("models/stories260K/stories260K.gguf"))) },
    damaged: ["m.gguf"],
    header: 14_000,
  },
  "llama2.c": {
    files: {
      "m.bin": new Uint8Array(readFileSync(fixture("models/stories260K/stories260K.bin"))),
      "tok512.bin": new Uint8Array(readFileSync(fixture("models/stories260K/tok512.bin"))),
    },
    damaged: ["m.bin", "tok512.bin"],
    header: 40,
  },
  "sharded folder": {
    files: readFolder(fixture("goldens/tiny/llama-gqa-sharded")),
    damaged: ["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"],
    header: 3000,
  },
  "PyTorch folder": {
    files: readFolder(fixture("goldens/tiny/llama-gqa-bin")),
    damaged: ["config.json", "pytorch_model.bin", "pytorch_model.bin"],
    header: 4000,
  },
};

/** A few bytes changed, and perhaps the end cut off. Changes fall into the header, where they matter. */
interface Damage {
  readonly file: number;
  readonly bytes: readonly (readonly [at: number, value: number])[];
  readonly keep: number | null;
}

const damage = fc.record<Damage>({
  file: fc.nat(),
  bytes: fc.array(
    fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0x22, 0x2c, 0x30, 0x39, 0x5b, 0x7b, 0xff))),
    {
      maxLength: 4,
    },
  ),
  keep: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 4 }),
});

function apply({ files, damaged, header }: (typeof FORMS)[string], { file, bytes, keep }: Damage): Files {
  const name = damaged[file % damaged.length];
  const copy = files[name].slice(0, keep === null ? undefined : Math.floor(keep * files[name].length));
  for (const [at, value] of bytes) if (copy.length > 0) copy[at % Math.min(header, copy.length)] = value;
  return { ...files, [name]: copy };
}

describe.each(Object.entries(FORMS))("%s", (_, form) => {
  test("300 kinds of damage", async () => {
    let loaded = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(damage, async (harm) => {
        const source = sourceOf(apply(form, harm));
        try {
          const model = await loadDecoder(source, { contextLength: 64 });
          loaded++;
          // What loads must run, or say in its own words why not; numbers may be anything.
          expect(model.run([0, 1]).logits.shape).toEqual([2, model.vocabSize]);
          model.dispose();
        } catch (error) {
          refused++;
          const ours = [ModelFileError, UnsupportedModelError, TokenizerFileError].some(
            (kind) => error instanceof kind,
          );
          if (!ours) throw error;
          expect((error as Error).message.length).toBeLessThan(2000);
        }
        expect(source.closed).toBe(1);
      }),
      { seed: 20261121, numRuns: 300, endOnFailure: true },
    );
    // Both must have happened, or the damage is not what it should be.
    expect(loaded).toBeGreaterThan(10);
    expect(refused).toBeGreaterThan(10);
  });
});
