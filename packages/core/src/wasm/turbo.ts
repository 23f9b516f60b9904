/** Speed that must be asked for: what an engine has behind its flags. */

import { type EngineFeatures, engineFeatures, relaxedDotAvailable } from "./engine";

/** The first Node whose V8 joins vectors without mistakes that we know of. */
const WIDE_FROM_NODE = 24;

let turbo: Promise<EngineFeatures> | null = null;

/**
 * What the engine offers with its experimental flags on: in Node 20 the relaxed dot product, from Node 24 on V8's
 * revectorizer, which makes one 256-bit operation of two neighbouring ones. Neither changes a bit of any result. The
 * flags are set for the whole process. Elsewhere there are none to set, and this is `engineFeatures()`.
 */
export function turboFeatures(): Promise<EngineFeatures> {
  turbo ??= enable();
  return turbo;
}

async function enable(): Promise<EngineFeatures> {
  const features = engineFeatures(); // before any flag: it tells what the compiler is
  const node = typeof process === "undefined" ? undefined : process.versions?.node;
  if (node === undefined) return features;
  const specifier = "node:v8";
  const v8 = (await import(/* webpackIgnore: true */ /* @vite-ignore */ specifier)) as typeof import("node:v8");
  if (typeof v8.setFlagsFromString !== "function") return features;
  if (!features.relaxedDot) v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
  const wide = Number.parseInt(node, 10) >= WIDE_FROM_NODE;
  if (wide) v8.setFlagsFromString("--experimental-wasm-revectorize");
  return { ...features, relaxedDot: relaxedDotAvailable(), wide };
}
