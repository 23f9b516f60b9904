import { expect, test } from "vitest";
import { fixture } from "../../../../tests/support/fixtures";
import { changed, outcome } from "../bart/testing";

const PLAIN = "mbart-plain";

test("the class that ran mBART at first means the same", async () => {
  const plain = await outcome(fixture(`goldens/seq2seq/${PLAIN}`));
  expect(await outcome(changed(PLAIN, { architectures: ["BartForConditionalGeneration"] }))).toEqual(plain);
  expect(await outcome(changed(PLAIN, { architectures: ["MBartModel"] }))).toEqual(plain);
});

test("the norm after the last layer must be there", async () => {
  const source = changed(PLAIN, {}, (tensors) => tensors.delete("model.decoder.layer_norm.bias"));
  await expect(outcome(source)).rejects.toThrow(/"model.decoder.layer_norm.bias": missing/);
});

test("as BART, the file has norms that nobody asks for", async () => {
  const source = changed(PLAIN, { model_type: "bart", architectures: ["BartModel"] });
  await expect(outcome(source)).rejects.toThrow(/layer_norm.*belongs to no part/);
});
