/** How far long work has come: a line on a terminal that is written over and taken away at the end. */

import { formatCount } from "./output";
import type { Terminal } from "./terminal";

/** Work that is done sooner needs no bar, in ms. */
const SHOWN_AFTER = 1000;
/** Between two of its states, in ms: what an eye can follow. */
const REDRAWN_AFTER = 100;
/** Characters of the bar itself. */
const WIDTH = 24;

/** A progress bar on standard error; nothing at all where that is no terminal. */
export class ProgressBar {
  readonly #stderr: Terminal["stderr"];
  readonly #isShown: boolean;
  readonly #start: number;
  readonly #now: () => number;
  #drawn: number;
  #length = 0;

  /** @param now the time in ms */
  constructor({ stderr, env }: Pick<Terminal, "stderr" | "env">, now: () => number = () => performance.now()) {
    this.#stderr = stderr;
    this.#isShown = stderr.isTTY === true && env.TERM !== "dumb";
    this.#now = now;
    this.#start = now();
    this.#drawn = this.#start + SHOWN_AFTER - REDRAWN_AFTER;
  }

  /**
   * Shows how much is done, if it is time.
   *
   * @param texts so many are done
   * @param part of the whole, 0 to 1; null where nobody knows how much is to come
   */
  update(texts: number, part: number | null): void {
    const now = this.#now();
    if (!this.#isShown || now - this.#drawn < REDRAWN_AFTER) return;
    this.#drawn = now;
    const speed = (1000 * texts) / (now - this.#start);
    const rate = `${speed < 10 ? speed.toFixed(1) : formatCount(Math.round(speed))}/s`;
    this.#draw(`${part === null ? "" : bar(part)}${formatCount(texts)} ${texts === 1 ? "text" : "texts"}, ${rate}`);
  }

  /** Takes it away: before anything else is written, and at the end. */
  clear(): void {
    if (this.#length > 0) this.#draw("");
  }

  /** Over what stands there, without escape sequences, which not every terminal knows. */
  #draw(line: string): void {
    const back = line.length < this.#length ? `\r${" ".repeat(this.#length)}` : "";
    this.#stderr.write(`${back}\r${line}`);
    this.#length = line.length;
  }
}

function bar(part: number): string {
  const held = Math.min(1, Math.max(0, part));
  const full = Math.round(held * WIDTH);
  const percent = String(Math.floor(100 * held)).padStart(3);
  return `[${"=".repeat(full)}${" ".repeat(WIDTH - full)}] ${percent}% `;
}
