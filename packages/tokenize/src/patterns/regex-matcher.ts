/**
 * Finds the matches of a compiled regular expression: backtracking with a stack of its own, where a choice that has
 * failed at a place is never tried there again. So the time of a whole search stays within text times program.
 */

import { unreachable } from "../errors";
import { MAX_REGEX_MEMORY } from "../limits";
import { isWord } from "./code-set";
import type { Matcher } from "./pattern";
import { Op, type RegexProgram } from "./regex-program";
import type { AssertionKind } from "./regex-syntax";

/** Positions in a block of remembered failures. */
const BLOCK_BITS = 8;
const BLOCK = 1 << BLOCK_BITS;
/** What a slot remembers of a place; where it keeps ends, `end + SUCCEEDED` stands for a success. */
const FAILED = 1;
const SUCCEEDED = 2;
/** Numbers in a stack entry: instruction and state, rounds that have not moved, place, and for a loop its start. */
const ENTRY = 4;
const FIRST_STACK = 256;
/** Numbers of the stack that stay from one search to the next. */
const MAX_KEPT_STACK = 1 << 16;

type Block = Uint8Array | Int32Array;

export function regexMatcher(program: RegexProgram): Matcher {
  // Kept from search to search. A search inside of `found` starts where the stack is empty.
  const stack = { entries: new Int32Array(FIRST_STACK) };
  return (text, from, to, found) => {
    try {
      findAll(new Search(program, stack, text, from, to), from, to, found);
    } finally {
      if (stack.entries.length > MAX_KEPT_STACK) stack.entries = new Int32Array(FIRST_STACK);
    }
  };
}

function findAll(search: Search, from: number, to: number, found: (start: number, end: number) => void): void {
  let lastEnd = -1;
  for (let at = from; at <= to; ) {
    const start = search.findStart(at);
    if (start === -1) return;
    const { end } = search;
    // As onig's iterator does: no empty match where the last match ended.
    if (start === end && end === lastEnd) {
      at = search.after(end);
      continue;
    }
    at = end;
    lastEnd = end;
    found(start, end);
  }
}

class Search {
  readonly #program: RegexProgram;
  readonly #stack: { entries: Int32Array };
  readonly #text: string;
  readonly #from: number;
  readonly #to: number;
  #top = 0;
  /** By place / BLOCK, then by slot. */
  #rows: ((Block | undefined)[] | undefined)[] = [];
  #firstRow = 0;
  #memory = 0;
  /** Where the last found match ends. */
  end = 0;

  constructor(program: RegexProgram, stack: { entries: Int32Array }, text: string, from: number, to: number) {
    this.#program = program;
    this.#stack = stack;
    this.#text = text;
    this.#from = from;
    this.#to = to;
  }

  /** The first start of a match from `at` on, or -1. */
  findStart(at: number): number {
    const { starts, looksBack } = this.#program;
    for (let start = at; start <= this.#to; start = this.after(start)) {
      if (starts !== null) {
        if (start === this.#to) return -1;
        const unit = this.#text.charCodeAt(start);
        if (unit < 128 && starts[unit] === 0) continue;
      }
      this.#forgetBefore(start - looksBack);
      this.#top = 0;
      this.end = this.#run(0, start);
      if (this.end !== -1) return start;
    }
    return -1;
  }

  /** The place after the character at `at`. */
  after(at: number): number {
    const isPair = (this.#text.charCodeAt(at) & 0xfc00) === 0xd800 && at + 1 < this.#to;
    return isPair ? at + 2 : at + 1;
  }

  /** Where the region at `entry` ends when it is matched from `start` on, or -1. */
  #run(entry: number, start: number): number {
    const { ops, x, y, slots, hasEnds, guards, sets, assertions } = this.#program;
    const text = this.#text;
    const from = this.#from;
    const to = this.#to;
    const base = this.#top;
    let pc = entry;
    let at = start;
    let rounds = 0;
    for (;;) {
      let goesOn = false;
      switch (ops[pc]) {
        case Op.character:
        case Op.set: {
          if (at >= to) break;
          let code = text.charCodeAt(at);
          let width = 1;
          if ((code & 0xfc00) === 0xd800 && at + 1 < to) {
            code = text.codePointAt(at) as number;
            if (code > 0xffff) width = 2;
          }
          if (ops[pc] === Op.character ? code !== x[pc] : !sets[x[pc]].has(code)) break;
          at += width;
          rounds = 0;
          pc++;
          goesOn = true;
          break;
        }
        case Op.characterBack:
        case Op.setBack: {
          if (at <= from) break;
          const before = previous(text, at, from);
          const code = text.codePointAt(before) as number;
          if (ops[pc] === Op.characterBack ? code !== x[pc] : !sets[x[pc]].has(code)) break;
          at = before;
          rounds = 0;
          pc++;
          goesOn = true;
          break;
        }
        case Op.split: {
          const guard = guards[pc];
          if (guard !== null) {
            const unit = at < to ? text.charCodeAt(at) : -1;
            if (unit < 0 || (unit < 128 && guard[unit] === 0)) {
              pc = y[pc];
              goesOn = true;
              break;
            }
          }
          const known = this.#recall(slots[pc] + rounds, at);
          if (known >= SUCCEEDED) return this.#succeed(entry, base, hasEnds[slots[pc]] === 1 ? known - SUCCEEDED : at);
          if (known === FAILED) break;
          this.#push(pc * 2, rounds, at, at);
          pc = x[pc];
          goesOn = true;
          break;
        }
        case Op.loop: {
          const slot = slots[pc];
          let known = this.#recall(slot + rounds, at);
          if (known >= SUCCEEDED) return this.#succeed(entry, base, hasEnds[slot] === 1 ? known - SUCCEEDED : at);
          if (known === FAILED) break;
          const set = sets[x[pc]];
          const first = at;
          let last = at;
          // From a place where this loop has failed before, all that it could try on from there has failed too.
          let isStopped = false;
          while (at < to) {
            const code = text.codePointAt(at) as number;
            if (!set.has(code)) break;
            last = at;
            at += code > 0xffff ? 2 : 1;
            known = this.#recall(slot, at);
            if (known !== 0) {
              isStopped = true;
              break;
            }
          }
          if (isStopped) {
            if (known >= SUCCEEDED) {
              const end = hasEnds[slot] === 1 ? known - SUCCEEDED : at;
              this.#push(pc * 2, rounds, at, first);
              return this.#succeed(entry, base, end);
            }
            at = last;
          }
          this.#push(pc * 2, rounds, at, first);
          if (at > first) rounds = 0;
          pc++;
          goesOn = true;
          break;
        }
        case Op.jump:
          pc = x[pc];
          goesOn = true;
          break;
        case Op.enter:
          rounds++;
          pc++;
          goesOn = true;
          break;
        case Op.check:
          if (rounds > 0) {
            rounds--;
            pc = x[pc];
          } else {
            pc++;
          }
          goesOn = true;
          break;
        case Op.assert:
          goesOn = holds(assertions[x[pc]], text, at, from, to);
          pc++;
          break;
        case Op.look:
          goesOn = (this.#run(x[pc], at) === -1) === (y[pc] === 1);
          pc++;
          break;
        case Op.atomic: {
          const end = this.#run(x[pc], at);
          if (end === -1) break;
          if (end !== at) rounds = 0;
          at = end;
          pc++;
          goesOn = true;
          break;
        }
        default:
          return this.#succeed(entry, base, at);
      }
      if (goesOn) continue;

      // Back to the last choice that has something left.
      const entries = this.#stack.entries;
      for (;;) {
        if (this.#top === base) return -1;
        const top = this.#top - ENTRY;
        const choice = entries[top] >> 1;
        rounds = entries[top + 1];
        at = entries[top + 2];
        const first = entries[top + 3];
        if (ops[choice] === Op.loop) {
          // A loop remembers each place that it gives back: from there on everything has failed.
          this.#remember(slots[choice] + (at === first ? rounds : 0), at, FAILED);
          if (at > first) {
            at = previous(text, at, from);
            entries[top + 2] = at;
            if (at > first) rounds = 0;
            pc = choice + 1;
            break;
          }
        } else if ((entries[top] & 1) === 0) {
          entries[top] |= 1;
          pc = y[choice];
          break;
        } else {
          this.#remember(slots[choice] + rounds, at, FAILED);
        }
        this.#top = top;
      }
    }
  }

  /** Drops the region's entries. Inside of lookarounds and atomic groups, the choices on the way are remembered as good. */
  #succeed(entry: number, base: number, end: number): number {
    if (entry > 0) {
      const { ops, slots, hasEnds } = this.#program;
      const entries = this.#stack.entries;
      for (let i = base; i < this.#top; i += ENTRY) {
        const choice = entries[i] >> 1;
        const slot = slots[choice];
        const value = hasEnds[slot] === 1 ? end + SUCCEEDED : SUCCEEDED;
        const [, rounds, at, first] = entries.subarray(i, i + ENTRY);
        this.#remember(slot + rounds, first, value);
        if (ops[choice] === Op.loop) for (let p = first + 1; p <= at; p++) this.#remember(slot, p, value);
      }
    }
    this.#top = base;
    return end;
  }

  #push(choice: number, rounds: number, at: number, first: number): void {
    const top = this.#top;
    if (top === this.#stack.entries.length) {
      if (top * 4 >= MAX_REGEX_MEMORY) throw tooMuchMemory();
      const larger = new Int32Array(top * 2);
      larger.set(this.#stack.entries);
      this.#stack.entries = larger;
    }
    const { entries } = this.#stack;
    entries[top] = choice;
    entries[top + 1] = rounds;
    entries[top + 2] = at;
    entries[top + 3] = first;
    this.#top = top + ENTRY;
  }

  #recall(slot: number, at: number): number {
    const place = at - this.#from;
    const row = this.#rows[place >> BLOCK_BITS];
    if (row === undefined) return 0;
    const block = row[slot];
    return block === undefined ? 0 : block[place & (BLOCK - 1)];
  }

  #remember(slot: number, at: number, value: number): void {
    const place = at - this.#from;
    const { slotCount, hasEnds } = this.#program;
    if (this.#rows.length === 0) this.#rows = new Array(((this.#to - this.#from) >> BLOCK_BITS) + 1);
    let row = this.#rows[place >> BLOCK_BITS];
    if (row === undefined) {
      row = new Array(slotCount);
      this.#rows[place >> BLOCK_BITS] = row;
    }
    let block = row[slot];
    if (block === undefined) {
      block = hasEnds[slot] === 1 ? new Int32Array(BLOCK) : new Uint8Array(BLOCK);
      row[slot] = block;
      this.#memory += block.byteLength;
      if (this.#memory > MAX_REGEX_MEMORY) {
        throw tooMuchMemory();
      }
    }
    block[place & (BLOCK - 1)] = value;
  }

  /** Nothing before `at` will be asked about any more. */
  #forgetBefore(at: number): void {
    if (this.#memory === 0) return;
    const end = (at - this.#from) >> BLOCK_BITS;
    for (; this.#firstRow < end; this.#firstRow++) {
      const row = this.#rows[this.#firstRow];
      if (row === undefined) continue;
      for (const block of row) this.#memory -= block?.byteLength ?? 0;
      this.#rows[this.#firstRow] = undefined;
    }
  }
}

function tooMuchMemory(): RangeError {
  return new RangeError(`a regular expression takes more than ${MAX_REGEX_MEMORY} bytes of memory to match this text`);
}

function previous(text: string, at: number, from: number): number {
  const isPair = (text.charCodeAt(at - 1) & 0xfc00) === 0xdc00 && at - 2 >= from;
  return isPair && (text.charCodeAt(at - 2) & 0xfc00) === 0xd800 ? at - 2 : at - 1;
}

function holds(kind: AssertionKind, text: string, at: number, from: number, to: number): boolean {
  switch (kind) {
    case "lineStart":
      return at === from || (at < to && text.charCodeAt(at - 1) === 10);
    case "lineEnd":
      return at === to || text.charCodeAt(at) === 10;
    case "textStart":
      return at === from;
    case "textEnd":
      return at === to;
    case "lastLineEnd":
      return at === to || (at === to - 1 && text.charCodeAt(at) === 10);
    case "wordBoundary":
    case "noWordBoundary": {
      const isAfterWord = at > from && isWord(text.codePointAt(previous(text, at, from)) as number);
      const isBeforeWord = at < to && isWord(text.codePointAt(at) as number);
      return (isAfterWord !== isBeforeWord) === (kind === "wordBoundary");
    }
    default:
      return unreachable(kind, "assertion");
  }
}
