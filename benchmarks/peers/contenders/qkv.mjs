/** Ours, as it is published: the built packages. */

import { load as loadModel } from "../../../packages/models/dist/index.js";

/** @type {import("../contender").Load} */
export async function load({ gguf, threads, turbo, contextLength }) {
  const model = await loadModel(gguf, { contextLength, threads, turbo });
  return {
    note: null,
    async generate(ids, count, onToken) {
      for await (const { id } of model.generate(ids, { maxNewTokens: count, stopIds: [] })) onToken(id);
    },
  };
}
