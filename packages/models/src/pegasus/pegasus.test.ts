import { Arena, ReferenceKernels } from "@qkv/core";
import { expect, test } from "vitest";
import { fixture } from "../../../../tests/support/fixtures";
import { sinusoids } from "../bart/positions";
import { changed, outcome, type Tensors } from "../bart/testing";

const NONE = "pegasus-no-positions";
const none = await outcome(fixture(`goldens/seq2seq/${NONE}`));

/** The sinusoids as transformers saves them, each number times a factor. */
function save(tensors: Tensors, stack: string, factor: number): void {
  const kernels = new ReferenceKernels(new Arena());
  const out = kernels.arena.allocate(4 * 12 * 6, "scratch");
  const positions = Array.from({ length: 12 }, (_, p) => p);
  sinusoids({ dModel: 6, maxPositionEmbeddings: 12 })(kernels, out, positions);
  const data = kernels.arena.f32(out, 72).map((value) => factor * value);
  tensors.set(`model.${stack}.embed_positions.weight`, { shape: [12, 6], data });
}

test("positions that a file has are read, for each stack by itself; without an offset", async () => {
  const both = changed(NONE, {}, (tensors) => {
    save(tensors, "encoder", 1);
    save(tensors, "decoder", 1);
  });
  expect(await outcome(both)).toEqual(none);
  const one = await outcome(changed(NONE, {}, (tensors) => save(tensors, "encoder", 2)));
  expect(one.captured["encoder.embeddings"]).not.toEqual(none.captured["encoder.embeddings"]);
  expect(one.captured["decoder.embeddings"]).toEqual(none.captured["decoder.embeddings"]);
});

test("a table of another length is refused", async () => {
  const source = changed(NONE, { max_position_embeddings: 10 }, (tensors) => save(tensors, "encoder", 1));
  await expect(outcome(source)).rejects.toThrow(/embed_positions.weight": expected shape \[10, 6\].*got \[12, 6\]/);
});
