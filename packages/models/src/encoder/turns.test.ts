import { expect, test } from "vitest";
import { Turns } from "./turns";

test("one at a time, in the order in which they asked", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const work = async (name: string) => {
    const done = await turns.take();
    log.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 1));
    log.push(`${name} ends`);
    done();
  };
  await Promise.all([work("a"), work("b"), work("c")]);
  expect(log).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("who is called off while waiting gets the reason at once, and the turn is passed on", async () => {
  const turns = new Turns();
  const first = await turns.take();
  const controller = new AbortController();
  const second = turns.take(controller.signal);
  const third = turns.take();
  controller.abort(new Error("enough"));
  await expect(second).rejects.toThrow("enough");
  first();
  const done = await third;
  done();
  await expect(turns.take(AbortSignal.abort(new Error("before")))).rejects.toThrow("before");
  (await turns.take())();
});
