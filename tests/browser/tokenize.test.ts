/** @qkv/tokenize alone, as it is built: a plain module in a page, bundled, and shaken down to what is used. */

import { readFileSync } from "node:fs";
import { Tokenizer } from "@qkv/tokenize";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repository } from "../support/fixtures";
import type { Files } from "../support/sources";
import { awkwardTexts, fixtureBytes } from "../support/tokenizer-fixtures";
import { bundleText } from "./bundle";
import { findChromium, launch } from "./chromium";
import { type Server, serve } from "./server";

const dist = process.env.QKV_TEST_DIST === "1";
const chromium = findChromium();

/** What a text gives: ids and offsets, and the text of the ids. */
interface Encoded {
  readonly ids: readonly number[];
  readonly offsets: readonly (readonly [number, number])[];
  readonly text: string;
}

declare global {
  /** Encodes texts in the page with the tokenizer at an address; an error comes as its text. */
  var encodeTexts: (address: string, texts: readonly string[]) => Promise<readonly Encoded[] | string>;
}

/** The work itself, in JavaScript as a page has it: nothing compiles or bundles it. */
const WORK = `
const { Tokenizer } = await import(new URLSearchParams(location.search).get("module"));
globalThis.encodeTexts = async (address, texts) => {
  try {
    const tokenizer = await Tokenizer.from(address);
    return texts.map((text) => {
      const { ids, offsets } = tokenizer.encode(text);
      return { ids: [...ids], offsets: offsets.map(([start, end]) => [start, end]), text: tokenizer.decode(ids) };
    });
  } catch (error) {
    return String(error);
  }
};
document.title = "ready";
`;

/** The same in Node. */
async function inNode(address: string, texts: readonly string[]): Promise<readonly Encoded[]> {
  const tokenizer = await Tokenizer.from(address);
  return texts.map((text) => {
    const { ids, offsets } = tokenizer.encode(text);
    return {
      ids: [...ids],
      offsets: offsets.map(([start, end]) => [start, end] as const),
      text: tokenizer.decode(ids),
    };
  });
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

async function servedFiles(): Promise<Files> {
  return {
    "index.html": utf8('<!doctype html><link rel="icon" href="data:,"><script type="module" src="work.js"></script>'),
    "work.js": utf8(WORK),
    "tokenize/index.js": new Uint8Array(readFileSync(repository("packages/tokenize/dist/index.js"))),
    "bundle.js": await bundleText('export { Tokenizer } from "@qkv/tokenize";'),
    "bert/vocab.txt": fixtureBytes("vocab", "bert_base_uncased_vocab.txt"),
    "gpt2/encoder.json": fixtureBytes("vocab", "gpt2_bpe_encoder.json"),
    "gpt2/vocab.bpe": fixtureBytes("vocab", "gpt2_bpe_vocab.bpe"),
    "t5/spiece.model": fixtureBytes("vocab", "t5.spiece.model"),
    "t5/config.json": utf8('{ "model_type": "t5" }'),
  };
}

const why = !dist ? " (needs the built packages: pnpm test:dist)" : chromium === null ? " (needs Chromium)" : "";

describe.skipIf(why !== "")(`@qkv/tokenize in a browser${why}`, () => {
  const { texts } = awkwardTexts();
  const awkward = ["Hello world", ...Object.values(texts)];
  let browser: Browser;
  let server: Server;

  beforeAll(async () => {
    browser = await launch(chromium ?? "");
    server = await serve(await servedFiles(), {});
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  /** Whatever the page complains of is a failure, but for files that are looked for and not there. */
  async function inPage(module: string, address: string): Promise<readonly Encoded[] | string> {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      const isMissing = /status of 404/.test(message.text());
      if (["error", "warning"].includes(message.type()) && !isMissing) complaints.push(message.text());
    });
    try {
      await page.goto(`${server.url}/index.html?module=${module}`);
      await page
        .waitForFunction(() => document.title === "ready")
        .catch((error: unknown) => {
          throw new Error(`${String(error)}; the page's console: ${complaints.join("\n")}`);
        });
      const found = await page.evaluate(([from, given]) => globalThis.encodeTexts(from, given), [
        address,
        awkward,
      ] as const);
      expect(complaints).toEqual([]);
      return found;
    } finally {
      await page.close();
    }
  }

  describe.each([
    ["a plain module", "/tokenize/index.js"],
    ["esbuild's bundle", "/bundle.js"],
  ])("%s gives the ids and offsets of Node", (_, module) => {
    test.each([
      ["BERT's vocab.txt", "bert/", [101, 7592, 2088, 102]],
      ["GPT-2's two files", "gpt2/", [15496, 995]],
      ["T5's .model", "t5/", [8774, 296, 1]],
    ])("%s", async (_name, folder, hello) => {
      const expected = await inNode(`${server.url}/${folder}`, awkward);
      expect(expected[0]).toMatchObject({ ids: hello });
      expect(await inPage(module, `${server.url}/${folder}`)).toEqual(expected);
    });

    test("an error", async () => {
      const found = await inPage(module, `${server.url}/nowhere/`);
      expect(found).toMatch(/^TokenizerFileError: the folder: its files: expected tokenizer.json/);
      expect(await inPage(module, "./models/bert")).toMatch(/is a path, and there is no file system here/);
    });
  });
});

describe.skipIf(!dist)("a bundle has what it uses and no more", () => {
  const size = async (name: string): Promise<number> => {
    const { length } = await bundleText(`import { ${name} } from "@qkv/tokenize"; console.log(${name});`);
    return length;
  };

  test("the tokenizer, whole", async () => {
    expect(await size("Tokenizer")).toBeGreaterThan(50_000);
  });

  // Tables that are computed where a module begins stay: a tenth of the whole.
  test("an error, alone", async () => {
    expect(await size("TokenizerFileError")).toBeLessThan((await size("Tokenizer")) / 8);
  });
});
