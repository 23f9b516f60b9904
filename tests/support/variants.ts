/** A golden's folder as a source of files, with one of its configs in the place of config.json. */

import { existsSync, readFileSync } from "node:fs";
import type { FileSource } from "@qkv/models";

export function variantFolder(folder: string, config: string): FileSource {
  return {
    name: `${folder} with ${config}`,
    async read(path, start, end) {
      const file = `${folder}/${path === "config.json" ? config : path}`;
      return existsSync(file) ? new Uint8Array(readFileSync(file).subarray(start, end)) : null;
    },
  };
}
