/** The chat templates of a model: several by name, and the special tokens that they print. */

import { ChatTemplateError } from "./errors";
import { type ChatMessage, type ChatOptions, ChatTemplate, checkChat } from "./template";

/** Options of `applyChatTemplate`. */
export interface ApplyChatTemplateOptions extends ChatOptions {
  /**
   * A template's name, or the source of another one. If left out: `tool_use` where there are tools and such a template,
   * else `default`.
   */
  readonly template?: string;
}

/** What model files say about chats. */
export interface ChatTemplateFiles {
  /** For messages. */
  readonly file: string;
  /** Sources by name; the plain one is `default`. */
  readonly sources: ReadonlyMap<string, string>;
  /** `bos_token` and the like. */
  readonly specialTokens: Readonly<Record<string, string>>;
}

/** A model's chat templates. Each is parsed when it is first asked for. */
export class ChatTemplates {
  readonly file: string;
  readonly sources: ReadonlyMap<string, string>;
  readonly specialTokens: Readonly<Record<string, string>>;
  readonly #parsed = new Map<string, Promise<ChatTemplate>>();

  constructor({ file, sources, specialTokens }: ChatTemplateFiles) {
    this.file = file;
    this.sources = sources;
    this.specialTokens = specialTokens;
  }

  /**
   * The text of a chat, as the model was trained on. It holds the special tokens already: encode it with
   * `addSpecialTokens: false`.
   *
   * @throws ChatTemplateError where the template refuses the messages (`raised` is its text), cannot be read or fails;
   *   TypeError for wrong options
   * @example
   * const chat = await loadChatTemplate("SmolLM2-135M-Instruct");
   * await chat.apply([{ role: "user", content: "Hello" }], { addGenerationPrompt: true });
   */
  async apply(messages: readonly ChatMessage[], options: ApplyChatTemplateOptions = {}): Promise<string> {
    checkChat("applyChatTemplate", messages, options, ["template"]);
    const { template, variables, ...rest } = options;
    const parsed = await this.#choose(template, rest.tools !== undefined);
    return parsed.render(messages, { ...rest, variables: { ...this.specialTokens, ...variables } });
  }

  #choose(given: string | undefined, hasTools: boolean): Promise<ChatTemplate> {
    if (given !== undefined && typeof given !== "string")
      throw new TypeError(`template: expected a text, got ${given}`);
    const names = given === undefined ? [...(hasTools ? ["tool_use"] : []), "default"] : [given];
    const name = names.find((each) => this.sources.has(each));
    if (name !== undefined) return this.#parse(name);
    if (given !== undefined && /\{[{%]/.test(given)) return ChatTemplate.parse(given, { file: "template" });
    const known = [...this.sources.keys()].slice(0, 20).join(", ");
    throw new ChatTemplateError(this.file, `there is no template ${names.at(-1)}; there are: ${known}`);
  }

  #parse(name: string): Promise<ChatTemplate> {
    let parsed = this.#parsed.get(name);
    if (parsed === undefined) {
      const file = name === "default" ? this.file : `${this.file}, ${name}`;
      parsed = ChatTemplate.parse(this.sources.get(name) as string, { file });
      this.#parsed.set(name, parsed);
    }
    return parsed;
  }
}
