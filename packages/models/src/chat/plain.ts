/** What a template gets to see of the user's values: a copy made of plain JSON types, counted on the way. */

/** Deepest nesting of messages, tools and variables: JSON schemas of tools nest a few dozen levels at most. */
const MAX_DEPTH = 256;

/** How much a copy holds: what a template may do is bounded by it. */
export interface PlainSize {
  values: number;
  characters: number;
}

/**
 * As transformers does it: what is no plain data becomes a text with the name of its type (templates only ask whether an
 * image is there). Functions, which a template could call, are refused. Keys whose value is undefined are left out.
 *
 * @param name for messages: "messages"
 * @throws TypeError, which names the value's path
 */
export function plainCopy(value: unknown, name: string, size: PlainSize, depth = 0): unknown {
  if (depth > MAX_DEPTH)
    throw new TypeError(`${name.slice(0, 60)}...: nested deeper than ${MAX_DEPTH} levels, or in a circle`);
  size.values++;
  switch (typeof value) {
    case "string":
      size.characters += value.length;
      return value;
    case "number":
    case "boolean":
      return value;
    case "undefined":
      return null;
    case "object":
      break;
    default:
      throw new TypeError(`${name}: expected plain data, got a ${typeof value}`);
  }
  if (value === null) return null;
  if (Array.isArray(value)) return value.map((item, i) => plainCopy(item, `${name}[${i}]`, size, depth + 1));
  if (isOpaque(value)) return `<${Object.prototype.toString.call(value).slice(8, -1)}>`;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  for (const [key] of entries) size.characters += key.length;
  return Object.fromEntries(entries.map(([key, item]) => [key, plainCopy(item, `${name}.${key}`, size, depth + 1)]));
}

/** Pixels and samples, dates, maps: nothing that a template reads. */
function isOpaque(value: object): boolean {
  return ArrayBuffer.isView(value) || !/^\[object (Object|Module)\]$/.test(Object.prototype.toString.call(value));
}

/** Whether a plain value is an object, not an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
