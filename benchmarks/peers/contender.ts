/** What run.ts, measure.mjs and the files in contenders/ agree on. Types only: the last two run without a loader. */

/** How a contender loads the model. */
export interface Settings {
  /** The model as GGUF. */
  readonly gguf: string;
  /** The folder that holds its ONNX export as `smollm2/`; "" if there is none. */
  readonly exports: string;
  readonly threads: number;
  /** Positions that it must have room for. */
  readonly contextLength: number;
  /** For qkv only. */
  readonly turbo: boolean;
  /** For transformers.js only. */
  readonly dtype: "fp32" | "q8" | "q4";
}

/** A contender, loaded. */
export interface Model {
  /** Greedy, from nothing before the prompt, and never stopping before `count` tokens. */
  generate(prompt: number[], count: number, onToken: (id: number) => void): Promise<void>;
  /** What a reader of its figures must know. */
  readonly note?: string | null;
}

/** What each file in contenders/ exports as `load`. */
export type Load = (settings: Settings) => Promise<Model>;

/** What a process is told to measure. */
export interface Job {
  readonly contender: "qkv" | "node-llama-cpp" | "transformers";
  readonly settings: Settings;
  readonly shortPrompt: number[];
  readonly longPrompt: number[];
  /** Tokens to time after each prompt. */
  readonly decode: number;
  /** When the process was started, in ms since 1970. */
  readonly startedAt: number;
}

/** What it measured. */
export interface Measurement {
  readonly loadMs: number;
  /** From the start of the process to the first token after the short prompt. */
  readonly firstTokenMs: number;
  /** Tokens/s of the long prompt, up to the first token after it. */
  readonly prefill: number;
  /** Tokens/s after the short prompt. */
  readonly decodeShort: number;
  /** Tokens/s after the long prompt. */
  readonly decodeLong: number;
  readonly peakRssMB: number;
  /** Cores that were busy during the long prefill: what became of the number of threads. */
  readonly cores: number;
  /** Processor time of all its threads, start to end. */
  readonly cpuMs: number;
  /** What it generated after the short prompt. */
  readonly ids: readonly number[];
  readonly note: string | null;
}
