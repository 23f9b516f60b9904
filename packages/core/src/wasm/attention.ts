/**
 * Scaled dot-product attention, out[T, H, K] = softmax(cap(scale q·kᵀ) + bias, under the mask) · v, in float32.
 *
 * A row is one query of one head. A work item is a kv head and up to ROWS of the rows that read it, query after query:
 * in a prompt a tile of queries; in a step, of a single query, the heads that share the kv head, and the items that
 * follow each other are done together. Of scores, no more than ROWS rows are in a thread's memory.
 *
 * Every row is computed in one order, whatever the item, the tile, the thread or the rows beside it:
 * - a score is the dot product over four lanes, element 4i + l in lane l, i in order; (l0 + l1) + (l2 + l3); * scale;
 *   then the cap, then the bias. Where K % 4 > 0 zeros fill the last vector.
 * - the sum of e^(score - max) is over four lanes too, the j-th key of the row's range in lane j % 4;
 * - an output is the sum of e^(score - max) * v, key after key, divided by that sum at the end.
 * So keys at the end of a range that a bias of -Infinity hides change no bit against a range that ends before them, and
 * keys outside of the range are no part of a result, whatever they hold.
 */

import type { FunctionBuilder, Local, Operand } from "./assembler";
import { vectorExpBelow, vectorTanh } from "./elementary";
import type { Callable, ModuleBuilder } from "./module";

/** Most rows of a work item, or of items that are done together. */
const ROWS = 32;
/** Keys at a time: with them, the queries of an item stay in the first-level cache. */
const KEYS = 32;
/** With so many rows it pays to copy a head's keys to where they lie side by side: strided, they share cache sets. */
const PACKED_ROWS = 8;
/** Vectors of scores a turn: e^x is a long chain of roundings, of which several are best on their way at once. */
const SOFTMAX_VECTORS = 4;
/** Rows that a key meets at once in a step. */
const STEP_ROWS = 4;
/** Vectors a turn where one key meets few rows: its bookkeeping would be half of the work. */
const STEP_VECTORS = 2;
/** Bytes of an item's notes on one row: from, to (int32), the sum of its weights (float32). */
const NOTE_BYTES = 16;
const FROM = 0;
const TO = 4;
const SUM = 8;

/** How many work items a call has: G times the tiles of its T H / G rows. */
export function attentionItems(queries: number, heads: number, kvHeads: number): number {
  return kvHeads * Math.ceil((queries * heads) / kvHeads / ROWS);
}

/** Bytes of scratch that each thread needs, a multiple of 64. */
export function attentionScratchBytes(call: {
  readonly queries: number;
  readonly keyCount: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}): number {
  const rows = Math.min(ROWS, call.queries * call.heads);
  const width = Math.ceil(call.headDim / 4) * 4;
  const bytes = NOTE_BYTES * rows + 4 * (width * (KEYS + 2 * rows) + scoreStride(call.keyCount) * rows);
  return Math.ceil(bytes / 64) * 64;
}

/** Scores of a row, and room for a vector that starts at the last of them. */
function scoreStride(keyCount: number): number {
  return Math.ceil(keyCount / 4) * 4 + 4;
}

/** Lanes of two vectors of four floats, 0 to 3 of the first and 4 to 7 of the second, for `i8x16.shuffle`. */
function lanes(...indices: readonly number[]): number[] {
  return indices.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]);
}

/** [a0 + a1, a2 + a3, b0 + b1, b2 + b3] */
function addNeighbours(f: FunctionBuilder, a: Local<"v128">, b: Local<"v128">): Operand<"v128"> {
  return f.f32x4.add(f.i8x16.shuffle(a(), b(), lanes(0, 2, 4, 6)), f.i8x16.shuffle(a(), b(), lanes(1, 3, 5, 7)));
}

/** (l0 + l1) + (l2 + l3) */
function addLanes(f: FunctionBuilder, v: Local<"v128">): Operand<"f32"> {
  const lane = (i: number) => f.f32x4.extract_lane(v(), i);
  return f.f32.add(f.f32.add(lane(0), lane(1)), f.f32.add(lane(2), lane(3)));
}

function min(f: FunctionBuilder, a: Local<"i32">, b: Local<"i32">): Operand<"i32"> {
  return f.select(a(), b(), f.i32.lt_s(a(), b()));
}

function max(f: FunctionBuilder, a: Local<"i32">, b: Local<"i32">): Operand<"i32"> {
  return f.select(a(), b(), f.i32.gt_s(a(), b()));
}

/** `left` vectors of 16 bytes, `unroll` of them a turn; moves the pointers. */
function overVectors(
  f: FunctionBuilder,
  left: Local<"i32">,
  unroll: number,
  pointers: readonly Local<"ptr">[],
  body: (offset: number) => void,
): void {
  const run = (count: number) =>
    f.if(f.i32.ge_s(left(), f.i32.const(count)), () =>
      f.doWhile(
        () => {
          for (let i = 0; i < count; i++) body(16 * i);
          for (const pointer of pointers) f.advance(pointer, 16 * count);
          left.set(f.i32.sub(left(), f.i32.const(count)));
        },
        () => f.i32.ge_s(left(), f.i32.const(count)),
      ),
    );
  run(unroll);
  if (unroll > 1) run(1);
}

/** Sets `x` to the row to read now: the one that `table` names next, or, without a table, `from`, which moves on. */
function takeRow(
  f: FunctionBuilder,
  x: Local<"ptr">,
  from: Local<"ptr">,
  stride: Local<"i32">,
  table: Local<"ptr">,
): void {
  x.set(from());
  f.if(
    f.ptr.isNull(table()),
    () => f.advanceBy(from, stride()),
    () => {
      x.set(f.ptr.add(x(), f.ptr.product(f.i32.load(table()), stride())));
      f.advance(table, 4);
    },
  );
}

/** Copies `count` rows of `width` floats, see `takeRow`, to rows of whole vectors, filled up with zeros. */
function packFunction(module: ModuleBuilder): Callable {
  return module.function(["ptr", "i32", "ptr", "i32", "i32", "ptr"], (f) => {
    const [from, stride, table, count, width, to] = f.parameters as [
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"i32">,
      Local<"i32">,
      Local<"ptr">,
    ];
    const x = f.local("ptr");
    const left = f.local("i32");
    f.while(count, () => {
      takeRow(f, x, from, stride, table);
      left.set(width());
      f.while(
        () => f.i32.ge_s(left(), f.i32.const(4)),
        () => {
          f.v128.store(to(), f.v128.load(x()));
          f.advance(x, 16);
          f.advance(to, 16);
          left.set(f.i32.sub(left(), f.i32.const(4)));
        },
      );
      f.if(left(), () => {
        f.v128.store(to(), f.f32x4.const(0));
        f.f32.store(to(), f.f32.load(x()));
        for (const lane of [1, 2]) {
          f.if(f.i32.gt_s(left(), f.i32.const(lane)), () => f.f32.store(to(), f.f32.load(x(), 4 * lane), 4 * lane));
        }
        f.advance(to, 16);
      });
      count.set(f.i32.sub(count(), f.i32.const(1)));
    });
  });
}

/**
 * scores[r][j] = scale q[r]·k[j] for `rows` rows and `count` keys, four keys at a time. Up to three floats after the
 * last score are overwritten too.
 */
function scoresFunction(module: ModuleBuilder, rows: 1 | 2, unroll: 1 | 2 | 4): Callable {
  return module.function(["ptr", "ptr", "i32", "i32", "i32", "f32", "ptr", "i32"], (f) => {
    const [q, k, kStride, count, vectors, scale, scores, scoresStride] = f.parameters as [
      Local<"ptr">,
      Local<"ptr">,
      Local<"i32">,
      Local<"i32">,
      Local<"i32">,
      Local<"f32">,
      Local<"ptr">,
      Local<"i32">,
    ];
    const qs = f.locals("ptr", rows);
    const ks = f.locals("ptr", 4);
    const sums = f.locals("v128", 4 * rows);
    const queries = f.locals("v128", rows);
    const key = f.local("v128");
    const left = f.local("i32");
    const wide = f.local("i32");
    const step = f.local("ptr");
    const stride = f.local("ptr", f.ptr.from(kStride()));
    const second = f.local("ptr", f.ptr.from(scoresStride()));
    const low = f.local("v128");
    const high = f.local("v128");
    const qStride = f.local("i32", f.i32.mul(vectors(), f.i32.const(16)));
    f.while(
      () => f.i32.gt_s(count(), f.i32.const(0)),
      () => {
        // The last one to three keys go one by one, each taken four times.
        wide.set(f.i32.ge_s(count(), f.i32.const(4)));
        step.set(f.select(stride(), f.ptr.const(0), wide()));
        ks[0].set(k());
        for (let j = 1; j < 4; j++) ks[j].set(f.ptr.add(ks[j - 1](), step()));
        k.set(f.ptr.add(f.select(ks[3](), k(), wide()), stride()));
        qs[0].set(q());
        if (rows === 2) qs[1].set(f.ptr.add(q(), f.ptr.from(qStride())));
        for (const sum of sums) sum.set(f.f32x4.const(0));
        left.set(vectors());
        overVectors(f, left, unroll, [...qs, ...ks], (offset) => {
          for (let r = 0; r < rows; r++) queries[r].set(f.v128.load(qs[r](), offset));
          for (let j = 0; j < 4; j++) {
            key.set(f.v128.load(ks[j](), offset));
            for (let r = 0; r < rows; r++) {
              const sum = sums[4 * r + j];
              sum.set(f.f32x4.add(sum(), f.f32x4.mul(queries[r](), key())));
            }
          }
        });
        for (let r = 0; r < rows; r++) {
          low.set(addNeighbours(f, sums[4 * r], sums[4 * r + 1]));
          high.set(addNeighbours(f, sums[4 * r + 2], sums[4 * r + 3]));
          f.v128.store(
            r === 0 ? scores() : f.ptr.add(scores(), second()),
            f.f32x4.mul(addNeighbours(f, low, high), f.f32x4.splat(scale())),
          );
        }
        f.advanceBy(scores, f.select(f.i32.const(16), f.i32.const(4), wide()));
        count.set(f.i32.sub(count(), f.select(f.i32.const(4), f.i32.const(1), wide())));
      },
    );
  });
}

/** sums[r] += weights[r][j] * v[j] for `rows` rows and `count` keys, key after key, four of them a turn. */
function valuesFunction(module: ModuleBuilder, rows: 1 | 2, unroll: 1 | 2 | 4): Callable {
  return module.function(["ptr", "i32", "ptr", "i32", "i32", "i32", "ptr"], (f) => {
    const [weights, weightsStride, v, vStride, count, vectors, sums] = f.parameters as [
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"i32">,
      Local<"i32">,
      Local<"i32">,
      Local<"ptr">,
    ];
    const stride = f.local("ptr", f.ptr.from(vStride()));
    const second = f.local("ptr", f.ptr.from(weightsStride()));
    const sumStride = f.local("i32", f.i32.mul(vectors(), f.i32.const(16)));
    const totals = f.locals("ptr", rows);
    const row = f.local("ptr");
    const left = f.local("i32");
    const value = f.local("v128");
    const partial = f.locals("v128", rows);
    const run = (keys: 4 | 1) => {
      const vs = f.locals("ptr", keys);
      const ws = f.locals("v128", keys * rows);
      f.while(
        () => f.i32.ge_s(count(), f.i32.const(keys)),
        () => {
          for (let r = 0; r < rows; r++) {
            row.set(r === 0 ? weights() : f.ptr.add(weights(), second()));
            for (let j = 0; j < keys; j++) ws[keys * r + j].set(f.v128.load32_splat(row(), 4 * j));
          }
          vs[0].set(v());
          for (let j = 1; j < keys; j++) vs[j].set(f.ptr.add(vs[j - 1](), stride()));
          v.set(f.ptr.add(vs[keys - 1](), stride()));
          totals[0].set(sums());
          if (rows === 2) totals[1].set(f.ptr.add(sums(), f.ptr.from(sumStride())));
          left.set(vectors());
          overVectors(f, left, unroll, [...totals, ...vs], (offset) => {
            for (let r = 0; r < rows; r++) partial[r].set(f.v128.load(totals[r](), offset));
            for (let j = 0; j < keys; j++) {
              value.set(f.v128.load(vs[j](), offset));
              for (let r = 0; r < rows; r++) {
                partial[r].set(f.f32x4.add(partial[r](), f.f32x4.mul(ws[keys * r + j](), value())));
              }
            }
            for (let r = 0; r < rows; r++) f.v128.store(totals[r](), partial[r](), offset);
          });
          f.advance(weights, 4 * keys);
          count.set(f.i32.sub(count(), f.i32.const(keys)));
        },
      );
    };
    run(4);
    run(1);
  });
}

/** Runs `body` for `count` rows, up to STEP_ROWS of them at once. */
function inTiles(f: FunctionBuilder, count: Local<"i32">, body: (rows: number) => void): void {
  f.while(
    () => f.i32.ge_s(count(), f.i32.const(STEP_ROWS)),
    () => {
      body(STEP_ROWS);
      count.set(f.i32.sub(count(), f.i32.const(STEP_ROWS)));
    },
  );
  for (let rows = STEP_ROWS - 1; rows > 0; rows--) f.if(f.i32.eq(count(), f.i32.const(rows)), () => body(rows));
}

/**
 * The scores of a step: of one query, with `rows` heads on each of `groups` kv heads, key after key. It is memory that
 * a step waits for, and the processor fetches ahead what is read in one run from start to end: twice as fast as four
 * rows of keys side by side, or as one kv head alone. Rows by a table are read in place, see `takeRow`.
 */
function stepScoresFunction(module: ModuleBuilder): Callable {
  return module.function(["ptr", "ptr", "i32", "ptr", "i32", "i32", "i32", "i32", "f32", "ptr", "i32"], (f) => {
    const [q, k, kStride, table, count, groups, rows, vectors, scale, scores, scoresStride] = f.parameters as [
      Local<"ptr">,
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"i32">,
      Local<"i32">,
      Local<"i32">,
      Local<"i32">,
      Local<"f32">,
      Local<"ptr">,
      Local<"i32">,
    ];
    const rowBytes = f.local("ptr", f.ptr.from(f.i32.mul(vectors(), f.i32.const(16))));
    const next = f.local("ptr", f.ptr.from(scoresStride()));
    const qs = f.locals("ptr", STEP_ROWS);
    const sums = f.locals("v128", STEP_ROWS);
    const [key, low, high] = f.locals("v128", 3);
    const [x, head, to] = f.locals("ptr", 3);
    const [group, rowsLeft, left] = f.locals("i32", 3);
    f.while(count, () => {
      qs[0].set(q());
      takeRow(f, head, k, kStride, table);
      to.set(scores());
      group.set(groups());
      f.doWhile(
        () => {
          rowsLeft.set(rows());
          inTiles(f, rowsLeft, (tile) => {
            for (let r = 1; r < tile; r++) qs[r].set(f.ptr.add(qs[r - 1](), rowBytes()));
            for (const sum of sums.slice(0, tile)) sum.set(f.f32x4.const(0));
            x.set(head());
            left.set(vectors());
            overVectors(f, left, STEP_VECTORS, [x, ...qs.slice(0, tile)], (offset) => {
              key.set(f.v128.load(x(), offset));
              for (let r = 0; r < tile; r++) {
                sums[r].set(f.f32x4.add(sums[r](), f.f32x4.mul(f.v128.load(qs[r](), offset), key())));
              }
            });
            // Every row ends where the next one begins.
            if (tile > 1) qs[0].set(qs[tile - 1]());
            low.set(addNeighbours(f, sums[0], sums[Math.min(1, tile - 1)]));
            high.set(tile > 2 ? addNeighbours(f, sums[2], sums[tile - 1]) : low());
            low.set(f.f32x4.mul(addNeighbours(f, low, high), f.f32x4.splat(scale())));
            for (let r = 0; r < tile; r++) {
              f.v128.store32_lane(to(), low(), r);
              to.set(f.ptr.add(to(), next()));
            }
          });
          head.set(f.ptr.add(head(), rowBytes()));
          group.set(f.i32.sub(group(), f.i32.const(1)));
        },
        () => group(),
      );
      f.advance(scores, 4);
      count.set(f.i32.sub(count(), f.i32.const(1)));
    });
  });
}

/** The sums of values of a step, in the same way. */
function stepValuesFunction(module: ModuleBuilder): Callable {
  return module.function(["ptr", "i32", "ptr", "i32", "ptr", "i32", "i32", "i32", "i32", "ptr"], (f) => {
    const [weights, weightsStride, v, vStride, table, count, groups, rows, vectors, sums] = f.parameters as [
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"i32">,
      Local<"ptr">,
      Local<"i32">,
      Local<"i32">,
      Local<"i32">,
      Local<"i32">,
      Local<"ptr">,
    ];
    const rowBytes = f.local("ptr", f.ptr.from(f.i32.mul(vectors(), f.i32.const(16))));
    const next = f.local("ptr", f.ptr.from(weightsStride()));
    const totals = f.locals("ptr", STEP_ROWS);
    const ws = f.locals("v128", STEP_ROWS);
    const value = f.local("v128");
    const [x, head, from] = f.locals("ptr", 3);
    const [group, rowsLeft, left] = f.locals("i32", 3);
    f.while(count, () => {
      totals[0].set(sums());
      takeRow(f, head, v, vStride, table);
      from.set(weights());
      group.set(groups());
      f.doWhile(
        () => {
          rowsLeft.set(rows());
          inTiles(f, rowsLeft, (tile) => {
            for (let r = 0; r < tile; r++) {
              if (r > 0) totals[r].set(f.ptr.add(totals[r - 1](), rowBytes()));
              ws[r].set(f.v128.load32_splat(from()));
              from.set(f.ptr.add(from(), next()));
            }
            x.set(head());
            left.set(vectors());
            overVectors(f, left, STEP_VECTORS, [x, ...totals.slice(0, tile)], (offset) => {
              value.set(f.v128.load(x(), offset));
              for (let r = 0; r < tile; r++) {
                const product = f.local("v128", f.f32x4.mul(ws[r](), value()));
                f.v128.store(totals[r](), f.f32x4.add(f.v128.load(totals[r](), offset), product()), offset);
              }
            });
            if (tile > 1) totals[0].set(totals[tile - 1]());
          });
          head.set(f.ptr.add(head(), rowBytes()));
          group.set(f.i32.sub(group(), f.i32.const(1)));
        },
        () => group(),
      );
      f.advance(weights, 4);
      count.set(f.i32.sub(count(), f.i32.const(1)));
    });
  });
}

/** scores[j] = cap tanh(scores[j] / cap), by whole vectors. */
function capFunction(module: ModuleBuilder): Callable {
  return module.function(["ptr", "i32", "f32"], (f) => {
    const [scores, count, cap] = f.parameters as [Local<"ptr">, Local<"i32">, Local<"f32">];
    const caps = f.local("v128", f.f32x4.splat(cap()));
    const tanh = vectorTanh(module, f);
    f.while(
      () => f.i32.gt_s(count(), f.i32.const(0)),
      () => {
        const [curve] = tanh([f.local("v128", f.f32x4.div(f.v128.load(scores()), caps()))]);
        f.v128.store(scores(), f.f32x4.mul(curve(), caps()));
        f.advance(scores, 16);
        count.set(f.i32.sub(count(), f.i32.const(4)));
      },
    );
  });
}

/** scores[j] += bias[j] */
function biasFunction(module: ModuleBuilder): Callable {
  return module.function(["ptr", "i32", "ptr"], (f) => {
    const [scores, count, bias] = f.parameters as [Local<"ptr">, Local<"i32">, Local<"ptr">];
    f.while(
      () => f.i32.ge_s(count(), f.i32.const(4)),
      () => {
        f.v128.store(scores(), f.f32x4.add(f.v128.load(scores()), f.v128.load(bias())));
        f.advance(scores, 16);
        f.advance(bias, 16);
        count.set(f.i32.sub(count(), f.i32.const(4)));
      },
    );
    f.while(count, () => {
      f.f32.store(scores(), f.f32.add(f.f32.load(scores()), f.f32.load(bias())));
      f.advance(scores, 4);
      f.advance(bias, 4);
      count.set(f.i32.sub(count(), f.i32.const(1)));
    });
  });
}

/**
 * scores[j] = e^(scores[j] - max), their sum to `sum`. Up to three floats after the last are overwritten too.
 *
 * The greatest score is found among those that are numbers; NaN passes through e^x into the sum and so into the whole
 * row. Scores of -Infinity alone give zeros and the sum 0; an Infinity shares the row with its equals.
 */
function softmaxFunction(module: ModuleBuilder): Callable {
  return module.function(["ptr", "i32", "ptr"], (f) => {
    const [scores, count, sum] = f.parameters as [Local<"ptr">, Local<"i32">, Local<"ptr">];
    const { f32, f32x4, v128 } = f;
    const least = Number.NEGATIVE_INFINITY;
    const x = f.local("ptr", f.ptr.add(scores(), f.ptr.from(f.i32.mul(count(), f.i32.const(4)))));
    for (const after of [0, 4, 8]) f32.store(x(), f32.const(least), after);
    const left = f.local("i32");
    /** Runs `body` for all vectors of the scores, some at once, which lie at these offsets. */
    const each = (body: (offsets: readonly number[]) => void) => {
      x.set(scores());
      left.set(f.i32.shr_u(f.i32.add(count(), f.i32.const(3)), f.i32.const(2)));
      for (const turn of [SOFTMAX_VECTORS, 1]) {
        f.while(
          () => f.i32.ge_s(left(), f.i32.const(turn)),
          () => {
            body(Array.from({ length: turn }, (_, i) => 16 * i));
            f.advance(x, 16 * turn);
            left.set(f.i32.sub(left(), f.i32.const(turn)));
          },
        );
      }
    };
    f.if(f.i32.gt_s(count(), f.i32.const(0)), () => {
      // pmax(a, b) is a < b ? b : a: a NaN in b is never taken
      const max = f.local("v128", f32x4.const(least));
      each((offsets) => {
        for (const offset of offsets) max.set(f32x4.pmax(max(), v128.load(x(), offset)));
      });
      const lane = (i: number) => f32x4.extract_lane(max(), i);
      max.set(f32x4.splat(f32.max(f32.max(lane(0), lane(1)), f32.max(lane(2), lane(3)))));
      max.set(v128.and(max(), f32x4.ne(max(), f32x4.const(least))));

      const total = f.local("v128", f32x4.const(0));
      const score = f.local("v128");
      const exp = vectorExpBelow(module, f);
      each((offsets) => {
        // The greatest itself gives e^0, even if it is Infinity, whose difference to itself is NaN.
        const weights = exp(
          offsets.map((offset) => {
            score.set(v128.load(x(), offset));
            return f.local("v128", v128.andnot(f32x4.sub(score(), max()), f32x4.eq(score(), max())));
          }),
        );
        weights.forEach((weight, i) => {
          v128.store(x(), weight(), offsets[i]);
          total.set(f32x4.add(total(), weight()));
        });
      });
      f32.store(sum(), addLanes(f, total));
    });
  });
}

/** out[i] = sums[i] / divisor */
function divideFunction(module: ModuleBuilder): Callable {
  return module.function(["ptr", "ptr", "i32", "f32"], (f) => {
    const [out, sums, count, divisor] = f.parameters as [Local<"ptr">, Local<"ptr">, Local<"i32">, Local<"f32">];
    f.while(
      () => f.i32.ge_s(count(), f.i32.const(4)),
      () => {
        f.v128.store(out(), f.f32x4.div(f.v128.load(sums()), f.f32x4.splat(divisor())));
        f.advance(out, 16);
        f.advance(sums, 16);
        count.set(f.i32.sub(count(), f.i32.const(4)));
      },
    );
    f.while(count, () => {
      f.f32.store(out(), f.f32.div(f.f32.load(sums()), divisor()));
      f.advance(out, 4);
      f.advance(sums, 4);
      count.set(f.i32.sub(count(), f.i32.const(1)));
    });
  });
}

/** `count` zeros. */
function clearFunction(module: ModuleBuilder): Callable {
  return module.function(["ptr", "i32"], (f) => {
    const [out, count] = f.parameters as [Local<"ptr">, Local<"i32">];
    f.while(
      () => f.i32.ge_s(count(), f.i32.const(4)),
      () => {
        f.v128.store(out(), f.f32x4.const(0));
        f.advance(out, 16);
        count.set(f.i32.sub(count(), f.i32.const(4)));
      },
    );
    f.while(count, () => {
      f.f32.store(out(), f.f32.const(0));
      f.advance(out, 4);
      count.set(f.i32.sub(count(), f.i32.const(1)));
    });
  });
}

/** The slots of the kernel `attention`, in order. Shapes in the letters of `Kernels`. */
const PARAMETERS = {
  /** [T, H, K] */
  out: "ptr",
  /** [T, H, K] */
  q: "ptr",
  /** [S, G, K] */
  keys: "ptr",
  /** [S, G, K] */
  values: "ptr",
  /** int32 [T, 2]: the keys from..to of each query, 0 <= from <= to <= S */
  ranges: "ptr",
  /** [H, T, S], or 0 */
  probs: "ptr",
  /** [H, T, S], or [H, biasLength] where `biasRelative`, or 0 */
  bias: "ptr",
  /** `scratchBytes` for each thread */
  scratch: "ptr",
  queries: "i32",
  keyCount: "i32",
  heads: "i32",
  kvHeads: "i32",
  headDim: "i32",
  scale: "f32",
  /** 0 for none */
  softCap: "f32",
  biasRelative: "i32",
  biasLength: "i32",
  /** The bias of query t on key s is at s - t + biasOrigin: `origin` less the position of the first query */
  biasOrigin: "i32",
  /** See `attentionScratchBytes` */
  scratchBytes: "i32",
  /** int32 [S], or 0 */
  keyRows: "ptr",
} as const;

/**
 * The kernel `attention`, over work items from..to.
 *
 * @param unroll vectors a turn of the tiles' loops: 1 where the compiler moves arithmetic behind all loads of a loop
 */
export function emitAttention(module: ModuleBuilder, unroll: 1 | 2 | 4 = 1): void {
  const pack = packFunction(module);
  const scoresOf = { 1: scoresFunction(module, 1, unroll), 2: scoresFunction(module, 2, unroll) };
  const valuesOf = { 1: valuesFunction(module, 1, unroll), 2: valuesFunction(module, 2, unroll) };
  const capRow = capFunction(module);
  const biasRow = biasFunction(module);
  const softmaxRow = softmaxFunction(module);
  const divide = divideFunction(module);
  const clear = clearFunction(module);
  const stepScores = stepScoresFunction(module);
  const stepValues = stepValuesFunction(module);

  module.kernel("attention", PARAMETERS, (f, a, range) => {
    const call = (callable: Callable, ...operands: readonly Operand[]) => f.call(callable, operands);
    const times = (x: Local<"i32">, factor: number) => f.i32.mul(x(), f.i32.const(factor));
    const after = (base: Local<"ptr">, index: Operand<"i32">, bytes: Operand<"i32">): Operand<"ptr"> => {
      const offset = f.local("ptr", f.ptr.product(index, bytes));
      return f.ptr.add(base(), offset());
    };

    // Sizes
    const group = f.local("i32", f.i32.div_u(a.heads(), a.kvHeads()));
    const total = f.local("i32", f.i32.mul(a.queries(), group()));
    const tiles = f.local("i32", f.i32.div_u(f.i32.add(total(), f.i32.const(ROWS - 1)), f.i32.const(ROWS)));
    const vectors = f.local("i32", f.i32.shr_u(f.i32.add(a.headDim(), f.i32.const(3)), f.i32.const(2)));
    const rowBytes = f.local("i32", times(vectors, 16));
    const headBytes = f.local("i32", times(a.headDim, 4));
    const kvBytes = f.local("i32", f.i32.mul(headBytes(), a.kvHeads()));
    const scoreBytes = f.local(
      "i32",
      f.i32.shl(
        f.i32.add(f.i32.shr_u(f.i32.add(a.keyCount(), f.i32.const(3)), f.i32.const(2)), f.i32.const(1)),
        f.i32.const(4),
      ),
    );
    const most = f.local("i32", f.i32.const(ROWS));
    const allRows = f.local("i32", f.i32.mul(a.queries(), a.heads()));
    most.set(min(f, most, allRows));

    // Scratch: a note for each row, a block of keys or values, the queries, the sums of values, the scores
    const notes = f.local("ptr", after(a.scratch, range.thread(), a.scratchBytes()));
    const block = f.local("ptr", after(notes, most(), f.i32.const(NOTE_BYTES)));
    const queries = f.local("ptr", after(block, rowBytes(), f.i32.const(KEYS)));
    const sums = f.local("ptr", after(queries, most(), rowBytes()));
    const scores = f.local("ptr", after(sums, most(), rowBytes()));

    const item = f.local("i32", range.from());
    const g = f.local("i32");
    const firstRow = f.local("i32");
    const step = f.local("i32");
    const groups = f.local("i32");
    const groupRows = f.local("i32");
    const rows = f.local("i32");
    const packed = f.local("i32");
    const r = f.local("i32");
    const t = f.local("i32");
    const h = f.local("i32");
    const note = f.local("ptr");
    const begin = f.local("i32");
    const end = f.local("i32");

    /** For each row of the item: r, its query t and head h, and its note. */
    const eachRow = (body: () => void) => {
      r.set(f.i32.const(0));
      note.set(notes());
      f.for(r, rows, 1, () => {
        const row = f.local("i32", f.i32.add(firstRow(), f.i32.rem_u(r(), groupRows())));
        t.set(f.i32.div_u(row(), group()));
        h.set(f.i32.mul(f.i32.add(g(), f.i32.div_u(r(), groupRows())), group()));
        h.set(f.i32.add(h(), f.i32.rem_u(row(), group())));
        body();
        f.advance(note, NOTE_BYTES);
      });
    };

    const from = f.local("i32");
    const to = f.local("i32");
    const s = f.local("i32");
    const keysEnd = f.local("i32");
    const x = f.local("ptr");
    const stride = f.local("i32");
    const start = f.local("i32");
    const stop = f.local("i32");
    const kvHead = f.local("i32");
    const inOrder = f.local("i32", f.ptr.isNull(a.keyRows()));
    /** Where the keys or values from key on begin, at a kv head; row 0 where a table names the rows. */
    const rowsFrom = (source: Local<"ptr">, key: Local<"i32">, head: Local<"i32">) => {
      const row = f.select(key(), f.i32.const(0), inOrder());
      return after(source, f.i32.add(f.i32.mul(row, a.kvHeads()), head()), headBytes());
    };
    /** The table from key on, or null. */
    const tableFrom = (key: Local<"i32">) => f.select(a.keyRows(), after(a.keyRows, key(), f.i32.const(4)), inOrder());
    /**
     * For each block s..keysEnd of the keys that any row sees, and each kv head: where its keys or values lie, x and
     * their stride, and its rows start..stop.
     */
    const eachBlock = (source: Local<"ptr">, body: () => void) => {
      s.set(begin());
      f.while(
        () => f.i32.lt_s(s(), end()),
        () => {
          keysEnd.set(f.i32.add(s(), f.i32.const(KEYS)));
          keysEnd.set(min(f, keysEnd, end));
          start.set(f.i32.const(0));
          kvHead.set(g());
          f.while(
            () => f.i32.lt_s(start(), rows()),
            () => {
              stop.set(f.i32.add(start(), groupRows()));
              x.set(rowsFrom(source, s, kvHead));
              stride.set(kvBytes());
              f.if(packed(), () => {
                call(pack, x(), stride(), tableFrom(s), f.i32.sub(keysEnd(), s()), a.headDim(), block());
                x.set(block());
                stride.set(rowBytes());
              });
              body();
              start.set(stop());
              kvHead.set(f.i32.add(kvHead(), f.i32.const(1)));
            },
          );
          s.set(keysEnd());
        },
      );
    };

    /** The part of from..to within the block. */
    const clip = (lower: Local<"i32">, upper: Local<"i32">) => {
      lower.set(max(f, lower, s));
      upper.set(min(f, upper, keysEnd));
    };
    const from2 = f.local("i32");
    const to2 = f.local("i32");
    const low = f.local("i32");
    const high = f.local("i32");

    /** For each two rows, r and r + 1: their keys from..to and from2..to2 within the block; or the last row alone. */
    const eachPair = (pair: () => void, single: () => void) => {
      r.set(start());
      note.set(after(notes, start(), f.i32.const(NOTE_BYTES)));
      f.for(r, stop, 2, () => {
        from.set(f.i32.load(note(), FROM));
        to.set(f.i32.load(note(), TO));
        clip(from, to);
        f.if(
          f.i32.lt_s(f.i32.add(r(), f.i32.const(1)), stop()),
          () => {
            from2.set(f.i32.load(note(), NOTE_BYTES + FROM));
            to2.set(f.i32.load(note(), NOTE_BYTES + TO));
            clip(from2, to2);
            pair();
          },
          single,
        );
        f.advance(note, 2 * NOTE_BYTES);
      });
    };

    const blockRow = (lower: Local<"i32">) => after(x, f.i32.sub(lower(), s()), stride());
    /** Row r or r + 1 of the scores, at a key. */
    const scoreAt = (row: () => Operand<"i32">, key: Local<"i32">) => {
      const first = f.local("ptr", after(scores, row(), scoreBytes()));
      return after(first, key(), f.i32.const(4));
    };
    const thisRow = () => r();
    const nextRow = () => f.i32.add(r(), f.i32.const(1));

    const score = (count: 1 | 2, lower: Local<"i32">, upper: Local<"i32">) =>
      f.if(f.i32.lt_s(lower(), upper()), () =>
        call(
          scoresOf[count],
          after(queries, r(), rowBytes()),
          blockRow(lower),
          stride(),
          f.i32.sub(upper(), lower()),
          vectors(),
          a.scale(),
          scoreAt(thisRow, lower),
          scoreBytes(),
        ),
      );
    const addValues = (count: 1 | 2, row: () => Operand<"i32">, lower: Local<"i32">, upper: Local<"i32">) =>
      f.if(f.i32.lt_s(lower(), upper()), () =>
        call(
          valuesOf[count],
          scoreAt(row, lower),
          scoreBytes(),
          blockRow(lower),
          stride(),
          f.i32.sub(upper(), lower()),
          vectors(),
          after(sums, row(), rowBytes()),
        ),
      );

    f.while(
      () => f.i32.lt_s(item(), range.to()),
      () => {
        // The last tile first: it sees the most keys under a causal mask, and a thread should not end with the longest.
        g.set(f.i32.div_u(item(), tiles()));
        firstRow.set(f.i32.sub(f.i32.sub(tiles(), f.i32.const(1)), f.i32.rem_u(item(), tiles())));
        firstRow.set(times(firstRow, ROWS));
        groupRows.set(f.i32.sub(total(), firstRow()));
        groupRows.set(min(f, groupRows, most));
        packed.set(f.i32.or(f.i32.ge_s(groupRows(), f.i32.const(PACKED_ROWS)), f.i32.and(a.headDim(), f.i32.const(3))));
        step.set(f.i32.and(f.i32.eq(a.queries(), f.i32.const(1)), f.i32.eqz(packed())));
        packed.set(f.i32.or(packed(), f.i32.eqz(inOrder()))); // a tile's loops know one stride
        // Where each kv head is one item, those that follow each other are neighbours in memory, key by key.
        groups.set(f.i32.const(1));
        f.if(f.i32.eq(tiles(), f.i32.const(1)), () => {
          const left = f.local("i32", f.i32.sub(range.to(), item()));
          groups.set(f.i32.div_u(f.i32.const(ROWS), groupRows()));
          groups.set(min(f, groups, left));
        });
        rows.set(f.i32.mul(groups(), groupRows()));

        begin.set(a.keyCount());
        end.set(f.i32.const(0));
        eachRow(() => {
          const entry = f.local("ptr", after(a.ranges, t(), f.i32.const(8)));
          from.set(f.i32.load(entry()));
          to.set(f.i32.load(entry(), 4));
          f.i32.store(note(), from(), FROM);
          f.i32.store(note(), to(), TO);
          f.f32.store(note(), f.f32.const(0), SUM);
          f.if(f.i32.lt_s(from(), to()), () => {
            begin.set(min(f, begin, from));
            end.set(max(f, end, to));
          });
          call(
            pack,
            after(a.q, f.i32.add(f.i32.mul(t(), a.heads()), h()), headBytes()),
            f.i32.const(0),
            f.ptr.const(0),
            f.i32.const(1),
            a.headDim(),
            after(queries, r(), rowBytes()),
          );
        });
        call(clear, sums(), f.i32.mul(rows(), times(vectors, 4)));

        const seen = () => f.i32.sub(end(), begin());
        const firstRowOf = () => f.i32.const(0);
        f.if(
          step(),
          () =>
            f.if(f.i32.lt_s(begin(), end()), () =>
              call(
                stepScores,
                queries(),
                rowsFrom(a.keys, begin, g),
                kvBytes(),
                tableFrom(begin),
                seen(),
                groups(),
                groupRows(),
                vectors(),
                a.scale(),
                scoreAt(firstRowOf, begin),
                scoreBytes(),
              ),
            ),
          () =>
            // A key that only one of two rows sees is scored for both: nobody reads beyond a row's range again.
            eachBlock(a.keys, () =>
              eachPair(
                () => {
                  low.set(min(f, from, from2));
                  high.set(max(f, to, to2));
                  score(2, low, high);
                },
                () => score(1, from, to),
              ),
            ),
        );

        eachRow(() => {
          from.set(f.i32.load(note(), FROM));
          const count = f.local("i32", f.i32.sub(f.i32.load(note(), TO), from()));
          const first = f.local("ptr", scoreAt(thisRow, from));
          f.if(f.f32.ne(a.softCap(), f.f32.const(0)), () => call(capRow, first(), count(), a.softCap()));
          f.if(f.i32.eqz(f.ptr.isNull(a.bias())), () => {
            const row = f.local("ptr");
            const index = f.local("i32", from());
            f.if(
              a.biasRelative(),
              () => {
                row.set(after(a.bias, h(), times(a.biasLength, 4)));
                index.set(f.i32.add(f.i32.sub(index(), t()), a.biasOrigin()));
              },
              () => row.set(after(a.bias, f.i32.add(f.i32.mul(h(), a.queries()), t()), times(a.keyCount, 4))),
            );
            f.if(f.i32.gt_s(count(), f.i32.const(0)), () =>
              call(biasRow, first(), count(), after(row, index(), f.i32.const(4))),
            );
          });
          call(softmaxRow, first(), count(), f.ptr.add(note(), f.ptr.const(SUM)));
        });

        f.if(
          step(),
          () =>
            f.if(f.i32.lt_s(begin(), end()), () =>
              call(
                stepValues,
                scoreAt(firstRowOf, begin),
                scoreBytes(),
                rowsFrom(a.values, begin, g),
                kvBytes(),
                tableFrom(begin),
                seen(),
                groups(),
                groupRows(),
                vectors(),
                sums(),
              ),
            ),
          () =>
            // A weight of 0 hides no Infinity: two rows together take only what both see.
            eachBlock(a.values, () =>
              eachPair(
                () => {
                  low.set(max(f, from, from2));
                  high.set(min(f, to, to2));
                  f.if(
                    f.i32.lt_s(low(), high()),
                    () => {
                      addValues(1, thisRow, from, low);
                      addValues(1, nextRow, from2, low);
                      addValues(2, thisRow, low, high);
                      addValues(1, thisRow, high, to);
                      addValues(1, nextRow, high, to2);
                    },
                    () => {
                      addValues(1, thisRow, from, to);
                      addValues(1, nextRow, from2, to2);
                    },
                  );
                },
                () => addValues(1, thisRow, from, to),
              ),
            ),
        );

        eachRow(() => {
          const divisor = f.local("f32", f.f32.load(note(), SUM));
          f.if(f.f32.eq(divisor(), f.f32.const(0)), () => divisor.set(f.f32.const(1)));
          call(
            divide,
            after(a.out, f.i32.add(f.i32.mul(t(), a.heads()), h()), headBytes()),
            after(sums, r(), rowBytes()),
            a.headDim(),
            divisor(),
          );
          f.if(f.i32.eqz(f.ptr.isNull(a.probs())), () => {
            from.set(f.i32.load(note(), FROM));
            to.set(f.i32.load(note(), TO));
            const row = f.local(
              "ptr",
              after(a.probs, f.i32.add(f.i32.mul(h(), a.queries()), t()), times(a.keyCount, 4)),
            );
            call(clear, row(), from());
            call(
              divide,
              after(row, from(), f.i32.const(4)),
              scoreAt(thisRow, from),
              f.i32.sub(to(), from()),
              divisor(),
            );
            call(clear, after(row, to(), f.i32.const(4)), f.i32.sub(a.keyCount(), to()));
          });
        });
        item.set(f.i32.add(item(), groups()));
      },
    );
  });
}
