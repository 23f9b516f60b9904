/** What run.ts and its children agree on. */

import type { KernelCase } from "./cases";

/** What a child is told when it is started. */
export interface Job {
  readonly contender: "qkv" | "reference" | "onnxruntime" | "limit";
  readonly threads: number;
  /** For qkv only. */
  readonly turbo: boolean;
  /** The entry of onnxruntime's package, for onnxruntime only. */
  readonly modulePath: string;
}

/** What a child is asked, one thing at a time. */
export type Question =
  | { readonly prepare: string; readonly warmMs: number }
  | { readonly round: number }
  | { readonly release: true }
  | { readonly processorTime: true };

/** A child's answer, in the order of the questions. */
export type Answer =
  | { readonly ready: true }
  /** It does not have this case, and why. */
  | { readonly absent: string }
  | { readonly figures: readonly Figure[] }
  | { readonly released: true }
  | { readonly processorMs: number };

/** A round of one way to do a case. */
export interface Figure {
  /** The ONNX operation, "" where there is one way only. */
  readonly operation: string;
  /** Median time of a call. */
  readonly ms: number;
  /** Of the case's unit, in thousands of millions a second. */
  readonly rate: number;
}

/** A way to do a case, ready to be called again and again. */
export interface Way {
  readonly operation: string;
  run(): unknown;
  /** What a call does, if it is not what the case says. */
  readonly amount?: number;
}

/** A case that a contender is ready for. */
export interface Ready {
  readonly ways: readonly Way[];
  /** What any call takes that does nothing, in ms: taken off. */
  readonly overheadMs: number;
  release(): unknown;
}

/** A contender in its process: gets ready for a case, or says why it cannot. */
export type Contender = (kernelCase: KernelCase) => Promise<Ready | string>;
