/** Threads: the same bits, errors that reach the caller, and workers that keep nobody waiting. */

import { execFile } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { setLeastSharedWork, ThreadError } from "@qkv/core";
import { loadDecoder } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesOf, place } from "../ops/case";
import { Random } from "../ops/random";
import { repository } from "../support/fixtures";
import { wasmKernels } from "./implementations";

const STORIES = repository("packages/cli/models/stories260K");

beforeAll(() => setLeastSharedWork(0));
afterAll(() => setLeastSharedWork(60_000));

/** Node's workers that were sent something while `action` ran. */
async function workersOf<T>(action: () => Promise<T>): Promise<{ result: T; workers: Worker[] }> {
  const workers = new Set<Worker>();
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (this: Worker, ...message: Parameters<typeof postMessage>) {
    workers.add(this);
    return postMessage.apply(this, message);
  };
  try {
    return { result: await action(), workers: [...workers] };
  } finally {
    Worker.prototype.postMessage = postMessage;
  }
}

describe("a matmul", () => {
  test.each([1, 2, 3])("of 7 x 300 x 1000 on %i threads has the bits of one thread", async (threads) => {
    const results = [];
    for (const count of [1, threads]) {
      const kernels = await wasmKernels({ threads: count });
      const random = new Random(5);
      const x = place(kernels.arena, random.normal(7 * 300));
      const weight = kernels.createMatrix("F32", 1000, 300);
      kernels.writeRows(weight, 0, bytesOf(random.normal(1000 * 300)));
      const out = kernels.arena.allocate(4 * 7 * 1000, "results");
      for (let i = 0; i < 50; i++) kernels.matmul(out, x, weight, null, 7);
      results.push(kernels.arena.f32(out, 7000).slice());
      expect(kernels.threads).toBe(count);
      kernels.dispose();
    }
    expect(results[1]).toEqual(results[0]);
  });
});

describe("models", () => {
  test("two that generate at once, on the same workers, tell what each tells alone", async () => {
    const options = { maxNewTokens: 60, stopIds: [] };
    await using first = await loadDecoder(STORIES, { threads: 2 });
    await using second = await loadDecoder(STORIES, { threads: 3 });
    expect([first.kernels.threads, second.kernels.threads]).toEqual([2, 3]);
    const alone = await first.generate("Once upon a time", options).result();
    const other = await second.generate("The dog", options).result();
    const together = await Promise.all([
      first.generate("Once upon a time", options).result(),
      second.generate("The dog", options).result(),
      first.generate("The dog", options).result(),
    ]);
    expect(together.map(({ ids }) => ids)).toEqual([alone.ids, other.ids, other.ids]);
  });

  test("two that load at once share the workers, each with a number of its own", async () => {
    const { result: models, workers } = await workersOf(() =>
      Promise.all([loadDecoder(STORIES, { threads: 3 }), loadDecoder(STORIES, { threads: 2 })]),
    );
    expect(workers).toHaveLength(2);
    const [first, second] = models.map((model) => model.run([1, 403, 407]).logits.data);
    expect(second).toEqual(first);
    for (const model of models) model.dispose();
  });

  test("a kernel that throws on this thread leaves the next job whole", async () => {
    const kernels = await wasmKernels({ threads: 2 });
    const table = kernels.createMatrix("F32", 64, 64);
    kernels.writeRows(table, 0, bytesOf(new Random(1).normal(64 * 64)));
    const out = kernels.arena.allocate(4 * 64 * 64, "results");
    const ids = Array.from({ length: 64 }, (_, i) => i);
    kernels.embedding(out, table, ids);
    const right = kernels.arena.f32(out, 64 * 64).slice();
    const outside = ids.map((id) => (id % 8 === 0 ? 2 ** 20 : id));
    expect(() => kernels.embedding(out, table, outside)).toThrow(WebAssembly.RuntimeError);
    for (let i = 0; i < 100; i++) kernels.embedding(out, table, ids);
    expect(kernels.arena.f32(out, 64 * 64)).toEqual(right);
    kernels.dispose();
  });

  test("a worker that dies is an error of the next pass, and of nobody else; who loads anew gets workers that live", async () => {
    const { result: model, workers } = await workersOf(() => loadDecoder(STORIES, { threads: 2 }));
    expect(workers).toHaveLength(1);
    expect(model.run([1]).logits.shape).toEqual([1, 512]);
    await workers[0].terminate();
    expect(() => model.run([1])).toThrow(ThreadError);
    await expect(model.generate([1], { maxNewTokens: 3 }).result()).rejects.toThrow(
      /worker thread ended.*load the model anew/,
    );
    await using again = await loadDecoder(STORIES, { threads: 2 });
    expect(again.run([1]).logits.shape).toEqual([1, 512]);
    model.dispose();
    expect(again.run([1, 2]).logits.shape).toEqual([2, 512]);
  });

  test("dispose of the last model ends the workers", async () => {
    const { result: model, workers } = await workersOf(() => loadDecoder(STORIES, { threads: 3 }));
    expect(workers).toHaveLength(2);
    const ended = Promise.all(workers.map((worker) => once(worker, "exit")));
    model.dispose();
    await ended;
  });

  test("a process ends although a model with workers was never disposed", async () => {
    const script = `
      import { loadDecoder } from "@qkv/models";
      const model = await loadDecoder(${JSON.stringify(STORIES)}, { threads: 2 });
      const { text } = await model.generate("Once upon a time", { maxNewTokens: 5 }).result();
      console.log(model.kernels.threads, text);
    `;
    const conditions = process.env.QKV_TEST_DIST === "1" ? [] : ["--conditions=qkv-source"];
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...conditions, "--import", "tsx", "--input-type=module", "--eval", script],
      { cwd: repository("packages/cli"), timeout: 30_000 },
    );
    expect(stdout).toMatch(/^2 ,? ?\w+/);
  });
});
