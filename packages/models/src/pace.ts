/** Letting timers, sockets and clicks have their turn during long work. */

/** How long work may hold the event loop, in ms: half of a frame at 60 Hz. */
const SLICE_MS = 8;

/** Paces work that is done in pieces: between two of them, others run where it is time. */
export class Pacer {
  #last = performance.now();

  /** Whether the event loop has been held for long enough. Cheap: asked after every layer. */
  readonly due = (): boolean => performance.now() - this.#last >= SLICE_MS;

  /** Lets others run. */
  async rest(): Promise<void> {
    await nextTurn();
    this.#last = performance.now();
  }
}

/** Resolves in a later turn of the event loop: after timers and input that are due, unlike a microtask. */
function nextTurn(): Promise<void> {
  if (typeof setImmediate === "function") return new Promise((resolve) => setImmediate(resolve));
  // Browsers clamp nested timeouts to 4 ms; a message comes at once.
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
