/** Models in memory, for tests that damage them. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import type { FileSource } from "@qkv/models";

export type Files = Record<string, Uint8Array>;

/** The files of a folder. */
export function readFolder(path: string): Files {
  const names = readdirSync(path).filter((name) => statSync(`${path}/${name}`).isFile());
  return Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(`${path}/${name}`))]));
}

/** A source that counts what is open, to show that nothing is left so. */
export function sourceOf(files: Files): FileSource & { closed: number } {
  return {
    name: "memory",
    closed: 0,
    async read(path, start, end) {
      return Object.hasOwn(files, path) ? files[path].slice(start, end) : null;
    },
    async size(path) {
      return Object.hasOwn(files, path) ? files[path].length : null;
    },
    async list() {
      return Object.keys(files);
    },
    async close() {
      this.closed++;
    },
  };
}

export function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

export function parsed(file: Uint8Array): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(file)) as Record<string, unknown>;
}
