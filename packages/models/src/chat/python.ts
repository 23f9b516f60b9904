/** What Python makes of values where JavaScript makes something else: str(), repr(), ==, strip(). Pure functions. */

import type { Jinja } from "./interpreter";

export type Value = ReturnType<InstanceType<Jinja["Interpreter"]>["evaluate"]>;

/** str(), which templates print with; nothing for what is not defined. */
export function str(value: Value): string {
  switch (value.type) {
    case "StringValue":
      return value.value as string;
    case "UndefinedValue":
      return "";
    case "NullValue":
      return "None";
    case "BooleanValue":
      return value.value ? "True" : "False";
    case "ArrayValue":
      return `[${(value.value as Value[]).map(repr).join(", ")}]`;
    case "TupleValue": {
      const items = (value.value as Value[]).map(repr);
      return `(${items.join(", ")}${items.length === 1 ? "," : ""})`;
    }
    case "ObjectValue": {
      const entries = [...(value.value as Map<string, Value>)];
      return `{${entries.map(([key, item]) => `${reprText(key)}: ${repr(item)}`).join(", ")}}`;
    }
    default:
      return value.toString();
  }
}

function repr(value: Value): string {
  if (value.type === "StringValue") return reprText(value.value as string);
  return value.type === "UndefinedValue" ? "Undefined" : str(value);
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\\\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, (character) => {
    const code = character.codePointAt(0) as number;
    const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
    return SHORT_ESCAPES[character] ?? `\\${letter}${code.toString(16).padStart(digits as number, "0")}`;
  });
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}

/** == */
export function equals(a: Value, b: Value): boolean {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== null || y !== null) return x === y;
  if (a.type !== b.type) return false;
  switch (a.type) {
    case "ArrayValue":
    case "TupleValue": {
      const [left, right] = [a.value as Value[], b.value as Value[]];
      return left === right || (left.length === right.length && left.every((item, i) => equals(item, right[i])));
    }
    case "ObjectValue": {
      const [left, right] = [a.value as Map<string, Value>, b.value as Map<string, Value>];
      if (left.size !== right.size) return false;
      return [...left].every(([key, item]) => right.has(key) && equals(item, right.get(key) as Value));
    }
    default:
      return a.value === b.value;
  }
}

/** True is 1 there. */
function numberOf({ type, value }: Value): number | null {
  return type === "IntegerValue" || type === "FloatValue" || type === "BooleanValue" ? Number(value) : null;
}

/** str.isspace(): also the four separators of ASCII, and not U+FEFF, which JavaScript's trim takes. */
function isSpace(unit: string): boolean {
  if (unit < "\u0080") return unit === " " || (unit >= "\t" && unit <= "\r") || (unit >= "\u001c" && unit <= "\u001f");
  return /\p{White_Space}/u.test(unit);
}

/** strip, lstrip, rstrip: of white space, or of the characters given. */
export function strip(text: string, side: string, characters: string | null): string {
  const set = characters === null ? null : new Set(characters);
  const units = set === null ? text : [...text];
  const isTaken = (unit: string): boolean => (set === null ? isSpace(unit) : set.has(unit));
  let [start, end] = [0, units.length];
  if (side !== "rstrip") while (start < end && isTaken(units[start])) start++;
  if (side !== "lstrip") while (end > start && isTaken(units[end - 1])) end--;
  return typeof units === "string" ? units.slice(start, end) : units.slice(start, end).join("");
}
