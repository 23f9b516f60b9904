import { expect, test } from "vitest";
import { fixture } from "../../../../tests/support/fixtures";
import type { Expected } from "../../../../tests/support/safetensors";
import { changed, outcome, rename, scaled, type Tensors } from "../bart/testing";
import { loadSeq2Seq } from "../load";

const TWO = "marian-two-vocabularies";
const two = await outcome(fixture(`goldens/seq2seq/${TWO}`));
const TARGET = "model.decoder.embed_tokens.weight";

test("source and target have vocabularies of their own", async () => {
  await using model = await loadSeq2Seq(fixture(`goldens/seq2seq/${TWO}`));
  expect(model.vocabSize).toBe(31);
  expect(model.run([25, 2], [30]).logits.shape).toEqual([1, 31]);
  expect(() => model.run([26, 2], [30])).toThrow(/26/);
});

test("the target's words may stand under the head's name, or beside it", async () => {
  expect(await outcome(changed(TWO, {}, (tensors) => rename(tensors, TARGET, "lm_head.weight")))).toEqual(two);
  const words = (tensors: Tensors) => tensors.get(TARGET) as Expected;
  const beside = changed(TWO, {}, (tensors) => tensors.set("lm_head.weight", words(tensors)));
  expect(await outcome(beside)).toEqual(two);
  const another = (tie: boolean) =>
    changed(TWO, { tie_word_embeddings: tie }, (tensors) => tensors.set("lm_head.weight", scaled(words(tensors), 2)));
  const { captured, logits } = await outcome(another(false));
  expect(captured).toEqual(two.captured);
  expect(logits).not.toEqual(two.logits);
  expect(await outcome(another(true))).toEqual({ ...two, logits });
});

test("sinusoids in the file are not read: they follow from the config", async () => {
  const source = changed(TWO, {}, (tensors) => {
    for (const stack of ["encoder", "decoder"])
      tensors.set(`model.${stack}.embed_positions.weight`, { shape: [7, 9], data: new Float32Array(63) });
  });
  expect(await outcome(source)).toEqual(two);
});

test("two vocabularies that are said to be one are refused", async () => {
  const source = changed(TWO, { share_encoder_decoder_embeddings: true });
  await expect(outcome(source)).rejects.toThrow(/"decoder_vocab_size": expected 26.*got 31/);
  const same = changed(TWO, { share_encoder_decoder_embeddings: true, decoder_vocab_size: 26 });
  await expect(outcome(same)).rejects.toThrow(/expected shape \[26, 9\]/);
});
