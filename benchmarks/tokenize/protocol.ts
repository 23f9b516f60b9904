/** What run.ts and its children agree on. */

export const CONTENDERS = ["qkv", "tokenizers (native)", "@huggingface/tokenizers", "@xenova/transformers"] as const;
export type ContenderName = (typeof CONTENDERS)[number];

/** What of an encoding is read: the ids alone, or ids, offsets and tokens. */
export type Output = "ids" | "all";

export const KINDS = ["English", "code", "Chinese", "emoji"] as const;
export type Kind = (typeof KINDS)[number];

/** Documents of some kB, all in one text, or queries of twelve words. */
export type Shape = "documents" | "one text" | "queries";

/** A text of one character or word for which a careless algorithm is quadratic. */
export const LONG_TEXTS = ["a word of 300 letters", "10 MB of a", "1 MB without a space"] as const;
export type LongText = (typeof LONG_TEXTS)[number];

/** What a child is told when it is started: one contender, one vocabulary. */
export interface Job {
  readonly contender: ContenderName;
  /** Its package's entry; "" for qkv, which is bundled. */
  readonly modulePath: string;
  /** A tokenizer.json. */
  readonly vocabularyPath: string;
  /** UTF-8 bytes of each of the texts. */
  readonly textBytes: number;
}

export interface Case {
  readonly kind: Kind;
  readonly shape: Shape;
  readonly output: Output;
}

/** What a child is asked, one thing at a time; `load` comes first. */
export type Question =
  | { readonly load: true }
  /** Every round has texts of its own. */
  | { readonly measure: Case; readonly round: number }
  | { readonly grow: LongText }
  | { readonly processorTime: true };

export interface Load {
  /** From the file's text to a tokenizer, in a process that has done nothing else, and again when it has. */
  readonly firstMs: number;
  readonly againMs: number;
  /** Of memory that stays, JavaScript's heap and array buffers; what native code takes is not in it. */
  readonly bytesPerEntry: number;
}

export interface Measured {
  readonly ms: number;
  /** UTF-8 bytes and calls in that time. */
  readonly bytes: number;
  readonly calls: number;
  /** A hash of each call's ids, to compare contenders by. */
  readonly hashes: readonly number[];
}

/** How time grows with length: the time for a text by the time for a quarter of it. */
export interface Growth {
  readonly ms: number;
  readonly ratio: number;
}

export type Answer =
  | { readonly load: Load }
  | { readonly measured: Measured }
  | { readonly growth: Growth }
  | { readonly processorMs: number }
  /** It cannot, and why. */
  | { readonly absent: string };
