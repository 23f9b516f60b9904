/** Goldens by variant: those that are carried, and where `QKV_GOLDENS` says where they are, all others. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { FileSource } from "@qkv/models";
import { externalFile, fixture, readJson } from "./fixtures";

export interface Variant {
  readonly name: string;
  readonly folder: string;
}

/** Folders of variants, the carried ones first. */
function folders(): readonly string[] {
  const shared = externalFile("QKV_GOLDENS", "tiny");
  const carried = ["tiny", "heads", "seq2seq"].map((name) => fixture(`goldens/${name}`));
  return shared === null ? carried : [...carried, shared];
}

/**
 * The variants of some architectures, each once.
 *
 * @param ofDecoder whether their cases have ids of a decoder
 */
export function goldenVariants(modelTypes: readonly string[], ofDecoder: boolean): Variant[] {
  const found = new Map<string, Variant>();
  for (const parent of folders()) {
    for (const name of readdirSync(parent)) {
      const folder = `${parent}/${name}`;
      if (found.has(name) || !["config.json", "expected.json"].every((file) => existsSync(`${folder}/${file}`)))
        continue;
      const { model_type } = readJson<{ model_type: string }>(`${folder}/config.json`);
      if (!modelTypes.includes(model_type)) continue;
      const { cases } = readJson<{ cases: Record<string, object> }>(`${folder}/expected.json`);
      if ("decoder_input_ids" in cases.short === ofDecoder) found.set(name, { name, folder });
    }
  }
  return [...found.values()];
}

/** A variant's configs: in the keys of transformers 5, and where these differ of 4. */
export function configsOf({ folder }: Variant): string[] {
  return ["config.json", "config.v4.json"].filter((file) => existsSync(`${folder}/${file}`));
}

/** A variant's folder as a source of files, with one of its configs in the place of config.json. */
export function variantSource({ folder }: Variant, config: string): FileSource {
  return {
    name: `${folder} with ${config}`,
    async read(path, start, end) {
      const file = `${folder}/${path === "config.json" ? config : path}`;
      return existsSync(file) ? new Uint8Array(readFileSync(file).subarray(start, end)) : null;
    },
  };
}
