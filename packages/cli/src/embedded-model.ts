/** Where the model that comes with the package lies: stories260K, 1 MB, which `qkv generate` uses by default. */

import { fileURLToPath } from "node:url";

/** The path of the embedded model's folder. src/ and dist/ lie side by side, so one relative path serves both. */
export function embeddedModel(): string {
  return fileURLToPath(new URL("../models/stories260K", import.meta.url));
}
