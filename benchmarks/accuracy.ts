/**
 * What number formats cost, measured on models: mean cross entropy (nats a token) against the same weights in float32.
 *
 * The embedded model, quantised at load, over its own story; with QKV_MODELS set, SmolLM2-135M's Q4_1 file over the text
 * of goldens/real, whose cross entropy Hugging Face transformers computed from the decoded weights.
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type LoadOptions, loadDecoder } from "@qkv/models";

const root = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const golden = (name: string) => JSON.parse(readFileSync(root(`tests/fixtures/goldens/real/${name}.json`), "utf8"));

interface Row {
  readonly name: string;
  readonly options: LoadOptions;
}

const STORIES: readonly Row[] = [
  { name: "F32", options: { dtype: "f32" } },
  { name: "Q8_0, activations f32", options: { dtype: "q8", activations: "f32" } },
  { name: "Q8_0, activations int8", options: { dtype: "q8", activations: "int8" } },
  { name: "Q4_1, activations f32", options: { dtype: "q4", activations: "f32" } },
  { name: "Q4_1, activations int8", options: { dtype: "q4", activations: "int8" } },
];
const SMOLLM2: readonly Row[] = [
  { name: "Q4_1 and Q8_0, activations f32", options: { activations: "f32" } },
  { name: "Q4_1 and Q8_0, activations int8", options: { activations: "int8" } },
];

async function table(title: string, path: string, ids: readonly number[], rows: readonly Row[]): Promise<void> {
  console.log(
    `\n${title}, ${ids.length} tokens\n\n| weights | cross entropy | against the first | greedy choice kept |`,
  );
  console.log("| --- | --: | --: | --: |");
  let first: { loss: number; choices: number[] } | null = null;
  for (const { name, options } of rows) {
    const model = await loadDecoder(path, { contextLength: ids.length, ...options });
    const { loss } = model.loss(ids);
    const { data, shape } = model.run(ids).logits;
    const [, V] = shape as [number, number];
    const choices = ids.map((_, t) => {
      const row = data.subarray(t * V, (t + 1) * V);
      return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
    });
    model.dispose();
    first ??= { loss, choices };
    const kept = choices.filter((choice, t) => choice === first?.choices[t]).length / ids.length;
    const difference = loss - first.loss;
    console.log(
      `| ${name} | ${loss.toFixed(4)} | ${difference >= 0 ? "+" : ""}${difference.toFixed(4)} | ${kept.toFixed(3)} |`,
    );
  }
}

const { prompt } = golden("stories260K").cases;
await table("stories260K", root("packages/cli/models/stories260K"), [...prompt.ids, ...prompt.greedy.ids], STORIES);
const models = process.env.QKV_MODELS;
if (models === undefined) console.log("\nQKV_MODELS is not set: SmolLM2-135M is left out");
else {
  const path = `${models}/SmolLM2-135M-Instruct-Q4_1.gguf`;
  await table("SmolLM2-135M-Instruct-Q4_1.gguf", path, golden("smollm2").nll.ids, SMOLLM2);
}
