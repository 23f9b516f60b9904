/** What run.ts and the processes that measure agree on. */

/** Tokens that are generated: never fewer, whatever ends a text. */
export const NEW_TOKENS = 32;
export const BEAMS = 4;
/** Lengths of the sources, in tokens. */
export const LENGTHS = [30, 300] as const;

export type Library = "qkv" | "transformers.js" | "onnxruntime-node";
/** How weights lie in memory. Of ours, f16 is how they are stored, which is asked for as `auto`. */
export type Dtype = "f16" | "q8" | "f32";

/** How a contender is loaded. */
export interface Settings {
  readonly library: Library;
  /** The library's file to import. */
  readonly modulePath: string;
  /** qkv: the model's folder; others: the folder that holds its ONNX export as `t5-titler/`. */
  readonly folder: string;
  readonly dtype: Dtype;
  readonly threads: number;
  readonly turbo: boolean;
}

/** How often things are done, and for how long at least. */
export interface Repeats {
  readonly warm: number;
  readonly least: number;
  readonly leastMs: number;
}

/** A text, and what Hugging Face's PyTorch makes of it, greedily and in float32. */
export interface TitledText {
  readonly text: string;
  readonly ids: readonly number[];
  readonly title: string;
}

/** An encoder with one scale for each whole tensor, and plain onnxruntime, which runs it. */
export interface Coarse {
  readonly modulePath: string;
  readonly encoderPath: string;
}

/** What child.ts is told to do. */
export type Job = ModelJob | AccuracyJob;

/** To measure a contender. */
export interface ModelJob {
  readonly kind: "model";
  readonly settings: Settings;
  /** Ids of the sources, by `LENGTHS`. */
  readonly sources: readonly (readonly number[])[];
  readonly repeats: Repeats;
}

/** To compare ours with smaller weights to ours in float32. */
export interface AccuracyJob {
  readonly kind: "accuracy";
  /** Ours: its file to import. */
  readonly modulePath: string;
  /** The model's. */
  readonly folder: string;
  /** Null if there is none. */
  readonly coarse: Coarse | null;
  readonly texts: readonly TitledText[];
}

/** What limit.ts is told to do. */
export interface LimitJob {
  readonly threads: number;
  readonly leastMs: number;
}

/** When a job's process was started, in ms since 1970. */
export interface Started {
  readonly startedAt: number;
}

/** Figures of one source. */
export interface SourceMeasured {
  /** Null where the library has no call that encodes and does nothing else. */
  readonly encodeMs: number | null;
  /** From the source to its first token. */
  readonly firstMs: number;
  /** Time between two tokens: the median; and the mean of a text, of which the median. */
  readonly stepMs: number;
  readonly meanStepMs: number;
  /** From the source to its last token. */
  readonly wholeMs: number;
  readonly ids: readonly number[];
  /** Null where the library has no beam search. */
  readonly beam: {
    readonly wholeMs: number;
    /** All steps by their number, without encoding. */
    readonly stepMs: number;
    readonly ids: readonly number[];
  } | null;
}

/** What a process sends: what it was told to measure, and the processor time of all its threads. */
export interface Answer<Result> {
  readonly result: Result;
  readonly cpuMs: number;
}

export interface ModelMeasured {
  /** From files to ready, without importing the library. */
  readonly loadMs: number;
  /** From the start of the process to ready. */
  readonly readyMs: number;
  /** Most memory that was resident up to then, and until the greedy texts were done. */
  readonly readyRssMB: number;
  readonly peakRssMB: number;
  /** Cores that were busy with the greedy texts. */
  readonly cores: number;
  /** By `LENGTHS`. */
  readonly sources: readonly SourceMeasured[];
}

/** Reading memory, GB/s. */
export interface LimitMeasured {
  readonly rate: number;
}

/** How near other weights come to float32. */
export interface Accuracy {
  readonly name: string;
  /** Cosines of the encoder's states, a token each: the least and the mean, of all texts. */
  readonly leastCosine: number;
  readonly meanCosine: number;
  /** Greedy titles that are those of float32; null of an encoder alone. */
  readonly sameTitles: number | null;
  /** Those that are not, as they are and as float32 has them. */
  readonly others: readonly { readonly got: string; readonly want: string }[];
}

export interface AccuracyMeasured {
  readonly texts: number;
  /** Tokens of all texts, which is rows that are compared. */
  readonly tokens: number;
  /** Titles of ours in float32 that are PyTorch's. */
  readonly asPyTorch: number;
  readonly rows: readonly Accuracy[];
}
