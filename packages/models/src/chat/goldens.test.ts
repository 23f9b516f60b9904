/** Chat templates against transformers and jinja2: tests/fixtures/tokenizers, chat_templates.json. */

import { describe, expect, test } from "vitest";
import { fixtureJson } from "../../../../tests/support/tokenizer-fixtures";
import { ChatTemplateError } from "./errors";
import { type ChatMessage, ChatTemplate } from "./template";

interface Goldens {
  readonly now: string;
  readonly templates: Record<string, { template: string; bos_token: string | null; eos_token: string | null }>;
  readonly chats: Record<string, { messages: ChatMessage[]; tools?: object[] }>;
  readonly outputs: {
    template: string;
    chat: string;
    add_generation_prompt: boolean;
    text?: string;
    error?: string;
  }[];
}

const goldens = fixtureJson<Goldens>("rest", "chat_templates.json");

/** JSON.parse makes 1 of 1.0, so that Python's json.dumps has a float where we have an integer. */
const FLOATS = ["llama3 tools", "[1.0, 2.5, null]", "[1, 2.5, null]"] as const;

describe("chat templates", () => {
  test.each(goldens.outputs)("$template, $chat, prompt: $add_generation_prompt", async (golden) => {
    const { template: source, bos_token, eos_token } = goldens.templates[golden.template];
    const { messages, tools } = goldens.chats[golden.chat];
    const template = await ChatTemplate.parse(source, { file: golden.template });
    const variables = { bos_token: bos_token ?? undefined, eos_token: eos_token ?? undefined };
    const render = () =>
      template.render(messages, {
        ...{ addGenerationPrompt: golden.add_generation_prompt, now: new Date(goldens.now), variables },
        ...(tools === undefined ? {} : { tools }),
      });
    if (golden.error !== undefined) {
      expect(render).toThrow(ChatTemplateError);
      expect(render).toThrow(
        expect.objectContaining({ raised: golden.error, message: `${golden.template}: ${golden.error}` }),
      );
      return;
    }
    const [name, theirs, ours] = FLOATS;
    const differs = `${golden.template} ${golden.chat}` === name;
    if (differs) expect(golden.text).toContain(theirs);
    expect(render()).toBe(differs ? golden.text?.replace(theirs, ours) : golden.text);
  });
});
