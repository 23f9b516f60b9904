/** Turns a parsed regular expression into instructions for the matcher. */

import { unreachable } from "../errors";
import { MAX_REGEX_PROGRAM } from "../limits";
import type { CodeSet } from "./code-set";
import type { AssertionKind, RegexNode } from "./regex-syntax";

/**
 * What an instruction does, with its operands `x` and `y`. A region (the whole, or the inside of a lookaround or an atomic
 * group) ends with `end`. Repetitions of what may match nothing count, in `enter` and `check`, how many of the innermost
 * running rounds have not moved yet: a round that ends where it began leaves its loop.
 */
export const Op = {
  /** Character `x`, forwards and backwards. */
  character: 0,
  characterBack: 1,
  /** A character of set `x`. */
  set: 2,
  setBack: 3,
  /** Goes on with `x`, and on failure with `y`. Not with `x` at all where guard says that it cannot begin here. */
  split: 4,
  jump: 5,
  /** As many characters of set `x` as there are, and on failure one less. */
  loop: 6,
  enter: 7,
  check: 8,
  /** Goes on if assertion `x` holds. */
  assert: 9,
  /** Goes on if the region at `x` matches here, or, where `y` is 1, does not. */
  look: 10,
  /** Goes on where the region at `x` ends, for good. */
  atomic: 11,
  end: 12,
} as const;

export interface RegexProgram {
  readonly ops: Uint8Array;
  readonly x: Int32Array;
  readonly y: Int32Array;
  /** Of a split or loop: where its failures are remembered, one slot for each count of rounds that have not moved. */
  readonly slots: Int32Array;
  readonly slotCount: number;
  /** 1 for the slots inside of atomic groups, which remember ends as well. */
  readonly hasEnds: Uint8Array;
  /** Of a split: by ASCII code, 1 where its first way can begin; null for everywhere. */
  readonly guards: readonly (Uint8Array | null)[];
  /** By ASCII code, where the whole can begin. */
  readonly starts: Uint8Array | null;
  readonly sets: readonly CodeSet[];
  readonly assertions: readonly AssertionKind[];
  /** How many units before its start a match may look at. */
  readonly looksBack: number;
}

interface Region {
  readonly isBack: boolean;
  readonly isAtomic: boolean;
  /** Running rounds of loops that may match nothing. */
  readonly rounds: number;
}

export function compileRegex(
  root: RegexNode,
  fail: (kind: "broken" | "unsupported", what: string) => never,
): RegexProgram {
  const ops: number[] = [];
  const x: number[] = [];
  const y: number[] = [];
  const slots: number[] = [];
  const hasEnds: number[] = [];
  const guards: (Uint8Array | null)[] = [];
  const sets = new Map<CodeSet, number>();
  const later: (() => void)[] = [];
  const assertions: AssertionKind[] = [];
  let looksBack = 0;

  function emit(op: number, first = 0, second = 0): number {
    if (ops.length === MAX_REGEX_PROGRAM) fail("broken", `at most ${MAX_REGEX_PROGRAM} instructions`);
    guards.push(null);
    slots.push(-1);
    x.push(first);
    y.push(second);
    return ops.push(op) - 1;
  }

  function emitChoice(op: number, region: Region, first = 0): number {
    const at = emit(op, first);
    slots[at] = hasEnds.length;
    for (let i = 0; i <= region.rounds; i++) hasEnds.push(region.isAtomic ? 1 : 0);
    return at;
  }

  function setIndex(set: CodeSet): number {
    const known = sets.get(set) ?? sets.size;
    sets.set(set, known);
    return known;
  }

  /** The inside of a lookaround or atomic group is written after all else; `at` is the instruction that enters it. */
  function emitRegion(at: number, node: RegexNode, isBack: boolean, isAtomic: boolean): void {
    later.push(() => {
      x[at] = ops.length;
      emitNode(node, { isBack, isAtomic, rounds: 0 });
      emit(Op.end);
    });
  }

  function emitNode(node: RegexNode, region: Region): void {
    switch (node.type) {
      case "Character":
        emit(region.isBack ? Op.characterBack : Op.character, node.code);
        return;
      case "Set":
        emit(region.isBack ? Op.setBack : Op.set, setIndex(node.set));
        return;
      case "Sequence":
        for (const part of region.isBack ? [...node.nodes].reverse() : node.nodes) emitNode(part, region);
        return;
      case "Choice": {
        const ends: number[] = [];
        for (const [i, option] of node.nodes.entries()) {
          if (i === node.nodes.length - 1) {
            emitNode(option, region);
            break;
          }
          const split = emitChoice(Op.split, region, ops.length + 1);
          guards[split] = region.isBack ? null : startsOf(option);
          emitNode(option, region);
          ends.push(emit(Op.jump));
          y[split] = ops.length;
        }
        for (const end of ends) x[end] = ops.length;
        return;
      }
      case "Repeat":
        emitRepeat(node, region);
        return;
      case "Atomic":
        // Backwards it would take other ways than forwards.
        if (region.isBack) fail("unsupported", "an atomic group, possessive quantifier or \\R in a lookbehind");
        emitRegion(emit(Op.atomic), node.node, region.isBack, true);
        return;
      case "Look":
        if (node.isBehind) looksBack += maxUnits(node.node);
        emitRegion(emit(Op.look, 0, node.isNegative ? 1 : 0), node.node, node.isBehind, false);
        return;
      case "Assertion":
        emit(Op.assert, assertions.push(node.kind) - 1);
        return;
      default:
        unreachable(node, "regular expression node");
    }
  }

  function emitRepeat(repeat: RegexNode & { type: "Repeat" }, region: Region): void {
    const { node, min, max, isLazy } = repeat;
    const isInfinite = max === Number.POSITIVE_INFINITY;
    const isSimple = node.type === "Set" && isInfinite && !isLazy && !region.isBack;
    // The last round that must be is the first of the loop, so that nested loops are not written twice.
    const copies = isInfinite && min > 0 && !isSimple ? min - 1 : min;
    const before = ops.length;
    for (let i = 0; i < copies; i++) {
      emitNode(node, region);
      if (ops.length === before) break;
    }
    if (isSimple) {
      emitChoice(Op.loop, region, setIndex(node.set));
      return;
    }
    const split = (toBody: number): number => {
      const at = emitChoice(Op.split, region);
      if (isLazy) y[at] = toBody;
      else x[at] = toBody;
      return at;
    };
    const leave = (at: number): void => {
      if (isLazy) x[at] = ops.length;
      else y[at] = ops.length;
    };
    if (!isInfinite) {
      const leaving: number[] = [];
      for (let i = min; i < max; i++) {
        const start = ops.length;
        leaving.push(split(start + 1));
        emitNode(node, region);
        // What has no instructions needs no rounds.
        if (ops.length === start + 1) break;
      }
      for (const at of leaving) leave(at);
      return;
    }
    const mayBeEmpty = startsOf(node) === null;
    const first = min === 0 ? split(ops.length + 1) : -1;
    const body = ops.length;
    if (mayBeEmpty) emit(Op.enter);
    emitNode(node, mayBeEmpty ? { ...region, rounds: region.rounds + 1 } : region);
    const check = mayBeEmpty ? emit(Op.check) : -1;
    const last = first === -1 ? split(body) : emit(Op.jump, first);
    leave(first === -1 ? last : first);
    if (check !== -1) x[check] = ops.length;
  }

  emitNode(root, { isBack: false, isAtomic: false, rounds: 0 });
  emit(Op.end);
  for (let i = 0; i < later.length; i++) later[i]();
  return {
    ops: Uint8Array.from(ops),
    x: Int32Array.from(x),
    y: Int32Array.from(y),
    slots: Int32Array.from(slots),
    slotCount: hasEnds.length,
    hasEnds: Uint8Array.from(hasEnds),
    guards,
    starts: startsOf(root),
    sets: [...sets.keys()],
    assertions,
    looksBack,
  };
}

/** By ASCII code, 1 where a match may begin with that character; null if it may be empty. */
function startsOf(node: RegexNode): Uint8Array | null {
  const starts = new Uint8Array(128);
  return addStarts(node, starts) ? null : starts;
}

/** Adds what a match may begin with; true if it may be empty. */
function addStarts(node: RegexNode, starts: Uint8Array): boolean {
  switch (node.type) {
    case "Character":
      if (node.code < 128) starts[node.code] = 1;
      return false;
    case "Set":
      for (let code = 0; code < 128; code++) if (node.set.has(code)) starts[code] = 1;
      return false;
    case "Sequence":
      return node.nodes.every((part) => addStarts(part, starts));
    case "Choice": {
      let mayBeEmpty = false;
      for (const option of node.nodes) if (addStarts(option, starts)) mayBeEmpty = true;
      return mayBeEmpty;
    }
    case "Repeat":
      return node.max === 0 || addStarts(node.node, starts) || node.min === 0;
    case "Atomic":
      return addStarts(node.node, starts);
    case "Look":
    case "Assertion":
      return true;
    default:
      return unreachable(node, "regular expression node");
  }
}

/** Most UTF-16 units that a match can take. */
function maxUnits(node: RegexNode): number {
  switch (node.type) {
    case "Character":
    case "Set":
      return 2;
    case "Sequence":
      return node.nodes.reduce((sum, part) => sum + maxUnits(part), 0);
    case "Choice":
      return node.nodes.reduce((most, option) => Math.max(most, maxUnits(option)), 0);
    case "Repeat": {
      const units = maxUnits(node.node);
      return units === 0 ? 0 : units * node.max;
    }
    case "Atomic":
      return maxUnits(node.node);
    case "Look":
    case "Assertion":
      return 0;
    default:
      return unreachable(node, "regular expression node");
  }
}
