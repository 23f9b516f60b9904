/** Texts through an encoder-decoder: prefix, ids, what is too long, generation, progress. */

import type { Encoding } from "@qkv/tokenize";
import type { GenerateOptions } from "../../generate/options";
import { paced } from "../inputs";
import type { GenerationTaskHost, SplitOptions, TaskSettings, TextResult } from "./host";

/** How a text becomes a source, where that is more than its tokens. */
export interface SourceForm {
  /** How many ids `ids` adds to those of the encoding. */
  readonly added: number;
  readonly ids: (encoding: Encoding) => readonly number[];
  /** As `EncodeOptions.parseSpecialTokens`; the tokenizer's own way if left out. */
  readonly parseSpecialTokens?: boolean;
}

const PLAIN: SourceForm = { added: 0, ids: ({ ids }) => ids };

/** What is made of texts. */
export interface TextJob {
  readonly call: string;
  readonly texts: readonly string[];
  readonly options: SplitOptions;
  readonly settings: TaskSettings;
  readonly form?: SourceForm;
  /** Options that the task itself sets. */
  readonly forced?: GenerateOptions;
  /** Told about each source before anything is generated; throws where it will not do. */
  readonly check?: (ids: readonly number[], index: number) => void;
}

/**
 * A text for each text.
 *
 * @throws RangeError for a source that is longer than the context, unless it is to be cut, and for a prefix that leaves no
 *   room; as `GenerationTaskHost.generate`
 */
export async function generateTexts(host: GenerationTaskHost, job: TextJob): Promise<TextResult[]> {
  const { texts, options, settings, forced, check } = job;
  const { generation, onProgress } = options;
  const sources = await paced(texts, generation.signal, (text, i) => {
    const ids = sourceOf(host, job, text, i);
    check?.(ids, i);
    return ids;
  });
  const onDone = (done: number) => onProgress?.({ done, total: texts.length });
  const results = await host.generate(sources, { ...generation, ...forced }, settings.defaults, onDone);
  return results as TextResult[]; // with a tokenizer there is a text
}

function sourceOf(
  host: GenerationTaskHost,
  { call, options, settings, form = PLAIN }: TextJob,
  text: string,
  index: number,
): readonly number[] {
  const tokenizer = host.tokenizer(call);
  const prefix = options.prefix ?? settings.prefix;
  const parse = form.parseSpecialTokens;
  const parsing = parse === undefined ? {} : { parseSpecialTokens: parse };
  const encoding = tokenizer.encode(prefix + text, parsing);
  const room = host.maxTokens - form.added;
  if (encoding.length <= room) return form.ids(encoding);
  const where = `${call}: texts[${index}]`;
  if (!options.truncate) {
    const advice = host.canGrow ? ", or load with a larger contextLength" : "";
    throw new RangeError(
      `${where}: ${encoding.length + form.added} tokens, prefix and special ones included, do not fit the context of ` +
        `${host.maxTokens}: truncate: true cuts the end of the text${advice}`,
    );
  }
  // A space at its end belongs to the first word of the text.
  const least = tokenizer.encode(prefix.trimEnd(), parsing).length;
  if (least >= room)
    throw new RangeError(`${where}: the prefix takes ${least} of the ${room} tokens of the context and leaves none`);
  return form.ids(tokenizer.encode(prefix + text, { ...parsing, truncation: { maxLength: room } }));
}
