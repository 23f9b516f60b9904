/** What a pickle holds, as plain data: see pickle.ts. */

import { shown } from "../errors";

/** What a pickle holds; `T` is what the caller makes of its own objects. */
export type PickleValue<T> =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleTuple<T>
  | PickleList<T>
  | PickleDict<T>
  | PickleGlobal
  | PickleObject<T>;

export interface PickleTuple<T> {
  readonly kind: "tuple";
  readonly items: readonly PickleValue<T>[];
  readonly depth: number;
}

export interface PickleList<T> {
  readonly kind: "list";
  readonly items: PickleValue<T>[];
  depth: number;
}

export interface PickleDict<T> {
  readonly kind: "dict";
  /** An OrderedDict, which may have attributes. */
  readonly ordered: boolean;
  readonly entries: Map<string | number | bigint | boolean | null, PickleValue<T>>;
  depth: number;
}

/** A class or function, by its name: nothing stands behind it. */
export interface PickleGlobal {
  readonly kind: "global";
  readonly name: string;
}

/** What a call of a listed global, or a persistent id, stands for. */
export interface PickleObject<T> {
  readonly kind: "object";
  readonly value: T;
}

/** Whether a value is of one kind of the objects. */
export function isKind<T, K extends "tuple" | "list" | "dict" | "global" | "object">(
  value: PickleValue<T> | undefined,
  kind: K,
): value is Extract<PickleValue<T>, { kind: K }> {
  return typeof value === "object" && value !== null && value.kind === kind;
}

/** A value in a few words, for messages; `objects` says what the caller's own are. */
export function describe<T>(value: PickleValue<T>, objects: (value: T) => string): string {
  if (value === null) return "None";
  if (typeof value === "string") return `the text ${shown(value)}`;
  if (typeof value !== "object") return `the ${typeof value === "boolean" ? "truth value" : "number"} ${value}`;
  switch (value.kind) {
    case "global":
      return value.name;
    case "object":
      return objects(value.value);
    case "dict":
      return `a dict of ${value.entries.size}`;
    default:
      return `a ${value.kind} of ${value.items.length}`;
  }
}
