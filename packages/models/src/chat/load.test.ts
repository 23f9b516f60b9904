/** Where chat templates are found: folders of every age, GGUF files, loaded models. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fixture, repository } from "../../../../tests/support/fixtures";
import { CheckedSource } from "../files/checked";
import type { FileSource } from "../files/source";
import type { Gguf } from "../formats/gguf";
import { loadDecoder } from "../load";
import { folderChatTemplates, ggufChatTemplates } from "./files";
import { loadChatTemplate } from "./load";
import type { ChatTemplates } from "./templates";

/** Files in memory: objects become JSON. */
function folder(files: Record<string, unknown>, options: { lists?: boolean; below?: FileSource } = {}): FileSource {
  const bytesOf = (path: string): Uint8Array | null => {
    if (!Object.hasOwn(files, path)) return null;
    const content = files[path];
    return new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content));
  };
  return {
    read: async (path, start, end) => bytesOf(path)?.slice(start, end) ?? options.below?.read(path, start, end) ?? null,
    ...(options.lists && { list: async () => Object.keys(files) }),
  };
}

async function found(files: Record<string, unknown>, options: { lists?: boolean } = {}): Promise<ChatTemplates> {
  const templates = await folderChatTemplates(new CheckedSource(folder(files, options)), "");
  if (typeof templates === "string") throw new Error(templates);
  return templates;
}

describe("a folder", () => {
  test("tokenizer_config.json: one template, or a list of named ones", async () => {
    const one = await found({ "tokenizer_config.json": { chat_template: "a", bos_token: "<s>", add_bos_token: true } });
    expect([...one.sources]).toEqual([["default", "a"]]);
    expect(one.specialTokens).toEqual({ bos_token: "<s>" });
    const list = [
      { name: "default", template: "a" },
      { name: "rag", template: "b" },
    ];
    expect([...(await found({ "tokenizer_config.json": { chat_template: list } })).sources.keys()]).toEqual([
      "default",
      "rag",
    ]);
  });

  test("files of their own go before it, and take its special tokens", async () => {
    const files = {
      "tokenizer_config.json": {
        chat_template: "old",
        eos_token: { __type: "AddedToken", content: "</s>" },
        pad_token: null,
      },
      "chat_template.jinja": "new",
      "additional_chat_templates/tool_use.jinja": "tools",
      "additional_chat_templates/other.jinja": "other",
    };
    const listed = await found(files, { lists: true });
    expect(Object.fromEntries(listed.sources)).toEqual({ default: "new", tool_use: "tools", other: "other" });
    expect(listed).toMatchObject({ file: "chat_template.jinja", specialTokens: { eos_token: "</s>" } });
    expect([...(await found(files)).sources.keys()]).toEqual(["default", "tool_use"]);
  });

  test("special_tokens_map.json counts unless the config has added_tokens_decoder", async () => {
    const config = { chat_template: "a", bos_token: "new", image_token: "<i>" };
    const map = { bos_token: { content: "old" } };
    const older = await found({ "tokenizer_config.json": config, "special_tokens_map.json": map });
    expect(older.specialTokens).toEqual({ bos_token: "old", image_token: "<i>" });
    const newer = { ...config, added_tokens_decoder: {} };
    const modern = await found({ "tokenizer_config.json": newer, "special_tokens_map.json": map });
    expect(modern.specialTokens.bos_token).toBe("new");
  });

  test.each<[unknown, string]>([
    ["[]", "tokenizer_config.json: expected a JSON object, got []"],
    ["{", "tokenizer_config.json: is not valid JSON"],
    [{ chat_template: 5 }, 'config key "chat_template": expected a text, or at most 256 texts with names, got 5'],
    [{ chat_template: [{ name: "a" }] }, 'config key "chat_template": expected a text'],
  ])("refuses %j", async (config, message) => {
    await expect(loadChatTemplate(folder({ "tokenizer_config.json": config }))).rejects.toThrow(message);
  });

  test("without a template", async () => {
    const message =
      ".: no chat template: there is no chat template in tokenizer_config.json, and no chat_template.jinja";
    await expect(loadChatTemplate(folder({ "config.json": "{}" }))).rejects.toThrow(message);
    await expect(loadChatTemplate(folder({}), { file: "x" } as object)).rejects.toThrow('unknown option "file"');
  });
});

describe("a GGUF file", () => {
  const gguf = (metadata: Record<string, string | number | string[]>): Gguf =>
    ({ metadata: new Map(Object.entries(metadata)) }) as unknown as Gguf;

  test("templates by name, special tokens by id; llama.cpp's ids where the file has none", () => {
    const metadata = {
      "tokenizer.chat_template": "a",
      "tokenizer.chat_template.tool_use": "b",
      "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", "<pad>"],
      "tokenizer.ggml.padding_token_id": 3,
      "tokenizer.ggml.mask_token_id": 99,
    };
    const plain = ggufChatTemplates(gguf(metadata), "m.gguf") as ChatTemplates;
    expect([...plain.sources]).toEqual([
      ["default", "a"],
      ["tool_use", "b"],
    ]);
    expect(plain.specialTokens).toEqual({ pad_token: "<pad>" });
    const llama = ggufChatTemplates(gguf({ ...metadata, "tokenizer.ggml.model": "llama" }), "m.gguf") as ChatTemplates;
    expect(llama.specialTokens).toEqual({
      bos_token: "<s>",
      eos_token: "</s>",
      unk_token: "<unk>",
      pad_token: "<pad>",
    });
  });

  test("none, or one that is no text", async () => {
    expect(ggufChatTemplates(gguf({}), "m.gguf")).toBe("there is no tokenizer.chat_template in m.gguf");
    expect(() => ggufChatTemplates(gguf({ "tokenizer.chat_template": 1 }), "m.gguf")).toThrow("expected a text");
    const file = fixture("models/stories260K/stories260K.gguf");
    await expect(loadChatTemplate(file)).rejects.toThrow("there is no tokenizer.chat_template in stories260K.gguf");
    const llama2c = fixture("models/stories260K/stories260K.bin");
    await expect(loadChatTemplate(llama2c)).rejects.toThrow("no chat template: llama2.c files hold no chat template");
  });
});

describe("a loaded model", () => {
  const path = repository("packages/cli/models/stories260K");
  const below: FileSource = {
    read: async (name, start, end) => {
      try {
        return new Uint8Array(readFileSync(`${path}/${name}`).subarray(start, end));
      } catch {
        return null;
      }
    },
  };
  const chat = [{ role: "user", content: "Once upon a time" }];

  test("applies its template; the text encodes to what the model continues", async () => {
    const files = {
      "tokenizer_config.json": { bos_token: "<s>" },
      "chat_template.jinja": "{{ bos_token }}{{ messages[0].content }}",
    };
    await using model = await loadDecoder(folder(files, { below }));
    const text = await model.applyChatTemplate(chat);
    expect(text).toBe("<s>Once upon a time");
    expect(model.tokenizer?.encode(text, { addSpecialTokens: false }).ids[0]).toBe(1);
  });

  test("without one, or with a damaged one, it runs and says so when asked", async () => {
    await using plain = await loadDecoder(path);
    expect(plain.chatTemplates).toBeNull();
    await expect(plain.applyChatTemplate(chat)).rejects.toThrow(
      "this model has no chat template: there is no chat template in",
    );
    await using damaged = await loadDecoder(folder({ "tokenizer_config.json": { chat_template: 5 } }, { below }));
    await expect(damaged.applyChatTemplate(chat)).rejects.toThrow("tokenizer_config.json");
  });
});
