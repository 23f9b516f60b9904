/** Attention masks as data: a rule and lengths, never a matrix. */

import { checkInteger, checkOptions } from "../check";

/**
 * Which keys each query sees. Positions count from the first key; query and key share them.
 *
 * Every rule that transformers use leaves each query one run of neighbouring keys, so that a mask is a function from
 * a position to a range: see `visibleKeys`. Make one with `attentionMask`.
 */
export interface Mask {
  /** Keys before the query that it sees: Infinity for all of them. */
  readonly left: number;
  /** Keys after the query that it sees: 0 is causal, Infinity bidirectional. */
  readonly right: number;
  /** The first `prefix` keys are seen by every query (a seq2seq or prefix language model); 0 for none. */
  readonly prefix: number;
  /** Ends (exclusive, increasing) of the blocks within which alone queries see keys; null for a single block. */
  readonly groups: readonly number[] | null;
  /** Keys before this one are padding. */
  readonly firstKey: number;
  /** Keys from this one on are padding; Infinity for none. */
  readonly keyLength: number;
}

/** What `attentionMask` takes. Everything left out hides nothing. */
export interface MaskOptions {
  /** Hide the keys after each query. */
  readonly causal?: boolean;
  /** See `Mask.prefix`. With `causal`, the mask of a prefix (seq2seq) language model. */
  readonly prefix?: number;
  /**
   * Sliding window. A number, with `causal`, is how many keys a query sees, itself included, as `sliding_window` in
   * Hugging Face configs; `{ left, right }` counts the neighbours on each side.
   */
  readonly window?: number | { readonly left: number; readonly right: number };
  /** Group attention: ends (exclusive, increasing) of the blocks of a block-diagonal mask. */
  readonly groups?: readonly number[];
  /** Padding on the left: keys before this one are hidden. */
  readonly firstKey?: number;
  /** Padding on the right: keys from this one on are hidden. */
  readonly keyLength?: number;
}

const OPTIONS = ["causal", "prefix", "window", "groups", "firstKey", "keyLength"] as const;

/** Masks whose numbers were checked; and how a mask is told from the options of one. */
const made = new WeakSet<object>();

/**
 * Makes a mask.
 *
 * @throws RangeError for lengths that are negative or not integers, groups that do not increase, a prefix under a
 *   window (its queries would see two separate runs of keys), a prefix without `causal` (which it would not change)
 * @example
 * attentionMask({ causal: true });                    // a decoder
 * attentionMask({ causal: true, window: 4096 });      // Mistral
 * attentionMask({ causal: true, prefix: 10 });        // a prefix LM: 10 source tokens see each other
 * attentionMask({ groups: [3, 8], causal: true });    // two packed sequences, of 3 and 5 tokens
 * attentionMask({ keyLength: 7 });                    // a padded encoder input
 */
export function attentionMask(options: MaskOptions = {}): Mask {
  checkOptions("attentionMask", options, OPTIONS);
  const {
    causal = false,
    prefix = 0,
    window,
    groups = null,
    firstKey = 0,
    keyLength = Number.POSITIVE_INFINITY,
  } = options;
  if (typeof causal !== "boolean") throw new TypeError(`causal: expected true or false, got ${String(causal)}`);
  if (groups !== null && !Array.isArray(groups))
    throw new TypeError(`groups: expected an array, got ${String(groups)}`);
  checkInteger("prefix", prefix, 0);
  checkInteger("firstKey", firstKey, 0);
  if (keyLength !== Number.POSITIVE_INFINITY) checkInteger("keyLength", keyLength, 0);
  let left = Number.POSITIVE_INFINITY;
  let right = causal ? 0 : Number.POSITIVE_INFINITY;
  if (typeof window === "number") {
    if (!causal) throw new RangeError("window: a number needs causal: true; for both sides give { left, right }");
    left = checkInteger("window", window, 1) - 1;
  } else if (window !== undefined) {
    checkOptions("window", window, ["left", "right"]);
    left = checkInteger("window.left", window.left, 0);
    right = Math.min(right, checkInteger("window.right", window.right, 0));
  }
  if (prefix > 0 && left !== Number.POSITIVE_INFINITY) {
    throw new RangeError("prefix cannot be combined with window: a query would see two separate runs of keys");
  }
  if (prefix > 0 && right === Number.POSITIVE_INFINITY) {
    throw new RangeError("prefix needs causal: true; without it every key is seen anyway");
  }
  for (let i = 0; i < (groups?.length ?? 0); i++) {
    checkInteger(
      `groups[${i}]`,
      (groups as readonly number[])[i],
      i === 0 ? 1 : (groups as readonly number[])[i - 1] + 1,
    );
  }
  const mask = { left, right, prefix, groups: groups === null ? null : [...groups], firstKey, keyLength };
  made.add(mask);
  return mask;
}

/** A mask as it is, or one made of options, which are checked. */
export function asMask(mask: Mask | MaskOptions): Mask {
  return made.has(mask) ? (mask as Mask) : attentionMask(mask as MaskOptions);
}

/** The mask of decoders: each query sees itself and the keys before it. */
export const CAUSAL: Mask = /* @__PURE__ */ attentionMask({ causal: true });
/** No mask: every query sees every key. */
export const BIDIRECTIONAL: Mask = /* @__PURE__ */ attentionMask();

/**
 * The range `[from, to)` of keys that a query sees, written to `range`; empty (from = to) if there is none.
 *
 * @param position the query's position among the keys
 * @param keys S, how many keys there are
 */
export function visibleKeys(mask: Mask, position: number, keys: number, range: { from: number; to: number }): void {
  let from = Math.max(mask.firstKey, position - mask.left);
  let to = Math.min(keys, mask.keyLength, Math.max(position + mask.right + 1, mask.prefix));
  if (mask.groups !== null) {
    const group = mask.groups.findIndex((end) => position < end);
    from = Math.max(from, group > 0 ? mask.groups[group - 1] : group < 0 ? (mask.groups.at(-1) ?? 0) : 0);
    if (group >= 0) to = Math.min(to, mask.groups[group]);
  }
  range.from = Math.min(from, to);
  range.to = to;
}
