/** Texts with gaps written anew, by a model that was trained on infilling (BART: Lewis et al. 2019, section 2.2). */

import { checkTexts } from "../host";
import { type GenerationTaskHost, splitOptions, type TextResult, type TextToTextOptions } from "./host";
import { generateTexts, type SourceForm } from "./texts";

const CALL = "fillMask";
/** What BART and mBART call it. */
const MASK = "<mask>";

/** See `Seq2Seq.fillMask`. */
export async function infillMasks(
  host: GenerationTaskHost,
  given: string | readonly string[],
  options: TextToTextOptions,
): Promise<TextResult | TextResult[]> {
  const split = splitOptions(CALL, options);
  const texts = checkTexts(CALL, given);
  const tokenizer = host.tokenizer(CALL);
  const maskId = tokenizer.tokenToId(MASK);
  if (maskId === null) {
    const other = tokenizer.tokenToId("<extra_id_0>") === null ? "" : "; it has <extra_id_0> and on: see fillSpans";
    throw new Error(`${CALL} needs a mask, as BART has it, and this model's vocabulary has no ${MASK}${other}`);
  }
  const without = texts.findIndex((text) => !text.includes(MASK));
  if (without >= 0)
    throw new RangeError(`${CALL}: texts[${without}] has no mask: write ${MASK} where words are wanted`);
  const masksIn = (text: string) => text.split(MASK).length - 1;
  const check = (ids: readonly number[], i: number): void => {
    if (ids.filter((id) => id === maskId).length < masksIn(texts[i]))
      throw new RangeError(`${CALL}: texts[${i}]: a mask lies beyond the ${host.maxTokens} tokens of the context`);
  };
  const form: SourceForm = { added: 0, ids: ({ ids }) => ids, parseSpecialTokens: true };
  const settings = { prefix: "", defaults: host.defaults };
  const results = await generateTexts(host, { call: CALL, texts, options: split, settings, form, check });
  return typeof given === "string" ? results[0] : results;
}
