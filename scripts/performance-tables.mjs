// Copies the tables of benchmarks/results into docs/performance.md, between their markers.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const page = root("docs/performance.md");
let text = readFileSync(page, "utf8");
for (const name of ["peers", "kernels", "encode", "seq2seq", "tokenize"]) {
  // The results are pages of their own: their title goes, and their sections come one level down.
  const results = readFileSync(root(`benchmarks/results/${name}.md`), "utf8")
    .replace(/^# .*\n+/, "")
    .replace(/^## /gm, "### ")
    .trim();
  const between = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`);
  if (!between.test(text)) throw new Error(`docs/performance.md has no place for ${name}`);
  text = text.replace(between, (_, start, end) => `${start}\n${results}\n\n${end}`);
}
writeFileSync(page, text);
