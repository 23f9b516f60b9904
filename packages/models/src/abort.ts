/** Waiting that can be called off. */

/** A promise that an abort rejects at once, whether or not the work behind it ever ends. Called off before: not started. */
export async function abortable<T>(start: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return start();
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const settled = () => signal.removeEventListener("abort", abort);
    start().then(resolve, reject).finally(settled);
  });
}
