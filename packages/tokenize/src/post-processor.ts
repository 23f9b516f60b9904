/** Stage 4: puts the special tokens around a text's ids. TemplateProcessing and Sequence. */

import { unreachable } from "./errors";
import type { JsonCursor, StepCount } from "./json";
import { MAX_TEMPLATE_IDS, MAX_VOCAB_SIZE } from "./limits";

export type PostProcessor =
  | {
      readonly type: "TemplateProcessing";
      readonly single: readonly TemplatePiece[];
    }
  | {
      readonly type: "Sequence";
      readonly processors: readonly PostProcessor[];
    };

/** A template is a list of the text itself and of special ids. */
export type TemplatePiece = { readonly type: "Text" } | { readonly type: "Special"; readonly ids: readonly number[] };

const SUPPORTED = "null, TemplateProcessing, Sequence";

/** Ids with the special tokens in place, or without them where `addSpecialTokens` is false. */
export function postProcess(
  processor: PostProcessor | null,
  ids: readonly number[],
  addSpecialTokens: boolean,
): readonly number[] {
  if (processor === null) return ids;
  switch (processor.type) {
    case "TemplateProcessing":
      return processor.single.flatMap((piece) => (piece.type === "Text" ? ids : addSpecialTokens ? piece.ids : []));
    case "Sequence":
      return processor.processors.reduce((result, step) => postProcess(step, result, addSpecialTokens), ids);
    default:
      return unreachable(processor, "post-processor");
  }
}

/** Reads `post_processor` of a tokenizer.json; `exists` tells whether an id is in the vocabulary. Pairs come later. */
export function parsePostProcessor(json: JsonCursor, exists: (id: number) => boolean): PostProcessor | null {
  return parseStep(json, exists, { steps: 0, ids: 0 });
}

/** What the whole post-processor adds up to so far. */
interface Count extends StepCount {
  ids: number;
}

function parseStep(json: JsonCursor, exists: (id: number) => boolean, count: Count): PostProcessor | null {
  if (json.isNull) return null;
  const type = json.get("type");
  switch (type.value) {
    case "TemplateProcessing":
      json.onlyKeys(["type", "single", "pair", "special_tokens"]);
      return {
        type: "TemplateProcessing",
        single: parseTemplate(json, exists, count),
      };
    case "Sequence": {
      json.onlyKeys(["type", "processors"]);
      const steps = json.get("processors").steps(count);
      const processors = steps.map((step) => parseStep(step, exists, count)).filter((step) => step !== null);
      return { type: "Sequence", processors };
    }
    default:
      return type.unsupported(SUPPORTED);
  }
}

function parseTemplate(json: JsonCursor, exists: (id: number) => boolean, count: Count): TemplatePiece[] {
  const pieceOfName = new Map<string, TemplatePiece & { type: "Special" }>();
  const specials = json.get("special_tokens");
  const pieces = json
    .get("single")
    .items()
    .map((piece): TemplatePiece => {
      piece.onlyKeys(["Sequence", "SpecialToken"]);
      const sequence = piece.get("Sequence");
      if (!sequence.isNull) {
        const id = sequence.get("id");
        return id.value === "A" ? { type: "Text" } : id.fail('"A", the only text of a single template');
      }
      const name = piece.get("SpecialToken").get("id").string();
      const list = specials.get(name).get("ids");
      // A piece without ids counts too, as it costs time with every text.
      count.ids += Math.max(1, list.array().length);
      if (count.ids > MAX_TEMPLATE_IDS) list.fail(`at most ${MAX_TEMPLATE_IDS} ids in all templates`, `${count.ids}`);
      const known = pieceOfName.get(name);
      if (known !== undefined) return known;
      const ids = list.items().map((id) => {
        const value = id.integer(0, MAX_VOCAB_SIZE - 1);
        return exists(value) ? value : id.fail("an id of the vocabulary");
      });
      const special = { type: "Special", ids } as const;
      pieceOfName.set(name, special);
      return special;
    });
  // A text given twice would double at every step of a Sequence.
  if (pieces.filter((piece) => piece.type === "Text").length !== 1) json.get("single").fail("the text exactly once");
  return pieces;
}
