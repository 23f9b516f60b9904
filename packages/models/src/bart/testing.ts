/** What the tests of BART's family share: a golden's files, with another config or other tensors. */

import { readFileSync } from "node:fs";
import { fixture } from "../../../../tests/support/fixtures";
import { type Expected, readExpected } from "../../../../tests/support/safetensors";
import type { FileSource } from "../files/source";
import { writeSafetensors } from "../formats/safetensors-write";
import { loadSeq2Seq } from "../load";

export type Tensors = Map<string, Expected>;

/** A folder of goldens/seq2seq after `edit`, which may take tensors out, add some, or rename them. */
export function changed(name: string, config: object, edit: (tensors: Tensors) => void = () => {}): FileSource {
  const folder = fixture(`goldens/seq2seq/${name}`);
  const json = JSON.parse(readFileSync(`${folder}/config.json`, "utf8")) as object;
  const tensors = readExpected(`${folder}/model.safetensors`);
  edit(tensors);
  const files: Record<string, Uint8Array> = {
    "config.json": new TextEncoder().encode(JSON.stringify({ ...json, ...config })),
    "model.safetensors": writeSafetensors(
      [...tensors].map(([tensor, { shape, data }]) => ({ name: tensor, shape, data })),
    ),
  };
  return { read: async (path, start, end) => files[path]?.slice(start, end) ?? null };
}

/** A tensor under another name. */
export function rename(tensors: Tensors, from: string, to: string): void {
  tensors.set(to, tensors.get(from) as Expected);
  tensors.delete(from);
}

/** A tensor with every number times a factor. */
export function scaled({ shape, data }: Expected, factor: number): Expected {
  return { shape, data: data.map((value) => value * factor) };
}

/** Numbers that show whether two files hold the same model: states of both stacks, and logits. */
export async function outcome(source: string | FileSource) {
  await using model = await loadSeq2Seq(source, { threads: 1 });
  return model.run([5, 9, 3, 7, 2], [2, 4, 11], {
    capture: ["encoder.embeddings", "decoder.embeddings", "decoder.final"],
  });
}
