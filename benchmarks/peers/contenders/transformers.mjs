/** transformers.js on onnxruntime-node, from an ONNX export of the same weights. */

import { AutoModelForCausalLM, BaseStreamer, env, Tensor } from "@huggingface/transformers";

/** Its `generate` gives the prompt first, then each new token. */
class TokenStreamer extends BaseStreamer {
  #promptSeen = false;

  /** @param {(id: number) => void} onToken */
  constructor(onToken) {
    super();
    this.onToken = onToken;
  }

  /** @param {bigint[][]} value */
  put(value) {
    if (this.#promptSeen) this.onToken(Number(value[0][0]));
    this.#promptSeen = true;
  }

  end() {}
}

/** @type {import("../contender").Load} */
export async function load({ exports, dtype, threads }) {
  env.localModelPath = exports;
  env.allowRemoteModels = false;
  const model = await AutoModelForCausalLM.from_pretrained("smollm2", {
    dtype,
    device: "cpu",
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  return {
    async generate(ids, count, onToken) {
      const row = (/** @type {number[]} */ values) =>
        new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
      await model.generate({
        inputs: row(ids),
        attention_mask: row(ids.map(() => 1)),
        max_new_tokens: count,
        do_sample: false,
        eos_token_id: null, // else it stops where a text ends
        streamer: new TokenStreamer(onToken),
      });
    },
  };
}
