/** Reading a text that the user names. */

import { createReadStream } from "node:fs";
import { oneLine } from "./output";

/** Most bytes: texts of books, and not what would exhaust the memory before it ends, as devices do. */
const MAX_BYTES = 1 << 27;

/** A file's text, or a pipe's. @throws Error naming the path; the signal's reason */
export async function readTextFile(path: string, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let size = 0;
  try {
    for await (const chunk of createReadStream(path, { signal })) {
      size += (chunk as Uint8Array).length;
      if (size > MAX_BYTES) throw new Error(`is longer than ${MAX_BYTES} bytes`);
      text += decoder.decode(chunk as Uint8Array, { stream: true });
    }
    return text + decoder.decode();
  } catch (cause) {
    signal.throwIfAborted();
    const { code, message } = cause as NodeJS.ErrnoException;
    const known: Readonly<Record<string, string>> = {
      ENOENT: "there is no such file",
      EISDIR: "there is something that is not a file",
      ERR_ENCODING_INVALID_ENCODED_DATA: "is not UTF-8 text",
    };
    throw new Error(`${oneLine(path)}: ${known[code ?? ""] ?? message}`, { cause });
  }
}
