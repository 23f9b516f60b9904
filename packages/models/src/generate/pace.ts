/** Letting timers, sockets and clicks have their turn during long work. */

/** How long work may hold the event loop, in ms: half of a frame at 60 Hz. */
const SLICE_MS = 8;

/** A function that gives a promise when it is time to let others run, else null. */
export function pacer(): () => Promise<void> | null {
  let last = performance.now();
  return () => {
    if (performance.now() - last < SLICE_MS) return null;
    return nextTurn().then(() => {
      last = performance.now();
    });
  };
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
