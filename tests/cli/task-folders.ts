/** The tiny models of tests/fixtures/tasks as folders on disk, where the examples and the docs expect models. */

import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fixture, readJson } from "../support/fixtures";

const { folders } = readJson<{ readonly folders: Readonly<Record<string, Readonly<Record<string, string>>>> }>(
  fixture("tasks/manifest.json"),
);

/** What examples and docs call models, and which tiny one of the same kind stands in. */
export const STAND_INS = {
  "all-MiniLM-L6-v2": "st-mean",
  "bert-base-uncased": "mask-uncased",
  "bert-base-cased": "next-sentence",
  "snowflake-arctic-embed-s": "st-prompts",
  sst2: "classes-single",
  nli: "nli-bert",
  "bert-base-NER": "tokens-cased",
  squad: "answers-uncased",
  "ms-marco-MiniLM-L6-v2": "rerank-identity",
  t5: "seq2seq-t5",
} as const;

/** Copies one of the manifest's folders to a path that is not there yet. */
export function copyTaskFolder(name: string, to: string): void {
  const files = folders[name];
  if (files === undefined) throw new RangeError(`manifest.json has no folder ${name}`);
  for (const [path, place] of Object.entries(files)) {
    mkdirSync(dirname(join(to, path)), { recursive: true });
    copyFileSync(fixture(`tasks/${place}`), join(to, path));
  }
}

/** Every stand-in, in a folder. */
export function copyStandIns(folder: string): void {
  for (const [name, tiny] of Object.entries(STAND_INS)) copyTaskFolder(tiny, join(folder, name));
}
