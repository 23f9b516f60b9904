/** Chat templates without weights. */

import { checkOptions } from "@qkv/core";
import { ModelFileError } from "../errors";
import { openSource, type SourceLike } from "../files/open";
import { detectFormat } from "../formats/detect";
import { openGguf } from "../formats/gguf";
import { findModel } from "../model-files";
import { folderChatTemplates, ggufChatTemplates } from "./files";
import type { ChatTemplates } from "./templates";

/**
 * The chat templates of a model that need not run: of a folder (chat_template.jinja, additional_chat_templates, or
 * tokenizer_config.json; one of these files stands for its folder), or of a GGUF file.
 *
 * @throws ModelFileError, also where there is no template
 * @example
 * const chat = await loadChatTemplate("SmolLM2-135M-Instruct");
 * const text = await chat.apply([{ role: "user", content: "Hello" }], { addGenerationPrompt: true });
 */
export async function loadChatTemplate(
  source: SourceLike,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ChatTemplates> {
  checkOptions("loadChatTemplate", options, ["signal"]);
  const { files, file } = await openSource(source, options.signal);
  try {
    let found: ChatTemplates | string = "";
    if (file === null || /\.(json|jinja)$/.test(file)) found = await folderChatTemplates(files, "");
    if (typeof found !== "string") return found;
    const isFolder = file === null && ((await files.exists("config.json")) || (await files.exists("tokenizer.json")));
    if (!isFolder && !/\.(json|jinja)$/.test(file ?? "")) {
      const model = file ?? (await findModel(files));
      const format = await detectFormat(files, model);
      if (format === "gguf") found = ggufChatTemplates(await openGguf(files, model), model);
      else if (format === "safetensors") found = await folderChatTemplates(files, "");
      else found = `${format} files hold no chat template`;
    }
    if (typeof found !== "string") return found;
    throw new ModelFileError(`no chat template: ${found}`, { file: file ?? (files.name || ".") });
  } finally {
    await files.close();
  }
}
