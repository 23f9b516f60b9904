/** Runs every code block of the docs: TypeScript as a script, shell commands as they stand. */

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXECUTABLE } from "../cli/run";
import { copyStandIns, copyTaskFolder } from "../cli/task-folders";
import { externalFile, repository } from "../support/fixtures";
import { fixtureBytes } from "../support/tokenizer-fixtures";

const DOCS = [
  "README.md",
  "CONTRIBUTING.md",
  "packages/core/README.md",
  "packages/tokenize/README.md",
  "packages/models/README.md",
  "packages/cli/README.md",
  ...readdirSync(repository("docs/tasks")).map((name) => `docs/tasks/${name}`),
];

/** Pages whose commands are those of an installed `qkv`, among models. */
const isTask = (path: string): boolean => path.startsWith("docs/tasks/");

/**
 * Shell lines that are not run here: they run this suite, change files, or take minutes. CI runs the first three.
 * Everything else is run.
 */
const RUN_ELSEWHERE = [
  /^npx -y pnpm@10 (test|test:dist|lint:packages|bench|bench:peers|bench:tokenize|bench:encode|bench:seq2seq|format)$/,
];

// Inside of tests/, so that the packages are found by name; another for each run, as a run may be cut off.
mkdirSync(repository("tests/docs/.blocks"), { recursive: true });
const SCRATCH = mkdtempSync(repository("tests/docs/.blocks/run-"));

/** What the docs call "./bert", "./gpt2", "./t5", "./llama", and the tiny models that they call by the names of real ones. */
const FILES = `${SCRATCH}/files`;

/** Where it is there, the docs run on it, and the numbers that they give for it are checked. */
const MINILM = externalFile("QKV_MODELS", "all-MiniLM-L6-v2");

/** Encoder-decoders of the docs, and the tiny ones that stand in for them: those know the docs' few sentences by heart. */
const SEQ2SEQ = {
  "t5-small": "seq2seq-t5",
  "bart-base": "seq2seq-bart",
  "mbart-large-50-many-to-many-mmt": "seq2seq-mbart",
  "opus-mt-en-ROMANCE": "seq2seq-marian",
} as const;

function unpackFiles(): void {
  const put = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(`${FILES}/${path}`), { recursive: true });
    writeFileSync(`${FILES}/${path}`, content);
  };
  put("bert/vocab.txt", fixtureBytes("vocab", "bert_base_uncased_vocab.txt"));
  put("gpt2/vocab.json", fixtureBytes("vocab", "gpt2_bpe_encoder.json"));
  put("gpt2/merges.txt", fixtureBytes("vocab", "gpt2_bpe_vocab.bpe"));
  const models = "tests/fixtures/models/stories260K";
  for (const name of ["tok512.bin", "stories260K.gguf"])
    put(`llama/${name}`, readFileSync(repository(`${models}/${name}`)));
  const json = repository("packages/cli/models/stories260K/tokenizer.json");
  put("llama/tokenizer.json", readFileSync(json));
  copyStandIns(FILES);
  rmSync(`${FILES}/t5`, { recursive: true, force: true }); // here it is a tokenizer
  put("t5/spiece.model", fixtureBytes("vocab", "t5.spiece.model"));
  put("t5/config.json", '{ "model_type": "t5" }');
  for (const [name, tiny] of Object.entries(SEQ2SEQ)) copyTaskFolder(tiny, `${FILES}/${name}`);
  if (MINILM !== null) {
    rmSync(`${FILES}/all-MiniLM-L6-v2`, { recursive: true });
    cpSync(MINILM, `${FILES}/all-MiniLM-L6-v2`, { recursive: true }); // no link: nothing here may write to it
  }
  put("bin/qkv", `#!/bin/sh\nexec "${process.execPath}" "${EXECUTABLE}" "$@"\n`);
  chmodSync(`${FILES}/bin/qkv`, 0o755);
}

interface Block {
  readonly language: string;
  readonly code: string;
  readonly line: number;
}

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  for (const match of markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
    const line = markdown.slice(0, match.index).split("\n").length;
    blocks.push({ language: match[1], code: match[2], line });
  }
  return blocks;
}

/**
 * What a block says its lines print, to the letter and in this order: the comments after console.log calls. Those that
 * name a real model are of that model alone.
 */
function promises(code: string): string[] {
  const comments = [...code.matchAll(/console\.log\(.*\);? \/\/ (.+)$/gm)].map((match) => match[1]);
  const ofMiniLm = /^all-MiniLM-L6-v2: /;
  return comments
    .filter((comment) => MINILM !== null || !ofMiniLm.test(comment))
    .map((comment) => comment.replace(ofMiniLm, ""));
}

function run(command: string, args: readonly string[], cwd = repository(".")): string {
  return execFileSync(command, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", PATH: `${FILES}/bin${delimiter}${process.env.PATH}` },
  });
}

beforeAll(unpackFiles);
afterAll(() => rmSync(SCRATCH, { recursive: true, force: true }));

describe.each(DOCS)("%s", (path) => {
  const blocks = blocksOf(readFileSync(repository(path), "utf8"));

  test("has blocks, all in a language that is run here", () => {
    expect(blocks.length).toBeGreaterThan(0);
    expect(blocks.filter(({ language }) => !["ts", "sh"].includes(language))).toEqual([]);
  });

  const ts = blocks.filter(({ language }) => language === "ts");
  if (ts.length > 0) {
    test.each(ts)("TypeScript at line $line", ({ code, line }) => {
      mkdirSync(SCRATCH, { recursive: true });
      const file = `${SCRATCH}/${path.replaceAll("/", "-")}-${line}.ts`;
      writeFileSync(file, code.replace(/(["`])\.\//g, `$1${FILES}/`));
      const conditions = process.env.QKV_TEST_DIST === "1" ? [] : ["--conditions=qkv-source"];
      const output = run(process.execPath, [...conditions, "--import", "tsx", file]);
      let rest = output;
      for (const promise of promises(code)) {
        expect(rest).toContain(promise);
        rest = rest.slice(rest.indexOf(promise) + promise.length);
      }
    });
  }

  const commands = blocks
    .filter(({ language }) => language === "sh")
    .flatMap(({ code }) => code.trim().split("\n"))
    .map((line) => line.replace(/\s+#.*$/, ""))
    .filter((line) => line !== "" && !RUN_ELSEWHERE.some((pattern) => pattern.test(line)));
  if (commands.length > 0) {
    test.each(commands)("%s", (line) => {
      const command = line.replace("/tmp/", `${tmpdir()}/`);
      run("sh", ["-c", command], isTask(path) ? FILES : undefined); // fails where the exit code is not 0
      const out = / --out (\S+)/.exec(command)?.[1];
      if (out !== undefined) expect(statSync(out).size).toBeGreaterThan(0);
    });
  }
});
