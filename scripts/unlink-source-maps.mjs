// Removes the links to source maps from dist/: the maps are not published, see tsup.base.ts.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

for (const file of readdirSync("dist").filter((name) => /\.c?js$/.test(name))) {
  const code = readFileSync(`dist/${file}`, "utf8");
  writeFileSync(`dist/${file}`, code.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, "\n"));
}
