/** How a model from outside fails: its file is damaged, or it is sound and not something that qkv runs, or of another kind. */

/** Text from a file is shown up to this length: enough to recognise a name, short enough for one line. */
const MAX_SHOWN = 200;
/** A whole message: what is around such texts, and a list of what is supported. */
const MAX_MESSAGE = 2000;
/** So many elements of an array or keys of an object are more than `MAX_SHOWN` lets through. */
const MAX_ELEMENTS = 50;

/**
 * Text that came from a file, made safe to print: control characters (which could drive a terminal) are escaped, and
 * what is very long is cut.
 */
export function printable(text: string, max = MAX_SHOWN): string {
  const cut = text.length > max ? `${text.slice(0, max)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

/** A value from a file as JSON (a bigint as its digits), made safe to print, whatever its size. */
export function shown(value: unknown): string {
  return printable(typeof value === "bigint" ? `${value}` : (JSON.stringify(value, brief) ?? String(value)));
}

/** For JSON.stringify: cuts before anything is written what would be cut afterwards. */
function brief(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}`;
  if (typeof value === "string") return value.slice(0, MAX_SHOWN + 1);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.slice(0, MAX_ELEMENTS);
  if (ArrayBuffer.isView(value)) return Array.from((value as Int8Array).subarray(0, MAX_ELEMENTS));
  return Object.fromEntries(Object.entries(value).slice(0, MAX_ELEMENTS));
}

function place(at: { file?: string | undefined; tensor?: string | undefined }): string {
  const file = at.file === undefined ? "" : `${printable(at.file)}: `;
  return at.tensor === undefined ? file : `${file}tensor "${printable(at.tensor)}": `;
}

/**
 * A file from outside that is damaged, mislabelled or hostile.
 * The message is `file: problem` or `file: tensor "name": problem`.
 */
export class ModelFileError extends Error {
  override readonly name = "ModelFileError";
  /** The file's path within its source. */
  readonly file: string;
  /** The tensor that is concerned, null where it is the file as a whole. */
  readonly tensor: string | null;

  constructor(problem: string, at: { file: string; tensor?: string | undefined }, options?: ErrorOptions) {
    super(printable(`${place(at)}${problem}`, MAX_MESSAGE), options);
    this.file = at.file;
    this.tensor = at.tensor ?? null;
  }
}

/**
 * Something real that qkv does not run (yet).
 * The message names the thing, its value and what is supported: `file: dtype "I64" is not supported (supported: F32, F16); hint`.
 */
export class UnsupportedModelError extends Error {
  override readonly name = "UnsupportedModelError";
  /** What has the value: a config key, "dtype", "file format". */
  readonly thing: string;
  readonly value: unknown;
  readonly supported: readonly string[];
  readonly file: string | null;
  readonly tensor: string | null;

  constructor(
    thing: string,
    value: unknown,
    supported: readonly string[],
    at: {
      file?: string | undefined;
      tensor?: string | undefined;
      hint?: string | undefined;
    } = {},
  ) {
    const hint = at.hint === undefined ? "" : `; ${at.hint}`;
    const message = `${place(at)}${thing} ${shown(value)} is not supported (supported: ${supported.join(", ")})${hint}`;
    super(printable(message, MAX_MESSAGE));
    this.thing = thing;
    this.value = value;
    this.supported = supported;
    this.file = at.file ?? null;
    this.tensor = at.tensor ?? null;
  }
}

/** A model of another kind than was asked for: a decoder where an encoder is needed, and so on. */
export class ModelKindError extends TypeError {
  override readonly name = "ModelKindError";
  /** What it is. */
  readonly kind: "decoder" | "encoder" | "seq2seq";
  /** `model_type`. */
  readonly architecture: string;

  constructor(call: string, source: string, { kind, architecture }: Pick<ModelKindError, "kind" | "architecture">) {
    const other = { decoder: "loadDecoder", encoder: "loadEncoder", seq2seq: "loadSeq2Seq" }[kind];
    const what = { decoder: "a decoder", encoder: "an encoder", seq2seq: "an encoder-decoder" }[kind];
    super(printable(`${call}: ${source || "the model"} is ${what} (${architecture}): take ${other}`, MAX_MESSAGE));
    this.kind = kind;
    this.architecture = architecture;
  }
}
