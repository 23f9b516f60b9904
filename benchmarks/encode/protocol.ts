/** What run.ts and the processes that measure agree on. */

/** A text, and what plain onnxruntime is given in its place. */
export interface Text {
  readonly text: string;
  /** Of at most `MAX_LENGTH` tokens, [CLS] and [SEP] included. */
  readonly ids: readonly number[];
  /** Whether tokens were cut off. */
  readonly cut: boolean;
}

/** The file that a process reads once it has embedded its first text. */
export interface Texts {
  readonly mixed: readonly Text[];
  /** Of `EQUAL_LENGTH` tokens each. */
  readonly equal: readonly Text[];
}

/** sentence_bert_config.json's max_seq_length of all-MiniLM-L6-v2. */
export const MAX_LENGTH = 256;
export const EQUAL_LENGTH = 128;
/** Components of an embedding. */
export const DIMENSIONS = 384;

export type Library = "qkv" | "onnxruntime-node" | "transformers.js" | "@xenova/transformers" | "onnxruntime-web";
export type Dtype = "f32" | "q8";

/** How a contender is loaded. */
export interface Settings {
  readonly library: Library;
  /** The library's file to import. */
  readonly modulePath: string;
  /** qkv: the model's folder; others: the folder that holds its ONNX export as `minilm/`. */
  readonly folder: string;
  readonly dtype: Dtype;
  readonly threads: number;
  readonly turbo: boolean;
}

/**
 * How texts are handed over: one by one, 8 or 32 as they come, 32 sorted by length; or all in one call, for who cuts them
 * into batches itself.
 */
export type Way = "1" | "8" | "32" | "32 sorted" | "all";

/** A way, of which every `step`-th batch is run: of "all", every `step`-th text. */
export interface Share {
  readonly way: Way;
  readonly step: number;
}

/** What a process is told to do. All begin with loading and one query. */
export interface Job {
  readonly settings: Settings;
  readonly query: Text;
  /** When the process was started, in ms since 1970. */
  readonly startedAt: number;
  /** `Texts` as JSON. */
  readonly textsPath: string;
  readonly shares: readonly Share[];
  /** Whether the latency and the equal texts are measured. */
  readonly inFull: boolean;
  /** Whether texts alone are compared with the same in a batch. */
  readonly neighbours: boolean;
  /** Embeddings of all texts `[texts, DIMENSIONS]`, to compare with; null if there are none. */
  readonly referencePath: string | null;
  /** Where to write the first share's, which has to be all of the texts. */
  readonly writePath: string | null;
}

/** How near embeddings are to the reference's. */
export interface Nearness {
  readonly texts: number;
  readonly mean: number;
  readonly least: number;
  /** The least of texts that the contender's tokenizer cuts off in another way than ours; null if there were none. */
  readonly leastCut: number | null;
}

export interface ShareMeasured extends Share {
  /** Time for all texts: of the part, by positions, padding included where the contender pads. */
  readonly wholeMs: number;
  /** Texts/s. */
  readonly rate: number;
  readonly cores: number;
  readonly nearness: Nearness | null;
}

export interface Measurement {
  /** From files to ready, without importing the library. */
  readonly loadMs: number;
  /** From the start of the process to the first embedding. */
  readonly firstMs: number;
  /** Most memory up to then, and up to the end. */
  readonly firstRssMB: number;
  readonly peakRssMB: number;
  readonly latencyMs: number | null;
  /** Equal texts/s. */
  readonly equalRate: number | null;
  readonly shares: readonly ShareMeasured[];
  /** Largest difference of a component between a text alone and in a batch of 32. */
  readonly neighbours: number | null;
  /** Processor time of all its threads. */
  readonly cpuMs: number;
}
