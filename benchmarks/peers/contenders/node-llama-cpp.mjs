/** llama.cpp's own kernels, from the same GGUF file; on the CPU, with the binary that npm installed. */

import { getLlama, LlamaLogLevel } from "node-llama-cpp";

/** @type {import("../contender").Load} */
export async function load({ gguf, threads, contextLength }) {
  const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: LlamaLogLevel.error });
  const model = await llama.loadModel({ modelPath: gguf });
  const context = await model.createContext({
    contextSize: contextLength,
    sequences: 1,
    threads: { ideal: threads, min: threads }, // a number alone is only a hint
  });
  const sequence = context.getSequence();
  return {
    async generate(ids, count, onToken) {
      await sequence.clearHistory();
      let produced = 0;
      // Its own defaults are greedy at temperature 0; `yieldEogToken` keeps it going past the end of a text.
      for await (const id of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
        onToken(id);
        if (++produced === count) break;
      }
      if (context.currentThreads !== threads) throw new Error(`${context.currentThreads} threads were used`);
    },
  };
}
