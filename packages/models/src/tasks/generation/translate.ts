/** Translation, with the languages told as each family was taught them. */

import type { Encoding } from "@qkv/tokenize";
import { printable } from "../../errors";
import type { GenerateOptions } from "../../generate/options";
import { checkTexts } from "../host";
import {
  type GenerationTaskHost,
  isT5,
  type SplitOptions,
  splitOptions,
  type TaskSettings,
  type TextResult,
  type TextToTextOptions,
  taskSettings,
} from "./host";
import { languageTokens, namedLanguage } from "./languages";
import { generateTexts, type SourceForm } from "./texts";

/** Options of `Seq2Seq.translate`. */
export interface TranslateOptions extends TextToTextOptions {
  /** The language of the texts: "en" or "English" in T5's family, "en_XX" in mBART's. */
  readonly from?: string;
  /** The language that is wanted: as `from`; "fra" or ">>fra<<" for a Marian model of several. */
  readonly to?: string;
}

/** How a model is told the languages. */
interface Telling {
  readonly settings: TaskSettings;
  readonly form?: SourceForm;
  readonly forced?: GenerateOptions;
}

const CALL = "translate";
/** Characters of a list of languages: more than a hundred of them. */
const MAX_LISTED = 1000;

/** See `Seq2Seq.translate`. */
export async function translate(
  host: GenerationTaskHost,
  given: string | readonly string[],
  options: TranslateOptions,
): Promise<TextResult | TextResult[]> {
  const { from, to } = options;
  const split = splitOptions(CALL, options, ["from", "to"]);
  for (const [name, value] of Object.entries({ from, to })) {
    if (value !== undefined && typeof value !== "string")
      throw new TypeError(`${name}: expected a language, got ${String(value)}`);
  }
  const texts = checkTexts(CALL, given);
  const results = await generateTexts(host, { call: CALL, texts, options: split, ...telling(host, from, to, split) });
  return typeof given === "string" ? results[0] : results;
}

function telling(
  host: GenerationTaskHost,
  from: string | undefined,
  to: string | undefined,
  options: SplitOptions,
): Telling {
  if (isT5(host)) return byPrefix(host, from, to, options);
  if (host.architecture === "mbart") return byCodes(host, from, to, options);
  if (host.architecture === "marian") return byToken(host, from, to);
  if (from !== undefined || to !== undefined)
    throw new RangeError(`${CALL}: a ${host.architecture} model is not told languages: leave out from and to`);
  return { settings: taskSettings(host, ["translation"], "") };
}

// ---- T5: "translate English to German: "

function byPrefix(
  host: GenerationTaskHost,
  from: string | undefined,
  to: string | undefined,
  { prefix }: SplitOptions,
): Telling {
  if (prefix !== undefined) {
    if (from !== undefined || to !== undefined)
      throw new RangeError(`${CALL}: the prefix tells the languages: leave out either prefix, or from and to`);
    return { settings: taskSettings(host, ["translation"], "") };
  }
  if (from === undefined || to === undefined)
    throw new RangeError(`${CALL}: this model is told both languages: pass from and to, such as "en" and "de"`);
  const [source, target] = [namedLanguage("from", from), namedLanguage("to", to)];
  if (source.name === target.name) throw new RangeError(`${CALL}: from and to are both ${source.name}`);
  const usual = `translate ${source.name} to ${target.name}: `;
  const names = source.code === null || target.code === null ? [] : [`translation_${source.code}_to_${target.code}`];
  return { settings: taskSettings(host, names, usual) };
}

// ---- mBART: a token for the language of the source, and one for that of the text

/**
 * As transformers' tokenizers write them: mBART (Liu et al. 2020) has the source's language behind its end token, and
 * begins a text with the target's in place of a start token; mBART-50 (Tang et al. 2020) has the source's in front, and
 * the target's is the first token that comes, which is forced.
 */
function byCodes(
  host: GenerationTaskHost,
  from: string | undefined,
  to: string | undefined,
  { generation }: SplitOptions,
): Telling {
  const tokenizer = host.tokenizer(CALL);
  const languages = languageTokens(tokenizer, "mbart");
  const tokens = new Map([...languages].map(([token, id]) => [id, token]));
  const fromId = from === undefined ? null : tokenOf("from", from, languages);
  const toId = to === undefined ? null : tokenOf("to", to, languages);

  const added = tokenizer.encode("").ids;
  const place = added.findIndex((id) => tokens.has(id));
  if (fromId !== null && place < 0)
    throw new Error(`${CALL}: from takes the place of the language that the tokenizer adds, and this one adds none`);
  const form: SourceForm = {
    added: 0,
    ids: (encoding) => (fromId === null ? encoding.ids : withLanguage(encoding, tokens, fromId)),
  };

  const { settings, decoderStartTokenId: start } = host.defaults;
  const startsWithLanguage = place < 0 ? start !== null && tokens.has(start) : place > 0;
  const option = startsWithLanguage ? "decoderStartTokenId" : "forcedBosTokenId";
  const isSet = (generation[option] ?? null) !== null;
  if (toId !== null && isSet) throw new RangeError(`${CALL}: to is what sets ${option}: leave one of them out`);
  const usual = (startsWithLanguage ? start : settings.forcedBosTokenId) ?? null;
  const target = tokens.get(toId ?? usual ?? -1);
  if (target === undefined && !isSet)
    throw new RangeError(`${CALL}: the model's files say no language to translate to: pass to, ${oneOf(languages)}`);
  const codes = [tokens.get(fromId ?? added[place]), target].map((token) => token?.split("_")[0]);
  const names = [`translation_${codes.join("_to_")}`, "translation"];
  return { settings: taskSettings(host, names, ""), form, ...(toId === null ? {} : { forced: { [option]: toId } }) };
}

/** Another language in place of the one that the tokenizer added; one that stands in the text stays. */
function withLanguage(
  { ids, specialTokensMask }: Encoding,
  languages: ReadonlyMap<number, string>,
  language: number,
): number[] {
  return ids.map((id, i) => (specialTokensMask[i] === 1 && languages.has(id) ? language : id));
}

// ---- Marian: ">>fra<<" in front of the text, where a model knows several languages

function byToken(host: GenerationTaskHost, from: string | undefined, to: string | undefined): Telling {
  const languages = languageTokens(host.tokenizer(CALL), "marian");
  const settings = taskSettings(host, ["translation"], "");
  if (languages.size === 0) {
    if (from === undefined && to === undefined) return { settings };
    throw new RangeError(`${CALL}: this model translates between two languages only: leave out from and to`);
  }
  if (from !== undefined)
    throw new RangeError(`${CALL}: this model finds out the language of a text by itself: leave out from`);
  if (to === undefined)
    throw new RangeError(
      `${CALL}: this model's vocabulary has languages to translate to: pass to, ${oneOf(languages)}; ` +
        "text2text takes texts as they are",
    );
  const token = to.startsWith(">>") ? to : `>>${to}<<`;
  const id = tokenOf("to", token, languages);
  // By its id: it is a token of its own, whether the tokenizer finds it in a text or not.
  return { settings, form: { added: 1, ids: ({ ids }) => [id, ...ids] } };
}

function tokenOf(option: string, token: string, languages: ReadonlyMap<string, number>): number {
  const id = languages.get(token);
  if (id !== undefined) return id;
  throw new RangeError(`${option}: expected ${oneOf(languages)}, got ${JSON.stringify(token)}`);
}

function oneOf(languages: ReadonlyMap<string, number>): string {
  if (languages.size === 0) return "a language of the vocabulary, which has none";
  return `one of ${printable([...languages.keys()].join(", "), MAX_LISTED)}`;
}
