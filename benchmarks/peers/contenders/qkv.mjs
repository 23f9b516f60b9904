/** Ours, as it is published: the built packages. */

import { load as loadModel } from "../../../packages/models/dist/index.js";

/** @type {import("../contender").Load} */
export async function load({ gguf, threads, turbo, contextLength }) {
  const { model, note } = await open(gguf, { contextLength, threads, turbo });
  return {
    note,
    async generate(ids, count, onToken) {
      for await (const { id } of model.generate(ids, { maxNewTokens: count, stopIds: [] })) onToken(id);
    },
  };
}

/**
 * TODO: remove, with `note` here and `reference` in measure.mjs, when `load` knows both options.
 *
 * @param {string} gguf
 * @param {{ contextLength: number, threads: number, turbo: boolean }} options
 */
async function open(gguf, { contextLength, ...fast }) {
  try {
    return { model: await loadModel(gguf, { contextLength, ...fast }), note: null };
  } catch (error) {
    if (!(error instanceof TypeError && /threads|turbo/.test(error.message))) throw error;
    return { model: await loadModel(gguf, { contextLength }), note: "one thread, reference kernels, 16 and 4 tokens" };
  }
}
