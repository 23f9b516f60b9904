/** The bundle's entry: what an application does with the library in a browser. Runs in a page, and in a worker of it. */

import { loadDecoder } from "qkv";
import { opFingerprint } from "../support/op-fingerprint";
import { asLoadOptions, errorText, examine, type Job, type Outcome, open } from "./job";

/** What a job gives: its outcome, or the error of `load`. */
export type Answer = Outcome | { readonly error: string };

declare global {
  /** Does a job: called by the test through the browser's debugger. */
  var runJob: (job: Job) => Promise<Answer>;
  /** Hashes of what the kernels compute. */
  var runOps: () => Promise<Record<string, string>>;
}

async function runHere(job: Job): Promise<Answer> {
  // Only what `load` throws is an answer; anything later is a failure of the test.
  const model = await open(location.origin, job.model)
    .then((source) => loadDecoder(source, asLoadOptions(job.options)))
    .catch(errorText);
  return typeof model === "string" ? { error: model } : examine(model);
}

/** The same bundle as a worker, which takes one job. */
function runInWorker(job: Job): Promise<Answer> {
  const worker = new Worker(import.meta.url, { type: "module" });
  const answer = new Promise<Answer>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Answer>) => resolve(data);
    // An event without a message is a script that did not load.
    worker.onerror = ({ message = "its script did not load" }) => reject(new Error(`in the worker: ${message}`));
    worker.postMessage(job);
  });
  return answer.finally(() => worker.terminate());
}

if (typeof document === "undefined") {
  globalThis.onmessage = async ({ data }: MessageEvent<Job>) => {
    try {
      globalThis.postMessage(await runHere(data));
    } catch (error) {
      // A rejection is not an error event of the worker; what is thrown by a timer is.
      setTimeout(() => {
        throw error;
      });
    }
  };
} else {
  globalThis.runOps = opFingerprint;
  globalThis.runJob = (job) => (job.where === "worker" ? runInWorker(job) : runHere(job));
}
