// Packs every package as it would be published and checks the tarballs: publint, attw, and what they weigh.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Most bytes of each tarball: watched, so that they grow by decision. Kernels, readable and twice (ESM, CJS), cost most. */
const LIMITS = { "@qkv/core": 140_000, "@qkv/tokenize": 61_000, "@qkv/models": 290_000, qkv: 1_200_000 };

/** @qkv/tokenize is one ES module, half the size of two forms; Node's `require` loads it from 20.19 on. */
const attwRules = (name) => (name === "@qkv/tokenize" ? ["--ignore-rules", "cjs-resolves-to-esm"] : []);

const root = fileURLToPath(new URL("..", import.meta.url));
const out = mkdtempSync(join(tmpdir(), "qkv-pack-"));
const run = (command, args, cwd = root) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
const bin = (name) => join(root, "node_modules", ".bin", name);
// The pnpm that runs this script, else whatever the registry has.
const pnpm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ["npx", "-y", "pnpm@10"];
let failed = 0;

try {
  for (const folder of readdirSync(join(root, "packages"))) {
    const directory = join(root, "packages", folder);
    const { name } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    const before = new Set(readdirSync(out));
    run(pnpm[0], [...pnpm.slice(1), "pack", "--pack-destination", out], directory);
    const tarball = join(
      out,
      readdirSync(out).find((file) => !before.has(file)),
    );
    const bytes = statSync(tarball).size;
    const checks = [
      ["size", () => bytes <= LIMITS[name] || `${bytes} bytes, more than ${LIMITS[name]}`],
      ["publint", () => run(bin("publint"), ["run", tarball, "--strict"]) !== null],
      // The executable has no types; `.` is what people import.
      [
        "attw",
        () => run(bin("attw"), [tarball, "--entrypoints", ".", "--format", "ascii", ...attwRules(name)]) !== null,
      ],
    ];
    for (const [check, passes] of checks) {
      let result;
      try {
        result = passes();
      } catch (error) {
        result = error.stdout || error.message;
      }
      if (result !== true) failed++;
      console.log(
        `${result === true ? "ok  " : "FAIL"} ${name} ${check}${check === "size" ? ` (${bytes} bytes)` : ""}`,
      );
      if (result !== true) console.log(result);
    }
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}
process.exit(failed === 0 ? 0 : 1);
