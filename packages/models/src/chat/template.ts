/** One chat template: from messages to the text of a prompt, by the rules of Hugging Face transformers. */

import { checkOptions } from "@qkv/core";
import { ChatTemplateError } from "./errors";
import { type Jinja, LimitError, type Program, Raised, runTemplate } from "./interpreter";
import { isRecord, type PlainSize, plainCopy } from "./plain";
import { strftime } from "./strftime";
import { parseTemplate } from "./syntax";

/** One turn of a chat. Templates may read more than these: `tool_calls`, `tool_call_id`, `name`, `reasoning_content`. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, `tool`. */
  readonly role: string;
  /** A text, or parts such as `{ type: "text", text }`, as far as the template knows them. */
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

/** Options of `ChatTemplate.render`. */
export interface ChatOptions {
  /** JSON schemas of functions that the model may call. */
  readonly tools?: readonly object[];
  /** `{ title, text }`, for models that answer from documents. */
  readonly documents?: readonly object[];
  /** Ends with the beginning of an answer. False if left out, as in transformers. */
  readonly addGenerationPrompt?: boolean;
  /** Leaves the last message open, so that the model goes on with it; or with that field of it. */
  readonly continueFinalMessage?: boolean | string;
  /** The time that `strftime_now` tells; the present if left out. */
  readonly now?: Date;
  /** Further variables of the template, such as `enable_thinking`; they go before the special tokens. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

export const CHAT_OPTIONS: readonly (keyof ChatOptions)[] = [
  ...(["tools", "documents", "addGenerationPrompt", "continueFinalMessage", "now", "variables"] as const),
];

/** Names that the options have: a variable of the same name would hide which one counts. */
const RESERVED = ["messages", "tools", "documents", "add_generation_prompt"];

/** Put at the end of the message to continue, to find it again in the text; transformers' choice, space included. */
const CONTINUE_TAG = "CONTINUE_FINAL_MESSAGE_TAG ";

/** Names of a message's reasoning; templates read one or the other. The first is the usual one. */
const REASONING = ["reasoning_content", "thinking", "reasoning"];

/**
 * A template, parsed.
 *
 * @example
 * const template = await ChatTemplate.parse("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
 * template.render([{ role: "user", content: "Hello" }]); // "user: Hello\n"
 */
export class ChatTemplate {
  readonly source: string;
  /** For messages. */
  readonly file: string;
  readonly #jinja: Jinja;
  readonly #program: Program;

  private constructor(source: string, file: string, jinja: Jinja, program: Program) {
    this.source = source;
    this.file = file;
    this.#jinja = jinja;
    this.#program = program;
  }

  /**
   * Parses a template. The interpreter is loaded with the first one.
   *
   * @throws ChatTemplateError with line and column for what is no template
   */
  static async parse(source: string, options: { readonly file?: string } = {}): Promise<ChatTemplate> {
    checkOptions("ChatTemplate.parse", options, ["file"]);
    if (typeof source !== "string") throw new TypeError(`ChatTemplate.parse: expected a text, got ${typeof source}`);
    const { file = "chat template" } = options;
    const jinja = await import("@huggingface/jinja");
    return new ChatTemplate(source, file, jinja, parseTemplate(jinja, source, file));
  }

  /**
   * The text of a chat. It holds the special tokens already: encode it with `addSpecialTokens: false`.
   *
   * @throws ChatTemplateError where the template refuses the messages (`raised` is its text), fails, or takes too long;
   *   TypeError for wrong options and for messages that are not plain data
   */
  render(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    checkChat("render", messages, options);
    const { tools, documents, addGenerationPrompt = false, now = new Date(), variables = {} } = options;
    const size: PlainSize = { values: 0, characters: 0 };
    const chat = (plainCopy(messages, "messages", size) as Record<string, unknown>[]).map(withReasoning);
    const final = this.#openFinalMessage(chat, options);
    const text = this.#run(
      {
        strftime_now: (format: unknown) => strftime(now, String(format)),
        ...(plainCopy(variables, "variables", size) as Record<string, unknown>),
        messages: chat,
        tools: plainCopy(tools, "tools", size),
        documents: plainCopy(documents, "documents", size),
        add_generation_prompt: addGenerationPrompt,
      },
      size,
    );
    return final === null ? text : this.#cutAtTag(text, final);
  }

  #run(variables: Record<string, unknown>, size: PlainSize): string {
    try {
      return runTemplate(this.#jinja, this.#program, variables, size);
    } catch (cause) {
      if (cause instanceof Raised) throw new ChatTemplateError(this.file, "", { raised: cause.message });
      if (cause instanceof LimitError) throw new ChatTemplateError(this.file, `stopped, as ${cause.message}`);
      throw new ChatTemplateError(this.file, `the template fails: ${(cause as Error).message}`, { cause });
    }
  }

  /** Tags the field to continue, under all names that it has; gives its text, or null where nothing is to continue. */
  #openFinalMessage(chat: Record<string, unknown>[], { continueFinalMessage = false }: ChatOptions): string | null {
    if (continueFinalMessage === false) return null;
    const field = continueFinalMessage === true ? "content" : continueFinalMessage;
    const message = chat.at(-1);
    const fail = (problem: string): never => {
      throw new ChatTemplateError(this.file, `continueFinalMessage: ${problem}`);
    };
    if (message === undefined) return fail("there is no message");
    const value = message[field] ?? null;
    const fields = REASONING.includes(field) ? REASONING.filter((name) => message[name] === value) : [field];
    if (value === null) return fail(`the last message has no "${field}"`);
    if (!fields.some((name) => this.source.includes(name))) return fail(`the template does not read "${field}"`);
    if (typeof value === "string") {
      for (const name of fields) message[name] = value + CONTINUE_TAG;
      return value;
    }
    const parts: unknown[] = Array.isArray(value) ? value : [];
    const part = parts.filter((each) => isRecord(each) && typeof each.text === "string").at(-1) as
      | { text: string }
      | undefined;
    if (part === undefined) return fail(`the last message has no text in its "${field}"`);
    const { text } = part;
    part.text += CONTINUE_TAG;
    return text;
  }

  #cutAtTag(text: string, final: string): string {
    const at = text.lastIndexOf(CONTINUE_TAG.trim());
    if (at === -1 || !text.includes(final.trim())) {
      throw new ChatTemplateError(
        this.file,
        "continueFinalMessage: the template changes or leaves out the last message",
      );
    }
    const cut = text.slice(0, at);
    // Without the tag's space the template trims its messages, and the text to continue must be as it would be.
    return text.startsWith(CONTINUE_TAG, at) ? cut : cut.trimEnd();
  }
}

/** Throws TypeError for messages and options of the wrong types. */
export function checkChat(call: string, messages: unknown, options: ChatOptions, more: readonly string[] = []): void {
  checkOptions(call, options, [...CHAT_OPTIONS, ...more]);
  const wrong = (name: string, expected: string): never => {
    throw new TypeError(`${call}: ${name}: expected ${expected}`);
  };
  const { tools, documents, addGenerationPrompt, continueFinalMessage, now, variables } = options;
  for (const [name, list] of Object.entries({ messages, tools, documents })) {
    if (list === undefined && name !== "messages") continue;
    if (!Array.isArray(list) || !list.every(isRecord)) wrong(name, "an array of objects");
  }
  if (addGenerationPrompt !== undefined && typeof addGenerationPrompt !== "boolean") {
    wrong("addGenerationPrompt", "true or false");
  }
  if (continueFinalMessage !== undefined && !["boolean", "string"].includes(typeof continueFinalMessage)) {
    wrong("continueFinalMessage", "true, false, or the name of a field");
  }
  if (continueFinalMessage !== undefined && continueFinalMessage !== false && addGenerationPrompt === true) {
    wrong(
      "continueFinalMessage",
      "no addGenerationPrompt with it: the one goes on with a message, the other begins one",
    );
  }
  if (now !== undefined && !(now instanceof Date && Number.isFinite(now.getTime()))) wrong("now", "a valid Date");
  if (variables === undefined) return;
  if (!isRecord(variables)) wrong("variables", "an object");
  const taken = RESERVED.find((name) => Object.hasOwn(variables, name));
  if (taken !== undefined) wrong("variables", `no "${taken}", which is not a variable of yours`);
}

/** Fills `reasoning_content` from its other names, and `thinking`, which gpt-oss reads. */
function withReasoning(message: Record<string, unknown>): Record<string, unknown> {
  const name = REASONING.find((each) => (message[each] ?? null) !== null);
  if (name === undefined) return message;
  return { thinking: message[name], ...message, reasoning_content: message[name] };
}
