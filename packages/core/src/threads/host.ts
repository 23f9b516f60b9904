/** What differs between Node and browsers: starting a worker, and counting processors. */

import { WORKER_SOURCE } from "./worker-source";

/** A worker, wherever it runs. */
export interface HostWorker {
  send(message: object): void;
  /** Whether the process must stay alive for it: while something is awaited of it, and never else. */
  keepAlive(wanted: boolean): void;
  /** Ends it; `ended` is not told. */
  end(): void;
}

/** What a worker tells. */
export interface WorkerEvents {
  readonly message: (data: unknown) => void;
  /** It ended by itself. */
  readonly ended: (why: string) => void;
}

/** Whether memory can be shared between threads: in browsers only on pages that are cross-origin isolated. */
export function sharingAvailable(): boolean {
  if (typeof SharedArrayBuffer === "undefined") return false;
  return (
    !("crossOriginIsolated" in globalThis) ||
    (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true
  );
}

/** Whether this is Node, or something that says so. */
export const inNode = () => typeof process !== "undefined" && process.versions?.node !== undefined;

/** Node's built-in modules, asked for only in Node: the package itself must load in a browser. */
export async function builtin<M>(specifier: string): Promise<M> {
  // A name that is no literal, and the two marks, keep every bundler from resolving it.
  return (await import(/* webpackIgnore: true */ /* @vite-ignore */ specifier)) as M;
}

/** Processors that this process may use, as the system tells; 1 where it does not. */
export async function processors(): Promise<number> {
  if (inNode()) return (await builtin<typeof import("node:os")>("node:os")).availableParallelism();
  return globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** Starts a worker on WORKER_SOURCE. It does not keep a process alive unless it is told to. */
export async function startWorker(events: WorkerEvents): Promise<HostWorker> {
  return inNode() ? startNodeWorker(events) : startWebWorker(events);
}

async function startNodeWorker({ message, ended }: WorkerEvents): Promise<HostWorker> {
  const { Worker } = await builtin<typeof import("node:worker_threads")>("node:worker_threads");
  // Nothing of the parent's is inherited: loaders and debuggers that it was started with have no business there.
  const worker = new Worker(WORKER_SOURCE, { eval: true, execArgv: [], env: {}, name: "qkv" });
  let over = false;
  worker.on("message", message);
  worker.on("error", (error) => over || ended(error.message));
  worker.on("exit", (code) => over || ended(`exit code ${code}`));
  worker.unref();
  return {
    send: (data) => worker.postMessage(data),
    keepAlive: (wanted) => (wanted ? worker.ref() : worker.unref()),
    end: () => {
      over = true;
      void worker.terminate();
    },
  };
}

async function startWebWorker({ message, ended }: WorkerEvents): Promise<HostWorker> {
  const url = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" }));
  const worker = new Worker(url, { name: "qkv" });
  worker.onmessage = ({ data }) => message(data);
  worker.onerror = (event) => ended(event.message || "it could not be started (is blob: in the page's worker-src?)");
  return {
    send: (data) => worker.postMessage(data),
    keepAlive: () => {},
    end: () => {
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}
