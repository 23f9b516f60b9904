/** The browser of the machine: none is downloaded. */

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Browser } from "playwright-core";

/** What distributions call it, in this order. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The path of a Chromium: from QKV_CHROMIUM, else found; null where there is none, so that tests can be skipped visibly.
 * Set, but wrong, is a failure: a suite that quietly tests less proves nothing.
 */
export function findChromium(): string | null {
  const given = process.env.QKV_CHROMIUM;
  if (given !== undefined && given !== "") {
    if (!isExecutable(given)) throw new Error(`QKV_CHROMIUM is set to ${given}, and there is no such program`);
    return given;
  }
  const folders = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable) ?? null;
}

export async function launch(executablePath: string): Promise<Browser> {
  const { chromium } = await import("playwright-core");
  // Chromium's sandbox refuses to run as root, which is who runs in most containers. The page is our own.
  return chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0 });
}
