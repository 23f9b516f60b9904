/** `load`, on the kernels that this run of the tests is about. */

import { setLeastSharedWork } from "@qkv/core";
import {
  type Decoder,
  type Encoder,
  type LoadOptions,
  loadEncoder as loadAnyEncoder,
  loadSeq2Seq as loadAnySeq2Seq,
  loadDecoder,
  type Seq2Seq,
  type SourceLike,
} from "@qkv/models";

const CHOICES: Readonly<Record<string, LoadOptions>> = {
  default: {},
  reference: { kernels: "reference" },
  "wasm, 1 thread": { kernels: "wasm", threads: 1 },
  "wasm, 2 threads": { kernels: "wasm", threads: 2 },
};

const name = process.env.QKV_TEST_KERNELS || "default";
if (CHOICES[name] === undefined) {
  throw new Error(`QKV_TEST_KERNELS: expected one of ${Object.keys(CHOICES).join("; ")}, got ${name}`);
}

/** What `QKV_TEST_KERNELS` chose. */
export const TEST_KERNELS: LoadOptions = CHOICES[name];

// Models of some thousand weights have no job that is worth sharing: here, all of them are shared.
if (TEST_KERNELS.threads === 2) setLeastSharedWork(0);

export function load(source: SourceLike, options: LoadOptions = {}): Promise<Decoder> {
  // An option that a test gives is what it is about.
  return loadDecoder(source, { ...TEST_KERNELS, ...options });
}

export function loadEncoder(source: SourceLike, options: LoadOptions = {}): Promise<Encoder> {
  return loadAnyEncoder(source, { ...TEST_KERNELS, ...options });
}

export function loadSeq2Seq(source: SourceLike, options: LoadOptions = {}): Promise<Seq2Seq> {
  return loadAnySeq2Seq(source, { ...TEST_KERNELS, ...options });
}
