/** A .model of sentencepiece given for a model: the family of the model says what its pieces' ids are. */

import { UnsupportedTokenizerError } from "@qkv/tokenize";
import { expect, test } from "vitest";
import { CheckedSource } from "./files/checked";
import { repositoryPath, utf8 } from "./formats/testing";
import { folderTokenizer, readTokenizer } from "./tokenizer-files";

const PIECES = repositoryPath("tests/fixtures/goldens/seq2seq/gguf/spiece.model");
const none = async () => "none";

test("T5: an end token, and sentinels", async () => {
  const config = utf8('{ "model_type": "t5" }');
  const [plain, ofT5] = await Promise.all([readTokenizer(PIECES, {}, none), readTokenizer(PIECES, { config }, none)]);
  const { ids } = plain.tokenizer?.encode("the cat") ?? { ids: [] };
  expect(ids.length).toBeGreaterThan(2);
  expect(ofT5.tokenizer?.encode("the cat").ids).toEqual([...ids, 1]);
  expect(ofT5.tokenizer?.tokenToId("<extra_id_0>")).toBe((plain.tokenizer?.vocabSize as number) + 99);
});

test.each(["mbart", "pegasus", "marian"])("%s: its own ids are not guessed", async (type) => {
  const config = utf8(`{ "model_type": "${type}" }`);
  await expect(readTokenizer(PIECES, { config }, none)).rejects.toThrow(UnsupportedTokenizerError);
});

test("Marian's files as published: a reason, no error", async () => {
  const names = ["source.spm", "target.spm", "vocab.json"];
  const files = new CheckedSource({
    read: async (name, start, end) => (names.includes(name) ? utf8("{}").slice(start, end) : null),
  });
  expect(await folderTokenizer(files, "")).toMatch(/^Marian's source\.spm.* tokenizer\.json/);
});
