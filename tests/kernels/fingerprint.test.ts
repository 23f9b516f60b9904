/**
 * The committed fingerprint: hashes of every bit that the embedded model and every kernel compute. Each machine, engine
 * and number of threads must give it. After a change of the arithmetic that is meant, QKV_UPDATE_FINGERPRINT=1 writes
 * it anew; say why in the commit.
 */

import { writeFileSync } from "node:fs";
import { setLeastSharedWork } from "@qkv/core";
import { loadDecoder } from "@qkv/models";
import { afterAll, expect, test } from "vitest";
import { type CommittedFingerprint, fingerprint } from "../support/fingerprint";
import { fixture, readJson, repository } from "../support/fixtures";
import { opFingerprint } from "../support/op-fingerprint";

const PATH = fixture("fingerprint.json");
const STORIES = repository("packages/cli/models/stories260K");

if (process.env.QKV_UPDATE_FINGERPRINT === "1") {
  await using model = await loadDecoder(STORIES, { threads: 1 });
  const committed: CommittedFingerprint = { stories260K: await fingerprint(model), ops: await opFingerprint() };
  writeFileSync(PATH, `${JSON.stringify(committed, null, 2)}\n`);
}

const committed = readJson<CommittedFingerprint>(PATH);

afterAll(() => setLeastSharedWork(60_000));

test.each([1, 2, 3])("the embedded model on %i threads", async (threads) => {
  setLeastSharedWork(0);
  await using model = await loadDecoder(STORIES, { threads });
  expect(model.kernels).toMatchObject({ kernels: "wasm", threads });
  expect(await fingerprint(model)).toEqual(committed.stories260K);
});

test("every op, and every dtype", async () => {
  expect(await opFingerprint()).toEqual(committed.ops);
});

test("the embedded model with turbo", async () => {
  await using model = await loadDecoder(STORIES, { turbo: true });
  expect(await fingerprint(model)).toEqual(committed.stories260K);
});
