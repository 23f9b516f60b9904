/** Writing a file whole or not at all. */

import { randomUUID } from "node:crypto";
import { realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { sep } from "node:path";
import { oneLine } from "./output";

/** Throws if there is something at the path that a file must not replace: a folder, a device, a pipe. */
export async function checkReplaceable(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found !== null && !found.isFile()) throw new Error(`${oneLine(path)}: there is something that is not a file`);
}

/** Throws if the path is a file of the model itself, which is being read: by its real path, through links too. */
export async function checkOutsideModel(path: string, model: string): Promise<void> {
  const [target, source] = await Promise.all([path, model].map((name) => realpath(name).catch(() => null)));
  if (target === null || source === null) return;
  if (target === source || target.startsWith(`${source}${sep}`)) {
    throw new Error(`${oneLine(path)}: this is a file of the model; give another name`);
  }
}

/**
 * Writes a file under another name beside it, then renames: whoever opens the path finds the old file or the new one.
 * A symbolic link stays, and what it points to is replaced.
 *
 * @throws Error naming the path; the signal's reason. Nothing new is left behind.
 */
export async function replaceFile(path: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  await checkReplaceable(path);
  const target = await realpath(path).catch(() => path);
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, bytes, { flag: "wx", signal });
    await rename(temporary, target);
  } catch (cause) {
    signal.throwIfAborted();
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new Error(`cannot write ${oneLine(path)}: ${code === "ENOENT" ? "there is no such folder" : message}`, {
      cause,
    });
  } finally {
    await rm(temporary, { force: true }); // renamed already, unless something went wrong
  }
}
