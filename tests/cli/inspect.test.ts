/** `qkv inspect`, as a user runs it: models that run, and the many that do not. */

import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FORMS, qkv, qkvJson, temporaryFolder } from "./run";

interface Report {
  readonly memory: Record<string, number>;
  readonly memoryTotal: number;
  readonly runs: boolean;
  readonly because: string | null;
}

/** What is known of each form: GGUF has the tied head twice, and says that it was made for 128 positions. */
const EXPECTED = {
  safetensors: { format: "safetensors", parameters: 260_032, bytesByDtype: { F32: 1_040_128 }, contextLength: 512 },
  "llama2.c": { format: "llama2.c", bytesByDtype: { F32: 1_040_128 }, contextLength: 512 },
  gguf: { format: "gguf", parameters: 292_800, bytesByDtype: { F32: 1_171_200 }, contextLength: 128 },
};

describe.concurrent("qkv inspect", () => {
  test.each(Object.entries(FORMS))("%s: everything about it", async (form, model) => {
    const report = await qkvJson<Report>(["inspect", model]);
    expect(report).toMatchObject({
      ...EXPECTED[form as keyof typeof FORMS],
      architecture: "llama",
      kind: "decoder",
      config: { hiddenSize: 64, numHiddenLayers: 5, numKeyValueHeads: 4 },
      tokenizer: { vocabSize: 512 },
      runs: true,
      because: null,
    });
    expect(report.memoryTotal).toBe(Object.values(report.memory).reduce((sum, bytes) => sum + bytes, 0));
  });

  test("in words", async () => {
    const { code, stdout, stderr } = await qkv(["inspect", FORMS.safetensors, "--context", "1024"]);
    expect(stdout.replace(/(scratch|memory:) [\d.]+ [kM]B/g, "$1 SIZE")).toBe(
      [
        "architecture: llama",
        "kind: decoder",
        "format: safetensors",
        "parameters: 260,032 in 47 tensors",
        "weights: 1.04 MB (F32 1.04 MB)",
        "memory: SIZE (weights 1.05 MB, cache 1.31 MB, scratch SIZE)",
        "context: 1,024 tokens",
        "tokenizer: tokenizer.json, 512 tokens",
        "runs: yes",
        "",
      ].join("\n"),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  test("an architecture that does not run is an answer, not a failure", async () => {
    const folder = temporaryFolder();
    symlinkSync(join(FORMS.safetensors, "model.safetensors"), join(folder, "model.safetensors"));
    writeFileSync(join(folder, "config.json"), '{ "model_type": "mamba" }');
    const { code, stdout } = await qkv(["inspect", folder]);
    expect(stdout).toMatch(/^architecture: mamba\nformat: safetensors\nparameters: 260,032 in 47 tensors\n/);
    expect(stdout).toMatch(/\nruns: no, because config\.json: .*"mamba".*llama.*\n$/);
    expect(code).toBe(0);
  });

  test("a file cut short", async () => {
    const file = join(temporaryFolder(), "cut.model");
    writeFileSync(file, readFileSync(FORMS.gguf).subarray(0, 100_000));
    const { code, stdout } = await qkv(["inspect", file]);
    expect(stdout).toMatch(/^runs: no, because cut\.model: [^\n]+\n$/m);
    expect(code).toBe(0);
  });

  test("names from a file cannot drive the terminal", async () => {
    const folder = temporaryFolder();
    symlinkSync(join(FORMS.safetensors, "model.safetensors"), join(folder, "model.safetensors"));
    writeFileSync(join(folder, "config.json"), JSON.stringify({ model_type: "\u001b[2Jllama\n" }));
    const { stdout } = await qkv(["inspect", folder]); // which sees that there is no escape character in it
    expect(stdout).toMatch(/^runs: no, because [^\n]*llama[^\n]*\n$/m);
  });
});
