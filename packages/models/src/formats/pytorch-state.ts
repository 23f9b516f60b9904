/**
 * What the pickle of a PyTorch checkpoint says: names, and for each a view of a storage. Nothing is read but the pickle.
 * Follows `_rebuild_tensor_v2` and `_rebuild_parameter` in `torch/_utils.py`.
 */

import { ModelFileError, shown, UnsupportedModelError } from "../errors";
import { type PickleMeaning, type PickleProblem, readPickle } from "./pickle";
import { describe, isKind, type PickleDict, type PickleValue } from "./pickle-values";

/** PyTorch's own limit. */
const MAX_DIMENSIONS = 64;
/** Of a dict that is no state dict, so many keys are told. */
const MAX_KEYS_SHOWN = 10;

/** Storage classes of `torch`: the dtype as safetensors calls it, and bytes per element. */
const STORAGES: ReadonlyMap<string, readonly [dtype: string, bytes: number]> = new Map([
  ["torch.FloatStorage", ["F32", 4]],
  ["torch.HalfStorage", ["F16", 2]],
  ["torch.BFloat16Storage", ["BF16", 2]],
  ["torch.DoubleStorage", ["F64", 8]],
  ["torch.LongStorage", ["I64", 8]],
  ["torch.IntStorage", ["I32", 4]],
  ["torch.ShortStorage", ["I16", 2]],
  ["torch.CharStorage", ["I8", 1]],
  ["torch.ByteStorage", ["U8", 1]],
  ["torch.BoolStorage", ["BOOL", 1]],
]);

/** Bytes in the file, an entry of their own. */
export interface Storage {
  readonly kind: "storage";
  /** Its entry is `data/{key}`. */
  readonly key: string;
  readonly className: string;
  readonly dtype: string;
  readonly elementBytes: number;
  /** In elements. */
  readonly length: number;
}

/** A view of a storage. */
export interface Tensor {
  readonly kind: "tensor";
  readonly storage: Storage;
  /** In elements, like the strides. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

type Value = PickleValue<Storage | Tensor>;

/**
 * Reads a state dict: a dict or OrderedDict of tensors by name.
 *
 * @param pickle the bytes of `part`, an entry of the file `path`
 * @throws UnsupportedModelError for Python names other than those of a state dict, and for other contents;
 * ModelFileError for what is damaged or hostile
 * @example
 * const tensors = readStateDict(bytes, "pytorch_model.bin", "pytorch_model/data.pkl");
 */
export function readStateDict(pickle: Uint8Array, path: string, part: string): Map<string, Tensor> {
  return namedTensors(readPickle(pickle, new StateDict(), { file: path, part }), path);
}

/** What the names and ids in a checkpoint's pickle mean. Its storages must be described alike wherever they are. */
class StateDict implements PickleMeaning<Storage | Tensor> {
  readonly #storages = new Map<string, Storage>();

  readonly advice =
    "weights need no other names: save the state dict alone, in Python: torch.save(model.state_dict(), FILE)";

  readonly globals: PickleMeaning<Storage | Tensor>["globals"] = new Map([
    ["torch._utils._rebuild_tensor_v2", rebuildTensor],
    ["torch._utils._rebuild_parameter", rebuildParameter],
    ...[...STORAGES.keys()].map((name) => [name, null] as const),
  ]);

  /** ("storage", class, key, device, length). */
  persistent(id: Value): Storage | PickleProblem {
    const [tag, type, key, device, length, ...rest] = isKind(id, "tuple") ? id.items : [];
    const isStorage =
      tag === "storage" && isKind(type, "global") && STORAGES.has(type.name) && typeof key === "string" && key !== "";
    if (!isStorage || typeof device !== "string" || !isSize(length) || rest.length > 0) {
      return { problem: "has a persistent id that describes no storage" };
    }
    const [dtype, elementBytes] = STORAGES.get(type.name)!;
    const storage: Storage = { kind: "storage", key, className: type.name, dtype, elementBytes, length };
    const before = this.#storages.get(key) ?? storage;
    if (before.className !== storage.className || before.length !== length) {
      const was = `${before.className} of ${before.length} and as ${storage.className} of ${length}`;
      return { problem: `describes storage ${shown(key)} as ${was}` };
    }
    this.#storages.set(key, before);
    return before;
  }
}

/** (storage, offset, size, stride, requires_grad, backward_hooks, metadata). */
function rebuildTensor(args: readonly Value[]): Tensor | PickleProblem {
  const [storage, offset, size, stride, , hooks, metadata] = args;
  if (!isKind(storage, "object") || storage.value.kind !== "storage")
    return { problem: "makes a tensor of no storage" };
  const [shape, strides] = [size, stride].map(sizesOf);
  if (args.length < 6 || args.length > 7 || !isSize(offset) || !shape || !strides || shape.length !== strides.length) {
    return { problem: "makes a tensor with sizes, strides or an offset that are none" };
  }
  // Hooks are functions; metadata says that signs are still to be flipped.
  if (![hooks, metadata ?? null].every(isNothing)) return { problem: "makes a tensor with hooks or metadata" };
  return { kind: "tensor", storage: storage.value, offset, shape, strides };
}

/** (tensor, requires_grad, backward_hooks). */
function rebuildParameter(args: readonly Value[]): Tensor | PickleProblem {
  const [data, , hooks] = args;
  if (args.length !== 3 || !isKind(data, "object") || data.value.kind !== "tensor" || !isNothing(hooks ?? null)) {
    return { problem: "makes a parameter of no tensor, or with hooks" };
  }
  return data.value;
}

function isNothing(value: Value): boolean {
  return value === null || (isKind(value, "dict") && value.entries.size === 0);
}

function isSize(value: Value | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function sizesOf(value: Value | undefined): readonly number[] | null {
  if (!isKind(value, "tuple") || value.items.length > MAX_DIMENSIONS) return null;
  return value.items.every(isSize) ? (value.items as readonly number[]) : null;
}

// ---- From the pickle's value to tensors

function namedTensors(value: Value, path: string): Map<string, Tensor> {
  if (!isKind(value, "dict") || (value.entries.size > 0 && countTensors(value) === 0)) throw wrapped(value, path);
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of value.entries) {
    if (typeof name !== "string") {
      throw new ModelFileError(`has the key ${shown(name)} in its state dict, which is no name`, { file: path });
    }
    const tensor = tensorOf(entry);
    if (tensor === null) {
      const what = describe(entry, ({ kind }) => `a ${kind}`);
      throw new ModelFileError(`is ${what}, where a tensor was expected`, { file: path, tensor: name });
    }
    tensors.set(name, tensor);
  }
  return tensors;
}

function tensorOf(value: Value): Tensor | null {
  return isKind(value, "object") && value.value.kind === "tensor" ? value.value : null;
}

function countTensors(dict: PickleDict<Storage | Tensor>): number {
  let count = 0;
  for (const entry of dict.entries.values()) if (tensorOf(entry) !== null) count++;
  return count;
}

/** A training checkpoint, a tensor alone, or anything else: says what it is, and where the tensors are. */
function wrapped(value: Value, path: string): UnsupportedModelError {
  let what = describe(value, ({ kind }) => `one ${kind}`);
  let hint = "save the model's state_dict()";
  if (isKind(value, "dict")) {
    // A few, as every one may be the same dict of many.
    const first = [...value.entries].slice(0, MAX_KEYS_SHOWN);
    const keys = first.map(([key]) => String(key)).join(", ");
    what = `a dict of ${keys}${value.entries.size > first.length ? ", ..." : ""}`;
    for (const [key, inner] of first) {
      if (typeof key !== "string" || !isKind(inner, "dict") || countTensors(inner) === 0) continue;
      const name = shown(key);
      hint = `its ${name} has ${countTensors(inner)} tensors: save them alone, in Python: torch.save(torch.load(FILE, weights_only=True)[${name}], 'pytorch_model.bin')`;
      break;
    }
  }
  return new UnsupportedModelError("content", what, ["a dict of tensors by name"], { file: path, hint });
}
