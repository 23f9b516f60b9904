/**
 * What a worker runs. As text, so that there is no file for a bundler to lose.
 *
 * The board is an Int32Array that all threads share, see `Board` in pool.ts. A ticket holds a job's number and the next
 * piece of it that nobody took: a piece is taken by exchanging the ticket, so a job that has ended cannot be entered,
 * and the job's other words are only trusted if the ticket is still the same after they were read.
 */
export const WORKER_SOURCE = `
"use strict";
const port = typeof require === "function" ? require("node:worker_threads").parentPort : self;
const [TICKET, DONE, PIECES, KERNEL, MODEL, UNITS, THREADS, FAILED, ASLEEP] = [0, 1, 2, 3, 4, 5, 6, 7, 16];
const SPIN_MS = 2;
const models = new Map();
let board, thread;

function work() {
  let seen = Atomics.load(board, TICKET);
  for (;;) {
    const ticket = Atomics.load(board, TICKET);
    const piece = ticket & 255;
    const pieces = Atomics.load(board, PIECES);
    if (piece >= pieces) return ticket !== seen;
    const kernel = board[KERNEL], model = models.get(board[MODEL]), units = board[UNITS];
    if (thread >= board[THREADS] || model === undefined) return false;
    if (Atomics.compareExchange(board, TICKET, ticket, ticket + 1) !== ticket) continue;
    try {
      const from = Math.floor((units * piece) / pieces), to = Math.floor((units * (piece + 1)) / pieces);
      model.kernels[kernel](model.args, from, to, thread);
    } catch {
      Atomics.store(board, FAILED, 1);
    }
    Atomics.add(board, DONE, 1);
    seen = -1;
  }
}

function spin() {
  Atomics.store(board, ASLEEP + thread, 0);
  let until = performance.now() + SPIN_MS;
  for (;;) {
    for (let i = 0; i < 200; i++) {
      const ticket = Atomics.load(board, TICKET);
      if ((ticket & 255) < Atomics.load(board, PIECES) && work()) until = performance.now() + SPIN_MS;
    }
    if (performance.now() > until) break;
  }
  Atomics.store(board, ASLEEP + thread, 1);
  // A job may have come between the last look and the flag: one more, now that the main thread would wake us.
  work();
}

function receive(message) {
  if (message.board) {
    board = message.board;
    thread = message.thread;
    Atomics.store(board, ASLEEP + thread, 1);
  } else if (message.add) {
    const { id, module, memory, names, args } = message.add;
    const { exports } = new WebAssembly.Instance(module, { qkv: { memory } });
    models.set(id, { args, kernels: names.map((name) => exports[name]) });
    port.postMessage(id);
  } else if (message.remove) {
    models.delete(message.remove);
  } else {
    spin();
  }
}

if (typeof port.on === "function") port.on("message", receive);
else port.onmessage = ({ data }) => receive(data);
`;
