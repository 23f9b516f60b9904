/** One pass at a time: calls that run at once take turns, so that their buffers are those of one. */

import { abortable } from "../abort";

export class Turns {
  #last: Promise<void> = Promise.resolve();

  /**
   * Waits until all who asked before are done.
   *
   * @returns what the caller calls when it is done itself
   * @throws the signal's reason; the turn is passed on then
   */
  async take(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    const before = this.#last;
    let done: () => void = () => {};
    this.#last = new Promise((resolve) => {
      done = resolve;
    });
    try {
      await abortable(() => before, signal);
    } catch (error) {
      void before.then(done);
      throw error;
    }
    return done;
  }
}
