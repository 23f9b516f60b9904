/** What is installed in peers/: libraries, and a newer Node. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PEERS = fileURLToPath(new URL("./peers/", import.meta.url));

export const NOT_INSTALLED = "not installed; npx -y pnpm@10 bench:encode and bench:seq2seq do it";

/** Our package as it is built. */
export const OURS = fileURLToPath(new URL("../packages/models/dist/index.js", import.meta.url));

type Conditions = string | { readonly [condition: string]: Conditions };

interface Package {
  readonly version: string;
  readonly main?: string;
  readonly exports?: { readonly ".": Conditions } | Conditions;
}

/** A Node, by its version and its program. */
export interface Runtime {
  readonly node: string;
  readonly execPath: string;
}

/** An installed package's version, and the file that `import` in Node takes; null if there is none. */
export function installed(name: string): { readonly version: string; readonly file: string } | null {
  const folder = join(PEERS, "node_modules", name);
  if (!existsSync(join(folder, "package.json"))) return null;
  const { version, main, exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Package;
  let found: Conditions | undefined = typeof exports === "object" && "." in exports ? exports["."] : exports;
  while (typeof found === "object") found = found.node ?? found.import ?? found.default;
  return { version, file: join(folder, found ?? main ?? "index.js") };
}

/** The newer Node from npm, where there is one for this platform; else why there is none. */
export function newerNode(): Runtime | string {
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  const found = installed(name);
  const execPath = join(PEERS, "node_modules", name, process.platform === "win32" ? "bin/node.exe" : "bin/node");
  if (found === null || !existsSync(execPath)) return `npm's ${name} is ${NOT_INSTALLED}`;
  return { node: found.version, execPath };
}
