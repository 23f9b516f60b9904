/** Every encoder variant against Hugging Face transformers: taps, heads, padded batches, long inputs. */

import { existsSync } from "node:fs";
import type { Encoder, Tensor } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectClose, type Float32Error, tolerance } from "../support/compare";
import { readJson } from "../support/fixtures";
import { loadEncoder } from "../support/load";
import { type Expected, readExpected } from "../support/safetensors";
import { configsOf, goldenVariants, variantSource } from "../support/variants";

interface Golden {
  readonly f32_error: Record<string, Float32Error>;
  readonly cases: Record<
    string,
    {
      readonly input_ids: number[];
      readonly token_type_ids?: number[];
      readonly span?: { readonly start: number; readonly end: number };
    }
  >;
}

const VARIANTS = goldenVariants(
  ["bert", "roberta", "xlm-roberta", "distilbert", "electra", "albert", "mpnet", "modernbert", "t5", "mt5", "umt5"],
  false,
);

/** What the goldens call the outputs of heads. */
const OUTPUTS: Readonly<Record<string, string>> = {
  nsp_logits: "nextSentenceLogits",
  start_logits: "startLogits",
  end_logits: "endLogits",
};

test("all families are here", () => {
  expect(VARIANTS.length).toBeGreaterThanOrEqual(45);
});

describe.each(VARIANTS)("$name", (variant) => {
  const { folder } = variant;
  const golden = readJson<Golden>(`${folder}/expected.json`);
  const expected = readExpected(`${folder}/expected.safetensors`);

  describe.each(configsOf(variant))("with %s", (config) => {
    let model: Encoder;
    beforeAll(async () => {
      const spanBoundary = existsSync(`${folder}/sbo.safetensors`) ? { spanBoundaryHead: "sbo.safetensors" } : {};
      model = await loadEncoder(variantSource(variant, config), spanBoundary);
    });
    afterAll(() => model.dispose());

    /** The goldens of a case, by tap. */
    const goldens = (which: string): [string, Expected][] =>
      [...expected]
        .filter(([key]) => key.startsWith(`${which}/`))
        .map(([key, each]) => [key.slice(which.length + 1), each]);
    const allowed = (which: string, tensor: Expected) => tolerance(tensor.data, golden.f32_error[which]);
    const optionsOf = ({ token_type_ids: types }: { token_type_ids?: number[] }) =>
      types === undefined ? {} : { tokenTypeIds: types };

    test("every tap and head of the short case", () => {
      const { input_ids, span, ...rest } = golden.cases.short;
      const { captured } = model.run(input_ids, { ...optionsOf(rest), capture: ["*"] });
      const prediction = span === undefined ? null : model.predictSpan(input_ids, span);
      const got: Record<string, Tensor | undefined> = {
        ...captured,
        "sbo.hidden": prediction?.hidden,
        "sbo.logits": prediction?.logits,
      };
      const wanted = goldens("short");
      for (const [tap, tensor] of wanted) {
        const ours = got[OUTPUTS[tap] ?? tap];
        expect(ours?.shape, tap).toEqual(tensor.shape);
        expectClose(tap, ours as Tensor, tensor, allowed("short", tensor));
      }
      const names = wanted.map(([tap]) => OUTPUTS[tap] ?? tap).filter((tap) => !tap.startsWith("sbo."));
      // What transformers' class does not give although the weights are there is no golden.
      expect(Object.keys(captured)).toEqual(expect.arrayContaining(names));
    });

    const cases = Object.keys(golden.cases).filter((key) => key !== "short");
    test.each(cases)("%s", (which) => {
      const { input_ids, ...rest } = golden.cases[which];
      const { hidden, outputs } = model.run(input_ids, optionsOf(rest));
      for (const [tap, tensor] of goldens(which)) {
        const ours = tap === "final" ? hidden : (outputs as Record<string, Tensor>)[OUTPUTS[tap] ?? tap];
        expectClose(tap, ours, tensor, allowed(which, tensor));
      }
    });

    test("a packed batch and a padded one give the bits of each text alone", () => {
      const batch = cases.filter((key) => key.startsWith("padded/"));
      const ids = batch.map((key) => golden.cases[key].input_ids);
      const alone = ids.map((each) => model.run(each));
      const packed = model.runBatch(ids);
      const T = Math.max(...ids.map((each) => each.length));
      const filled = (rows: number[][]) => rows.map((row) => [...row, ...Array<number>(T - row.length).fill(0)]);
      const padded = model.runPadded({
        inputIds: filled(ids),
        attentionMask: filled(ids.map((each) => each.map(() => 1))),
      });
      for (const [b, { hidden, outputs }] of alone.entries()) {
        expect(packed[b].hidden.data).toEqual(hidden.data);
        expect(packed[b].outputs).toEqual(outputs);
        const D = hidden.shape[1];
        expect(padded.hidden.shape).toEqual([ids.length, T, D]);
        expect(padded.hidden.data.subarray(b * T * D, (b * T + ids[b].length) * D)).toEqual(hidden.data);
        expect(padded.hidden.data.subarray((b * T + ids[b].length) * D, (b + 1) * T * D).every((x) => x === 0)).toBe(
          true,
        );
      }
    });
  });
});
