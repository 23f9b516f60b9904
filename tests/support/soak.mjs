/**
 * 100 times load, generate and dispose, then 10,000 tokens through a context that slides, in a process of its own.
 * Prints the resident memory after each cycle and every 1,000 tokens, as JSON.
 */

import { load } from "@qkv/models";

const [path, options] = [process.argv[2], JSON.parse(process.argv[3])];
const CYCLES = 100;
const TOKENS = 10_000;
const CONTEXT = 128;

/** What is left after a collection: when the engine collects by itself is its own affair. Memory is freed a turn later. */
async function megabytes() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return process.memoryUsage.rss() / 2 ** 20;
}

/** Tokens through a context that slides: when it is full, its last half is read once more from position 0 on. */
function slide(model, count) {
  const cache = model.createCache();
  const history = [1];
  let next = history;
  for (let n = 1; n <= count; n++) {
    if (cache.length + next.length > cache.capacity) {
      cache.truncate(0);
      next = history.slice(-CONTEXT / 2);
    }
    const { logits } = model.run(next, { cache, logitsToKeep: 1 });
    const id = logits.data.indexOf(logits.data.reduce((a, b) => Math.max(a, b)));
    history.push(id);
    next = [id];
  }
  model.releaseCache(cache);
}

const cycles = [];
for (let cycle = 0; cycle < CYCLES; cycle++) {
  const model = await load(path, { contextLength: CONTEXT, ...options });
  await model.generate([1], { maxNewTokens: 20, stopIds: [] }).result();
  // As much of what follows as brings the engine's own young generation to the size that it works at.
  slide(model, 300);
  model.dispose();
  cycles.push(await megabytes());
}

const tokens = [];
const model = await load(path, { contextLength: CONTEXT, ...options });
for (let n = 0; n < TOKENS; n += 1000) {
  slide(model, 1000);
  tokens.push(await megabytes());
}
model.dispose();
console.log(JSON.stringify({ cycles, tokens, end: await megabytes() }));
