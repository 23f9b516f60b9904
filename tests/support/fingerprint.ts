/**
 * What a model computes, in a few lines that can be compared with ===: hashes of every bit, and the ids that it chooses.
 * Needs nothing but the web's own `crypto`, so that Node, a page and a worker run this very file.
 */

import type { Decoder, Tensor } from "@qkv/models";

/** What a model gave. Plain data: it goes through JSON and `postMessage` as it is. */
export interface Fingerprint {
  /** SHA-256 over all logits of the prompt. */
  readonly logits: string;
  /** SHA-256 of each captured tap, by name in the order of the pass: the first one that differs tells where to look. */
  readonly taps: Readonly<Record<string, string>>;
  /** New ids, greedy. */
  readonly greedy: readonly number[];
  /** New ids, sampled. */
  readonly seeded: readonly number[];
}

/** tests/fixtures/fingerprint.json: what every machine must give. */
export interface CommittedFingerprint {
  /** The embedded model, on the `wasm` kernels. */
  readonly stories260K: Fingerprint;
  /** See `opFingerprint`. */
  readonly ops: Readonly<Record<string, string>>;
}

export const PROMPT_TOKENS = 24;
export const NEW_TOKENS = 20;

/** Every step of sampling takes part. */
export const SAMPLING = { temperature: 0.8, topK: 50, topP: 0.95, seed: 7 };

/** The residual stream as it goes through the model, and what a softmax made. */
const TAPS = ["embeddings", "layers.*.attention.probs", "layers.*.output", "final"];

/**
 * Ids spread over the whole vocabulary, the first one included: no tokenizer is needed, and no row of the embedding is
 * likelier than another.
 */
export function promptIds(vocabSize: number): number[] {
  return Array.from({ length: PROMPT_TOKENS }, (_, i) => Math.floor((i * vocabSize) / PROMPT_TOKENS));
}

/** Takes the fingerprint of a loaded model, which stays loaded. */
export async function fingerprint(model: Decoder): Promise<Fingerprint> {
  const ids = promptIds(model.vocabSize);
  const { logits, captured } = model.run(ids, { capture: TAPS });
  const taps: Record<string, string> = {};
  for (const [name, tensor] of Object.entries(captured)) taps[name] = await hashTensor(tensor);
  // Always NEW_TOKENS: an end token would make the proof shorter.
  const generate = { maxNewTokens: NEW_TOKENS, stopIds: [] };
  return {
    logits: await hashTensor(logits),
    taps,
    greedy: (await model.generate(ids, generate).result()).ids,
    seeded: (await model.generate(ids, { ...generate, ...SAMPLING }).result()).ids,
  };
}

/** SHA-256 over a tensor's shape, as text, and the bits of its numbers, little-endian, in hexadecimal digits. */
export async function hashTensor({ data, shape }: Tensor): Promise<string> {
  const head = new TextEncoder().encode(`[${shape.join(", ")}]`);
  const bytes = new Uint8Array(head.length + 4 * data.length);
  bytes.set(head);
  const view = new DataView(bytes.buffer, head.length);
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length); // not the numbers: those may lose a NaN's bits
  for (let i = 0; i < bits.length; i++) view.setUint32(4 * i, bits[i], true);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
