/** The error of chat templates. */

import { printable } from "../errors";

/** A template's own text is shown up to this length: some explain at length what they want. */
const MAX_REASON = 1000;

/**
 * A chat template that cannot be read, fails, or refuses the messages with `raise_exception`.
 *
 * @example
 * try {
 *   await model.applyChatTemplate([{ role: "system", content: "Be brief." }]);
 * } catch (error) {
 *   if (error instanceof ChatTemplateError && error.raised !== null) console.error(`Not for this model: ${error.raised}`);
 * }
 */
export class ChatTemplateError extends Error {
  override readonly name = "ChatTemplateError";
  /** The file, and the template's name within it if it has one. */
  readonly file: string;
  /** What the template itself passed to `raise_exception`, as it is; null where it is not the template that refuses. */
  readonly raised: string | null;

  constructor(file: string, problem: string, options: { raised?: string; cause?: unknown } = {}) {
    const { raised = null, ...more } = options;
    super(`${printable(file)}: ${printable(raised ?? problem, MAX_REASON)}`, more);
    this.file = file;
    this.raised = raised;
  }
}
