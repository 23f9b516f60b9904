/**
 * 100 times load, generate and dispose, then 10,000 tokens through a context that slides, in a process of its own.
 * Prints the resident memory after each cycle and every 1,000 tokens, as JSON.
 */

import { load } from "@qkv/models";

const [path, options] = [process.argv[2], JSON.parse(process.argv[3])];
const CYCLES = 100;
const TOKENS = 10_000;
const CONTEXT = 128;

// What is left after a collection: when the engine collects by itself is its own affair.
const megabytes = () => {
  globalThis.gc();
  return process.memoryUsage.rss() / 2 ** 20;
};
const cycles = [];
for (let cycle = 0; cycle < CYCLES; cycle++) {
  const model = await load(path, { contextLength: CONTEXT, ...options });
  await model.generate([1], { maxNewTokens: 20, stopIds: [] }).result();
  model.dispose();
  cycles.push(megabytes());
}

const tokens = [];
const model = await load(path, { contextLength: CONTEXT, ...options });
const cache = model.createCache();
const history = [1];
let next = history;
for (let n = 1; n <= TOKENS; n++) {
  if (cache.length + next.length > cache.capacity) {
    // Slide: the last half once more, from position 0 on.
    cache.truncate(0);
    next = history.slice(-CONTEXT / 2);
  }
  const { logits } = model.run(next, { cache, logitsToKeep: 1 });
  const id = logits.data.indexOf(logits.data.reduce((a, b) => Math.max(a, b)));
  history.push(id);
  next = [id];
  if (n % 1000 === 0) tokens.push(megabytes());
}
model.dispose();
console.log(JSON.stringify({ cycles, tokens, end: megabytes() }));
