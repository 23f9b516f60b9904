/** What the configs of encoder-decoders have in common. */

import type { JsonConfig } from "../config/json-config";

/**
 * The class in `architectures`, which a model was saved from; null where the file names none.
 *
 * @param classes transformers' names of those that run
 * @throws UnsupportedModelError for another
 * @example
 * savedClass(json, ["T5ForConditionalGeneration", "T5EncoderModel"]) === "T5EncoderModel";
 */
export function savedClass<Name extends string>(json: JsonConfig, classes: readonly Name[]): Name | null {
  const [name] = json.strings("architectures");
  if (name === undefined) return null;
  const found = classes.find((each) => each === name);
  if (found === undefined) throw json.unsupported("architectures", classes);
  return found;
}
