/** What the tasks of an encoder-decoder need of it, and what they have in common: options, and results with a text. */

import { checkOptions } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import type { GeneratedSequence, GenerationResult } from "../../generate/generation";
import type { GenerationDefaults } from "../../generate/generation-config";
import type { GenerateOptions } from "../../generate/options";
import { OPTION_NAMES } from "../../generate/options-checks";
import { checkTaskOptions, type TaskProgress } from "../host";
import { checkFlag } from "../inputs";

/** Options of a task that makes a text of a text: those of a generation, and these. */
export interface TextToTextOptions extends GenerateOptions {
  /** What is put before each text, in place of what the task puts there. "" for nothing. */
  readonly prefix?: string;
  /** Whether a source that is longer than the context loses its end; if left out, it is an error. */
  readonly truncate?: boolean;
  /** Told how many of the texts are done. */
  readonly onProgress?: (progress: TaskProgress) => void;
}

/** One of the sequences of a result. */
export interface TextSequence extends GeneratedSequence {
  readonly text: string;
}

/** What a generation has come to, of a model with a tokenizer: there is always a text. */
export interface TextResult extends GenerationResult {
  readonly text: string;
  readonly sequences: readonly TextSequence[];
}

/** What an encoder-decoder lends to its tasks. */
export interface GenerationTaskHost {
  /** `model_type` */
  readonly architecture: string;
  readonly defaults: GenerationDefaults;
  /** Most tokens of a source. */
  readonly maxTokens: number;
  /** Whether loading with another `contextLength` would take longer ones. */
  readonly canGrow: boolean;

  /**
   * The tokenizer.
   *
   * @param task for the message
   * @throws Error for a model without one, and once it was disposed
   */
  tokenizer(task: string): Tokenizer;

  /**
   * Texts for sources, in order; each what it is alone.
   *
   * @param defaults those of the task
   * @param onDone told how many are done, as they come
   * @throws as `Seq2Seq.generateBatch`
   */
  generate(
    sources: readonly (readonly number[])[],
    options: GenerateOptions,
    defaults: GenerationDefaults,
    onDone: (done: number) => void,
  ): Promise<GenerationResult[]>;
}

const TEXT_OPTIONS = ["prefix", "truncate", "onProgress"] as const;

/** The options of a call, checked and told apart. */
export interface SplitOptions {
  readonly generation: GenerateOptions;
  readonly prefix: string | undefined;
  readonly truncate: boolean;
  readonly onProgress: ((progress: TaskProgress) => void) | undefined;
}

/**
 * Tells the options of a task from those of its generation, whose values are checked when it is planned.
 *
 * @param own names of the task's own, which are left out here
 * @throws TypeError for unknown options and wrong types
 */
export function splitOptions(call: string, options: TextToTextOptions, own: readonly string[] = []): SplitOptions {
  checkOptions(call, options, [...own, ...TEXT_OPTIONS, ...OPTION_NAMES]);
  const { prefix, truncate = false, onProgress, signal } = options;
  if (prefix !== undefined && typeof prefix !== "string")
    throw new TypeError(`prefix: expected a string, got ${String(prefix)}`);
  checkFlag("truncate", truncate);
  checkTaskOptions({
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  const others: ReadonlySet<string> = new Set([...own, ...TEXT_OPTIONS]);
  const generation = Object.fromEntries(Object.entries(options).filter(([name]) => !others.has(name)));
  return { generation, prefix, truncate, onProgress };
}

/** What a task's own settings are. */
export interface TaskSettings {
  readonly prefix: string;
  readonly defaults: GenerationDefaults;
}

/**
 * The prefix and the settings of a task: as the model's config says for the first of these names that it has, else the
 * model's own settings and the usual prefix.
 *
 * @param names in `task_specific_params`
 */
export function taskSettings({ defaults }: GenerationTaskHost, names: readonly string[], usual: string): TaskSettings {
  for (const name of names) {
    const task = defaults.tasks.get(name);
    if (task !== undefined) return task;
  }
  return { prefix: defaults.prefix ?? usual, defaults };
}

/** T5 and what was made after it: tasks are told by words before the text (Raffel et al. 2020, section 2.4). */
export function isT5({ architecture }: GenerationTaskHost): boolean {
  return ["t5", "mt5", "umt5"].includes(architecture);
}
