/** The built packages, bundled, in Chromium: the same bits as in Node, with and without shared memory. */

import { readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { loadDecoder } from "qkv";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CommittedFingerprint } from "../support/fingerprint";
import { fixture, readJson, repository } from "../support/fixtures";
import { type Files, json, parsed, readFolder } from "../support/sources";
import { type Bundle, bundlePage } from "./bundle";
import { findChromium, launch } from "./chromium";
import { asLoadOptions, errorText, examine, type Job, type Options, type Outcome, open, type Served } from "./job";
import type { Answer } from "./page";
import { ISOLATION, type Server, serve } from "./server";

const dist = process.env.QKV_TEST_DIST === "1";
const chromium = findChromium();
const missing = !dist
  ? "needs the built packages: pnpm test:dist"
  : chromium === null
    ? "needs Chromium: install it, or set QKV_CHROMIUM"
    : null;
if (missing !== null) console.warn(`tests/browser is skipped: it ${missing}`);

const GGUF: Served = { kind: "file", path: "stories260K.gguf" };
const FOLDER: Served = { kind: "folder", path: "stories260K" };

/** Where Node finds them. */
const ON_DISK: Readonly<Record<string, string>> = {
  [GGUF.path]: repository("tests/fixtures/models/stories260K/stories260K.gguf"),
  [FOLDER.path]: repository("packages/cli/models/stories260K"),
};

const FINGERPRINT = readJson<CommittedFingerprint>(fixture("fingerprint.json"));

/** Greedy after "Once upon a time": the beginning of transformers' story in goldens/real, so that nobody is wrong together. */
const TEXT = ", there was a little girl named Lily. She loved to play outsid";

type Serving = "plain" | "isolated";
type Case = readonly [name: string, serving: Serving, where: Job["where"], model: Served, options: Options];

/** `load` is to work with these options, and the model is to give what it gives in Node with the same ones. */
const CASES: readonly Case[] = [
  ["from a File", "plain", "page", GGUF, {}],
  ["from a folder behind HTTP ranges", "plain", "page", FOLDER, {}],
  ["in a worker", "plain", "worker", FOLDER, { contextLength: 64 }],
  ["under cross-origin isolation", "isolated", "page", GGUF, {}],
  ["in a worker under cross-origin isolation", "isolated", "worker", GGUF, {}],
  ["on the reference kernels", "plain", "page", GGUF, { kernels: "reference" }],
  ["on one thread", "plain", "page", GGUF, { threads: 1 }],
  ["on two threads", "isolated", "page", GGUF, { threads: 2 }],
  ["on three threads, from a worker", "isolated", "worker", FOLDER, { threads: 3 }],
  ["with turbo, which finds no flags to set", "plain", "page", GGUF, { turbo: true }],
];

/** `load` is to throw these. */
const ERRORS: readonly (readonly [name: string, model: Served, options: Options, error: RegExp])[] = [
  ["a file cut short", { kind: "file", path: "cut.gguf" }, {}, /^ModelFileError: cut\.gguf: .*truncated/],
  ["a file that is no model", { kind: "file", path: "story.txt" }, {}, /^\w+Error: story\.txt: /],
  ["an unknown architecture", { kind: "folder", path: "unheard-of" }, {}, /^UnsupportedModelError: .*"unheard-of"/],
  ["an unknown option", GGUF, { speed: 11 }, /^TypeError: .*speed/],
];

/** What the server has. */
function servedFiles(bundle: Bundle): Files {
  const gguf = new Uint8Array(readFileSync(ON_DISK[GGUF.path]));
  const folder = readFolder(ON_DISK[FOLDER.path]);
  const unheardOf = { ...folder, "config.json": json({ ...parsed(folder["config.json"]), model_type: "unheard-of" }) };
  const models: Files = {
    [GGUF.path]: gguf,
    ...within(FOLDER.path, folder),
    "cut.gguf": gguf.subarray(0, gguf.length - 1000),
    "story.txt": text("Once upon a time, there was a text."),
    ...within("unheard-of", unheardOf),
  };
  // The empty icon keeps the browser from asking for one.
  const page = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.js"></script>';
  return { "index.html": text(page), "page.js": bundle.code, ...within("models", models) };
}

function within(folder: string, files: Files): Files {
  return Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${folder}/${name}`, bytes]));
}

function text(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

describe.skipIf(missing !== null)(`in a browser${missing === null ? "" : ` (${missing})`}`, () => {
  let bundle: Bundle;
  let browser: Browser;
  let servers: Record<Serving, Server>;

  beforeAll(async () => {
    [bundle, browser] = await Promise.all([bundlePage(), launch(chromium ?? "")]);
    const files = servedFiles(bundle);
    servers = { plain: await serve(files, {}), isolated: await serve(files, ISOLATION) };
  });

  afterAll(async () => {
    await browser?.close();
    await Promise.all(Object.values(servers ?? {}).map((server) => server.close()));
  });

  /** Opens the page anew, and closes it afterwards. Whatever it complains of is a failure, but for files that may be absent. */
  async function onPage<T>(serving: Serving, use: (page: Page) => Promise<T>): Promise<T> {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      const isMissing = /status of 404/.test(message.text());
      if (["error", "warning"].includes(message.type()) && !isMissing) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("requestfailed", (request) => {
      // A 404 whose body nobody reads counts as called off.
      const problem = request.failure()?.errorText;
      if (problem !== "net::ERR_ABORTED") complaints.push(`${request.url()}: ${problem}`);
    });
    try {
      await page.goto(`${servers[serving].url}/index.html`);
      const result = await use(page);
      expect(complaints).toEqual([]);
      return result;
    } catch (error) {
      // What went wrong is often said in the console alone.
      if (complaints.length > 0) console.error(`the page's console: ${complaints.join("\n")}`);
      throw error;
    } finally {
      await page.close();
    }
  }

  function answer(serving: Serving, job: Job): Promise<Answer> {
    return onPage(serving, (page) => page.evaluate((given) => globalThis.runJob(given), job));
  }

  test("the bundler has no warnings, and takes nothing but the page and the built packages", () => {
    expect(bundle.warnings).toEqual([]);
    const built = ["cli", "core", "models", "tokenize"].map((name) => `packages/${name}/dist/index.js`);
    // Chat templates bring their engine along.
    const others = bundle.inputs.filter((name) => !name.startsWith("tests/") && !name.includes("@huggingface/jinja"));
    expect(others).toEqual(built);
  });

  test.each([
    ["plain", false],
    ["isolated", true],
  ] as const)("the %s page has shared memory: %s", async (serving, shared) => {
    const found = await onPage(serving, (page) =>
      page.evaluate(() => [globalThis.crossOriginIsolated, typeof SharedArrayBuffer !== "undefined"]),
    );
    expect(found).toEqual([shared, shared]);
  });

  describe("gives the bits, ids and text of Node", () => {
    test.each(CASES)("%s", async (_, serving, where, model, options) => {
      const expected: Outcome = await examine(await loadDecoder(ON_DISK[model.path], asLoadOptions(options)));
      expect(expected.greedyText).toBe(TEXT);
      expect(expected.timersFired).toBe(true);
      expect(await answer(serving, { where, model, options })).toEqual(expected);
      if (options.kernels !== "reference") expect(expected.fingerprint).toEqual(FINGERPRINT.stories260K);
    });

    test("every op and dtype", async () => {
      expect(await onPage("plain", (page) => page.evaluate(() => globalThis.runOps()))).toEqual(FINGERPRINT.ops);
    });
  });

  describe("says as clearly as Node what is wrong with", () => {
    test.each(ERRORS)("%s", async (_, model, options, error) => {
      const source = await open(servers.plain.url, model);
      const inNode = await loadDecoder(source, asLoadOptions(options)).then(() => "loaded", errorText);
      expect(inNode).toMatch(error);
      expect(await answer("plain", { where: "page", model, options })).toEqual({ error: inNode });
    });

    test("threads without shared memory", async () => {
      const options = { threads: 2 };
      const { error } = (await answer("plain", { where: "page", model: GGUF, options })) as { error: string };
      expect(error).toMatch(/^RangeError: threads: 2 need SharedArrayBuffer.*COOP and COEP.*or take 1/);
    });

    test("a path, which only Node can open", async () => {
      const model: Served = { kind: "path", path: "models/stories260K" };
      const { error } = (await answer("plain", { where: "page", model, options: {} })) as { error: string };
      expect(error).toMatch(/^Error: "models\/stories260K" is a path, and there is no file system here: pass a File/);
    });
  });
});
