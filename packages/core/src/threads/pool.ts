/**
 * Threads that share the work of a kernel: the thread that calls it, and workers on the same memory.
 *
 * A job is cut into pieces, and every thread takes the next one until none is left, the caller too. So a worker that
 * sleeps, or that the system gives no time, costs nothing but its help; the caller waits for pieces that were taken,
 * never for a thread. Pieces are parts of the output: who computes which changes no number.
 */

import { type HostWorker, startWorker } from "./host";

/** Words of the board that threads share. The worker's text has the same numbers. */
const TICKET = 0;
const DONE = 1;
const PIECES = 2;
const KERNEL = 3;
const MODEL = 4;
const UNITS = 5;
const THREADS = 6;
const FAILED = 7;
const ASLEEP = 16;
const BOARD_WORDS = ASLEEP + 256;

/** A ticket's low byte is the next piece. */
const PIECE_BITS = 8;
/** Pieces of a long job for each of its threads: enough to even out what disturbs one of them. */
export const PIECES_A_THREAD = 4;
/** Most threads of a pool. */
export const MAX_THREADS = 32;
/** A piece takes some milliseconds; a thread that kept one for so long will not bring it back. */
const LOST_MS = 20_000;

/** A worker thread ended, or failed in the middle of a job. */
export class ThreadError extends Error {
  override readonly name = "ThreadError";
}

/** What workers need of a model. */
export interface SharedModule {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The exports that jobs name by their index. */
  readonly names: readonly string[];
  /** Their first argument. */
  readonly args: number | bigint;
}

/** A model's share of the pool. */
export interface Lease {
  readonly threads: number;
  /**
   * Runs a kernel's `units` on all threads of the lease, in at most `pieces` pieces: a small job in as many as there
   * are threads, as taking a piece costs about half a microsecond.
   *
   * @param own the same kernel for this thread: a range, and 0 as its number
   * @throws ThreadError if a worker ended or failed
   */
  run(kernel: number, units: number, pieces: number, own: (from: number, to: number) => void): void;
  /** Gives the share back; the last one to do so ends the workers. */
  release(): void;
}

let pool: Pool | null = null;
let models = 0;

/** Makes `threads` threads (this one, and workers) ready to run the kernels of a module. */
export async function lease(threads: number, shared: SharedModule): Promise<Lease> {
  pool ??= new Pool();
  const own = pool;
  const id = ++models;
  own.retain();
  try {
    await own.grow(threads);
    await own.add(id, shared);
  } catch (error) {
    own.remove(id);
    own.release();
    throw error;
  }
  let released = false;
  return {
    threads,
    run: (kernel, units, pieces, work) => own.run(id, threads, kernel, units, Math.min(units, pieces), work),
    release: () => {
      if (released) return;
      released = true;
      own.remove(id);
      own.release();
    },
  };
}

class Pool {
  readonly #board = new Int32Array(new SharedArrayBuffer(4 * BOARD_WORDS));
  readonly #workers: HostWorker[] = [];
  readonly #modules = new Map<number, SharedModule>();
  readonly #waiting = new Map<string, { done: () => void; failed: (error: Error) => void }>();
  #growing: Promise<void> = Promise.resolve();
  #leases = 0;
  #job = 0;
  #failure: ThreadError | null = null;

  retain(): void {
    this.#leases++;
  }

  release(): void {
    this.#leases--;
    if (this.#leases > 0) return;
    if (pool === this) pool = null;
    for (const worker of this.#workers.splice(0)) worker.end();
  }

  /** Starts workers until there are `threads` with the caller. One call after the other: each counts what is there. */
  grow(threads: number): Promise<void> {
    const grown = this.#growing.then(() => this.#grow(threads));
    this.#growing = grown.catch(() => {}); // who waited for it has the error
    return grown;
  }

  async #grow(threads: number): Promise<void> {
    while (this.#workers.length + 1 < threads) {
      const index = this.#workers.length + 1;
      const worker = await startWorker({
        message: (id) => this.#waiting.get(`${index}:${id}`)?.done(),
        ended: (why) => this.#ended(why),
      });
      if (this.#leases === 0) return worker.end();
      this.#workers.push(worker);
      worker.send({ board: this.#board, thread: index });
      await Promise.all([...this.#modules].map(([id, shared]) => this.#tell(index, id, shared)));
    }
  }

  async add(id: number, shared: SharedModule): Promise<void> {
    this.#modules.set(id, shared);
    await Promise.all(this.#workers.map((_, i) => this.#tell(i + 1, id, shared)));
  }

  remove(id: number): void {
    this.#modules.delete(id);
    for (const worker of this.#workers) worker.send({ remove: id });
  }

  run(
    model: number,
    threads: number,
    kernel: number,
    units: number,
    pieces: number,
    own: (from: number, to: number) => void,
  ): void {
    this.#check();
    const board = this.#board;
    Atomics.store(board, PIECES, 0);
    board[DONE] = 0;
    board[KERNEL] = kernel;
    board[MODEL] = model;
    board[UNITS] = units;
    board[THREADS] = threads;
    // The ticket before the pieces: whoever sees this job's pieces sees all of it.
    this.#job = (this.#job + 1) & 0x7fffff;
    const first = this.#job << PIECE_BITS;
    Atomics.store(board, TICKET, first);
    Atomics.store(board, PIECES, pieces);
    for (let i = 1; i < threads; i++) {
      if (Atomics.load(board, ASLEEP + i) === 1 && Atomics.exchange(board, ASLEEP + i, 0) === 1) {
        this.#workers[i - 1].send({});
      }
    }
    let failure: { readonly error: unknown } | null = null;
    for (;;) {
      const ticket = Atomics.load(board, TICKET);
      const piece = ticket - first;
      if (piece >= pieces) break;
      if (Atomics.compareExchange(board, TICKET, ticket, ticket + 1) !== ticket) continue;
      try {
        own(Math.floor((units * piece) / pieces), Math.floor((units * (piece + 1)) / pieces));
      } catch (error) {
        failure ??= { error }; // thrown when the others are done: they still write to what this job is about
      }
      Atomics.add(board, DONE, 1);
    }
    this.#wait(pieces);
    Atomics.store(board, PIECES, 0);
    if (failure !== null) {
      board[FAILED] = 0; // the workers met what this thread met
      throw failure.error;
    }
    if (board[FAILED] !== 0) this.#fail("a kernel failed on a worker thread");
  }

  #wait(pieces: number): void {
    const board = this.#board;
    let since = 0;
    for (let spins = 1; Atomics.load(board, DONE) < pieces; spins++) {
      if (spins % 4096 !== 0) continue;
      const now = performance.now();
      since ||= now;
      if (now - since > LOST_MS) {
        this.#fail(`a worker thread did not finish its part in ${LOST_MS / 1000} s`);
      }
    }
  }

  #tell(index: number, id: number, shared: SharedModule): Promise<void> {
    const key = `${index}:${id}`;
    return new Promise<void>((resolve, reject) => {
      const worker = this.#workers[index - 1];
      worker.keepAlive(true);
      const end = () => {
        this.#waiting.delete(key);
        const others = [...this.#waiting.keys()].some((other) => other.startsWith(`${index}:`));
        if (!others) worker.keepAlive(false);
      };
      this.#waiting.set(key, {
        done: () => {
          end();
          resolve();
        },
        failed: (error) => {
          end();
          reject(error);
        },
      });
      const { failed } = this.#waiting.get(key) as { failed: (error: Error) => void };
      if (this.#failure !== null) return failed(this.#failure);
      try {
        worker.send({ add: { id, ...shared } });
      } catch (error) {
        failed(error as Error);
      }
    });
  }

  #ended(why: string): void {
    if (this.#leases === 0) return;
    this.#broken(`a worker thread ended: ${why}`);
  }

  /** Notes what went wrong: an error of all that uses this pool from now on. Who loads next gets workers of their own. */
  #broken(what: string): ThreadError {
    this.#failure ??= new ThreadError(`${what}; load the model anew, or with threads: 1`);
    for (const { failed } of [...this.#waiting.values()]) failed(this.#failure);
    if (pool === this) pool = null;
    return this.#failure;
  }

  #fail(what: string): never {
    throw this.#broken(what);
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}
