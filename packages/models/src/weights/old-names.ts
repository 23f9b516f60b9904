/** Names that checkpoints of before 2020 have, and what they have been called since. */

import { ModelFileError } from "../errors";
import type { CheckpointTensor } from "./weights";

/** TensorFlow's names of a layer norm's two vectors, as conversions of BERT's first checkpoints kept them. */
const OLD_ENDINGS: readonly (readonly [old: string, name: string])[] = [
  ["LayerNorm.gamma", "LayerNorm.weight"],
  ["LayerNorm.beta", "LayerNorm.bias"],
];

/**
 * The same tensors under today's names; null where they have them already.
 *
 * @throws ModelFileError for a tensor that is there under both
 */
export function withoutOldNames(
  tensors: ReadonlyMap<string, CheckpointTensor>,
): ReadonlyMap<string, CheckpointTensor> | null {
  const renamed = new Map<string, CheckpointTensor>();
  let old = false;
  for (const [name, tensor] of tensors) {
    const ending = OLD_ENDINGS.find(([end]) => name.endsWith(end));
    const today = ending === undefined ? name : name.slice(0, -ending[0].length) + ending[1];
    old ||= today !== name;
    if (renamed.has(today)) {
      throw new ModelFileError(`is there twice, as "${today}" and under an old name`, {
        file: tensor.path,
        tensor: name,
      });
    }
    renamed.set(today, tensor);
  }
  return old ? renamed : null;
}
