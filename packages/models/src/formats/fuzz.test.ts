/** Real headers, mutated and cut: a reader works or refuses the file, and never hangs, crashes or fails otherwise. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CheckedSource } from "../files/checked";
import { parseJson } from "../files/json";
import { detectFormat } from "./detect";
import { openGguf } from "./gguf";
import { openLlama2c } from "./llama2c";
import { openSafetensors } from "./safetensors";
import { inMemory, readRepositoryFile, utf8, worksOrIsRefused } from "./testing";

const STORIES = "tests/fixtures/models/stories260K/stories260K";
const INDEX = "model.safetensors.index.json";
const RUNS = 600;

/** A header of so many bytes; the rest of the file is there by its size alone, and reads as zeros. */
interface Subject {
  readonly name: string;
  readonly header: Uint8Array;
  readonly size: number;
  readonly open: (files: CheckedSource, path: string) => Promise<unknown>;
}

function subject(name: string, path: string, headerBytes: number, open: Subject["open"]): Subject {
  const file = readRepositoryFile(path);
  return { name, header: file.slice(0, headerBytes), size: file.length, open };
}

const subjects: readonly Subject[] = [
  subject("GGUF", `${STORIES}.gguf`, 14_152, openGguf),
  subject("safetensors", "packages/cli/models/stories260K/model.safetensors", 4864, (files, path) =>
    openSafetensors(files, { path }),
  ),
  subject("llama2.c", `${STORIES}.bin`, 28, openLlama2c),
];

/** What a mutation puts at a place: lengths and counts at the edges of what they can be, and anything else. */
const patch = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 8 }),
  fc
    .constantFrom(0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, 1_000_000_000n)
    .chain((value) =>
      fc.constantFrom(4, 8).map((bytes) => new Uint8Array(new BigUint64Array([value]).buffer).slice(0, bytes)),
    ),
);

const mutation = (length: number) => fc.record({ at: fc.nat(length - 1), patch });

function mutated(header: Uint8Array, mutations: readonly { at: number; patch: Uint8Array }[]): Uint8Array {
  const copy = header.slice();
  for (const { at, patch } of mutations) copy.set(patch.subarray(0, copy.length - at), at);
  return copy;
}

describe.each(subjects)("$name", ({ header, size, open }) => {
  it("works, unharmed", async () => {
    expect(await worksOrIsRefused(() => open(inMemory({ f: header }, { sizes: { f: size } }), "f"))).toBe(true);
  });

  it("works or is refused, mutated", async () => {
    const mutations = fc.array(mutation(header.length), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(mutations, fc.boolean(), async (changes, sized) => {
        const files = inMemory({ f: mutated(header, changes) }, { sizes: sized ? { f: size } : false });
        await worksOrIsRefused(() => open(files, "f"));
        await worksOrIsRefused(() => detectFormat(files, "f"));
      }),
      { numRuns: RUNS },
    );
  });

  it("is refused, truncated anywhere in its header", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(header.length - 1), fc.boolean(), async (length, sizes) => {
        const files = inMemory({ f: header.subarray(0, length) }, { sizes });
        expect(await worksOrIsRefused(() => open(files, "f"))).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("JSON", () => {
  const index = new TextDecoder().decode(readRepositoryFile(`tests/fixtures/goldens/tiny/llama-gqa-sharded/${INDEX}`));

  it("is read as JSON.parse reads it, or refused", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (json) => {
        const value: unknown = JSON.parse(json);
        // fast-check writes objects with doubled keys never, so the values must agree.
        expect(parseJson(json, { file: "f" })).toEqual(value);
      }),
      { numRuns: RUNS },
    );
  });

  it("of an index, mutated, works or is refused", async () => {
    const shards = Object.fromEntries(
      ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"].map((shard) => [
        shard,
        readRepositoryFile(`tests/fixtures/goldens/tiny/llama-gqa-sharded/${shard}`),
      ]),
    );
    const bytes = utf8(index);
    await fc.assert(
      fc.asyncProperty(fc.array(mutation(bytes.length), { maxLength: 3 }), async (changes) => {
        const files = inMemory({ ...shards, [INDEX]: mutated(bytes, changes) });
        await worksOrIsRefused(() => openSafetensors(files));
      }),
      { numRuns: 200 },
    );
  });
});
