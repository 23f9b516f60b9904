/** tokenizer_config.json and its older companions special_tokens_map.json and added_tokens.json, as transformers 5 reads them. */

import type { AddedToken } from "../added-tokens";
import { describe } from "../errors";
import { flagOr, integerFrom, isWellFormed, JsonCursor, optional, readText } from "../json";
import { MAX_ADDED_TOKEN_LENGTH, MAX_EXTRA_IDS, MAX_VOCAB_SIZE } from "../limits";
import { specialToken } from "./vocab-txt";

/** An added token before its id is known. */
export type AddedTokenForm = Omit<AddedToken, "id">;

/** The named special tokens, in the order in which transformers adds those that the vocabulary lacks. */
const NAMES = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"] as const;

/** transformers' LARGE_INTEGER: from here on a length means "no limit" (1e30 is what it writes). */
const NO_LIMIT = 1e20;

export type Side = "left" | "right";

export interface SpecialTokens extends Readonly<Record<(typeof NAMES)[number], string | null>> {
  /** additional_special_tokens, which transformers 5 calls extra_special_tokens. */
  readonly additional: readonly string[];
  /** Further named ones by their key, such as `image_token`; chat templates may use them. */
  readonly named: ReadonlyMap<string, string>;
}

/** What the files say; null where they say nothing, as the defaults differ by tokenizer class. */
export interface TokenizerConfig {
  readonly tokenizerClass: string | null;
  readonly specialTokens: SpecialTokens;
  /** Every special token once with its flags, in the order of transformers: the seven names, `named`, additional. */
  readonly specialForms: readonly AddedTokenForm[];
  /** By ascending id, each id once. */
  readonly addedTokens: readonly AddedToken[];
  /** The file that they are from. */
  readonly addedTokensFile: string;
  /** transformers obeys this and `addEosToken` only where there is no tokenizer.json. */
  readonly addBosToken: boolean | null;
  readonly addEosToken: boolean | null;
  readonly addPrefixSpace: boolean | null;
  readonly doLowerCase: boolean | null;
  readonly stripAccents: boolean | null;
  readonly tokenizeChineseChars: boolean | null;
  readonly cleanUpTokenizationSpaces: boolean | null;
  readonly legacy: boolean | null;
  readonly extraIds: number | null;
  /** Null also for the huge number that stands for no limit. */
  readonly modelMaxLength: number | null;
  readonly paddingSide: Side | null;
  readonly truncationSide: Side | null;
}

/** The files of a folder, parsed; null for one that is not there. */
export interface TokenizerConfigFiles {
  readonly config: JsonCursor | null;
  readonly specialTokensMap?: JsonCursor | null;
  readonly addedTokens?: JsonCursor | null;
}

/**
 * Unknown keys are left alone, as these files are full of unrelated ones; a known key of a wrong type throws. The older
 * two files count only where the config has no `added_tokens_decoder`.
 *
 * @throws TokenizerFileError
 */
export function readTokenizerConfig(files: TokenizerConfigFiles): TokenizerConfig {
  const { config } = files;
  const isModern = config !== null && Object.hasOwn(config.object(), "added_tokens_decoder");
  const sources = isModern ? [config] : [config, files.specialTokensMap ?? null].filter((json) => json !== null);
  const special = readSpecialTokens(sources);
  const added = isModern
    ? readDecoder(config.get("added_tokens_decoder"), special.forms)
    : readAddedTokens(files.addedTokens ?? null, special.forms);
  // The flags of an added token go before those that a special token of the same text was given.
  for (const { id: _, ...form } of added)
    if (special.forms.has(form.content)) special.forms.set(form.content, { ...form, special: true });
  const { maxLen, ...options } = (config ?? new JsonCursor({}, "tokenizer_config.json")).read({
    tokenizer_class: optional(null, readText),
    add_bos_token: flag,
    add_eos_token: flag,
    add_prefix_space: flag,
    do_lower_case: flag,
    strip_accents: flag,
    tokenize_chinese_chars: flag,
    clean_up_tokenization_spaces: flag,
    legacy: flag,
    extra_ids: optional(null, integerFrom(0, MAX_EXTRA_IDS)),
    model_max_length: (length) => length,
    max_len: (length) => length,
    padding_side: optional(null, readSide),
    truncation_side: optional(null, readSide),
  });
  return {
    ...options,
    modelMaxLength: readLength(options.modelMaxLength.isNull ? maxLen : options.modelMaxLength),
    specialTokens: special.tokens,
    specialForms: [...special.forms.values()],
    addedTokens: added,
    addedTokensFile: isModern ? "tokenizer_config.json" : "added_tokens.json",
  };
}

const flag = optional(null, flagOr(false));

function readLength(json: JsonCursor): number | null {
  if (json.isNull) return null;
  const { value } = json;
  if (typeof value !== "number") return json.fail("a number");
  return value >= 1 && value < NO_LIMIT ? Math.floor(value) : null;
}

function readSide(json: JsonCursor): Side {
  return json.value === "left" || json.value === "right" ? json.value : json.fail('"left" or "right"');
}

// ---- Special tokens

interface ReadSpecialTokens {
  readonly tokens: SpecialTokens;
  readonly forms: Map<string, AddedTokenForm>;
}

/** Of several files the last that has a key counts, even with null; lists of additional tokens are joined. */
function readSpecialTokens(sources: readonly JsonCursor[]): ReadSpecialTokens {
  const tokens: Record<(typeof NAMES)[number], string | null> = Object.create(null);
  const forms = new Map<string, AddedTokenForm>();
  const read = (json: JsonCursor): string => {
    const form = readForm(json, true);
    if (!forms.has(form.content)) forms.set(form.content, form);
    return form.content;
  };
  for (const name of NAMES) {
    const key = `${name}_token`;
    const json = sources
      .filter((source) => Object.hasOwn(source.object(), key))
      .at(-1)
      ?.get(key);
    tokens[name] = json === undefined || json.isNull ? null : read(json);
  }
  const additional: JsonCursor[] = [];
  const named = new Map<string, string>();
  for (const source of sources) {
    for (const key of ["additional_special_tokens", "extra_special_tokens"]) {
      const json = source.get(key);
      if (json.isNull) continue;
      if (Array.isArray(json.value)) for (const item of json.items()) additional.push(item);
      else for (const name of Object.keys(json.object())) named.set(name, read(json.get(name)));
    }
    for (const key of Object.keys(source.object())) {
      if (!key.endsWith("_token") || NAMES.some((name) => key === `${name}_token`)) continue;
      const json = source.get(key);
      // Other keys end so too (add_bos_token), so that the type tells.
      if (typeof json.value === "string" || isTokenObject(json)) named.set(key, read(json));
    }
  }
  return { tokens: { ...tokens, named, additional: [...new Set(additional.map(read))] }, forms };
}

function isTokenObject(json: JsonCursor): boolean {
  return typeof json.value === "object" && !json.isNull && !Array.isArray(json.value) && !json.get("content").isNull;
}

/** A token as a string or as an AddedToken object, which is `{"__type": "AddedToken", "content": ...}` or without the type. */
export function readForm(json: JsonCursor, isSpecial: boolean): AddedTokenForm {
  const isText = typeof json.value === "string";
  if (!isText && !isTokenObject(json)) json.fail("a token: a string, or an object with a content");
  const flag = (key: string, fallback: boolean): boolean => (isText ? fallback : json.get(key).boolean(fallback));
  const special = isSpecial || flag("special", false);
  return {
    content: (isText ? json : json.get("content")).string(MAX_ADDED_TOKEN_LENGTH),
    singleWord: flag("single_word", false),
    lstrip: flag("lstrip", false),
    rstrip: flag("rstrip", false),
    normalized: flag("normalized", !special),
    special,
  };
}

// ---- Added tokens

/** Id -> token, as transformers has written since 4.34. A special token is one whatever its flag says. */
function readDecoder(json: JsonCursor, special: ReadonlyMap<string, unknown>): AddedToken[] {
  if (json.isNull) return [];
  const added: AddedToken[] = [];
  for (const key of Object.keys(json.object())) {
    const id = /^(0|[1-9]\d{0,8})$/.test(key) ? Number(key) : MAX_VOCAB_SIZE;
    if (id >= MAX_VOCAB_SIZE) json.fail(`ids from 0 to ${MAX_VOCAB_SIZE - 1}`, describe(key));
    const token = json.get(key);
    token.object();
    const form = readForm(token, false);
    if (form.content !== "") added.push({ id, ...form, special: form.special || special.has(form.content) });
  }
  return added.sort((a, b) => a.id - b.id);
}

/** Text -> id: flags follow from whether the text is a special token. */
function readAddedTokens(json: JsonCursor | null, special: ReadonlyMap<string, unknown>): AddedToken[] {
  if (json === null || json.isNull) return [];
  const byId = new Map<number, AddedToken>();
  const object = json.object();
  for (const content of Object.keys(object)) {
    const item = json.get(content);
    const id = item.integer(0, MAX_VOCAB_SIZE - 1);
    const known = byId.get(id);
    if (known !== undefined) item.fail(`an id of its own (${id} is ${describe(known.content)})`);
    const length = content.length;
    if (length > MAX_ADDED_TOKEN_LENGTH)
      json.fail(`tokens of at most ${MAX_ADDED_TOKEN_LENGTH} characters`, `${length}`);
    if (!isWellFormed(content)) json.fail("tokens without lone surrogates", describe(content));
    const isSpecial = special.has(content);
    if (content !== "") byId.set(id, { ...specialToken(id, content), normalized: !isSpecial, special: isSpecial });
  }
  return [...byId.values()].sort((a, b) => a.id - b.id);
}
