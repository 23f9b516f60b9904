/** What the test asks for, and the work itself: the same code in Node and in a browser. */

import type { Decoder, FileSource, LoadOptions, SourceLike } from "@qkv/models";
import { type Fingerprint, fingerprint, NEW_TOKENS, SAMPLING } from "../support/fingerprint";

/** A model that the server has, and how it is fetched. */
export type Served =
  /** The whole file is fetched first, as if a user had picked it. */
  | { readonly kind: "file"; readonly path: string }
  /** Only what is asked for is fetched, by HTTP ranges. */
  | { readonly kind: "folder"; readonly path: string }
  /** Passed on as it is. There are no paths in a browser: an error is expected. */
  | { readonly kind: "path"; readonly path: string };

/** Options as data, so that a test can name some that `load` does not know, or does not know yet. */
export type Options = Readonly<Record<string, unknown>>;

/** One thing to do, as JSON. */
export interface Job {
  readonly where: "page" | "worker";
  readonly model: Served;
  readonly options: Options;
}

/** What a loaded model gave. */
export interface Outcome {
  readonly fingerprint: Fingerprint;
  /** The new text after `PROMPT`, greedy and sampled. */
  readonly greedyText: string | null;
  readonly seededText: string | null;
  /** Whether timers had their turn while tokens were made. */
  readonly timersFired: boolean;
}

export const PROMPT = "Once upon a time";

/** Timers that must have fired, and tokens that it must not take: seconds of work, even with fast kernels a tenth. */
const TICKS = 3;
const TOO_MANY_TOKENS = 2000;

/** Options that nobody has checked: `load` is to throw for what it does not know. */
export function asLoadOptions(options: Options): LoadOptions {
  return options as LoadOptions;
}

/** A model that the server at `origin` has, as a source for `load`. */
export async function open(origin: string, { kind, path }: Served): Promise<SourceLike> {
  if (kind === "path") return path;
  if (kind === "folder") return servedFolder(`${origin}/models/${path}/`, path);
  const response = await fetch(`${origin}/models/${path}`);
  if (!response.ok) throw new Error(`${path}: the server says ${response.status}`);
  return new File([await response.blob()], path);
}

/** A folder behind HTTP, read piece by piece as the documentation of FileSource shows. */
function servedFolder(base: string, name: string): FileSource {
  return {
    name,
    async read(path, start, end, { signal } = {}) {
      if (start === end) return new Uint8Array();
      const headers = { range: `bytes=${start}-${end - 1}` };
      const response = await fetch(base + path, { headers, signal: signal ?? null });
      if (response.status === 404) return null;
      if (response.status === 416) return new Uint8Array(); // past the end
      if (response.status !== 206) throw new Error(`${path}: the server says ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

/** Everything that is compared between Node and a browser. Disposes of the model. */
export async function examine(model: Decoder): Promise<Outcome> {
  try {
    return {
      fingerprint: await fingerprint(model),
      greedyText: (await model.generate(PROMPT, { maxNewTokens: NEW_TOKENS }).result()).text,
      seededText: (await model.generate(PROMPT, { maxNewTokens: NEW_TOKENS, ...SAMPLING }).result()).text,
      timersFired: await timersFire(model),
    };
  } finally {
    model.dispose();
  }
}

/**
 * Has a timer call off a generation that is far too long. No clock is read: where timers have no turn, the generation
 * comes to its end, however fast or slow the machine is.
 */
async function timersFire(model: Decoder): Promise<boolean> {
  const caller = new AbortController();
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
    if (ticks === TICKS) caller.abort();
  }, 0);
  const { signal } = caller;
  try {
    await model.generate(PROMPT, { maxNewTokens: TOO_MANY_TOKENS, stopIds: [], signal }).result();
    return false;
  } catch (error) {
    if (error !== signal.reason) throw error;
    return true;
  } finally {
    clearInterval(timer);
  }
}

/** "ModelFileError: model.gguf: ...", for an outcome that is an error. */
export function errorText(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : `no Error was thrown, but ${String(error)}`;
}
