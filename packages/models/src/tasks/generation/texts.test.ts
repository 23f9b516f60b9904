import { describe, expect, test } from "vitest";
import { NO_DEFAULTS } from "../../generate/generation-config";
import type { GenerateOptions } from "../../generate/options";
import { generateAnswer } from "./answer";
import { summarize, text2text } from "./summarize";
import { recordingHost, tinyTokenizer } from "./testing";

const WORDS = ["summarize", ":", "question", "context", "one", "two", "three", "short", "TL;DR"];
const tokenizer = tinyTokenizer({ special: ["</s>", "<unk>"], words: WORDS, after: ["</s>"] });
const ids = (text: string) => [...tokenizer.encode(text).ids];
const sourcesOf = (host: ReturnType<typeof recordingHost>) => host.asked.flatMap(({ sources }) => sources);

const TASK = {
  prefix: "short : ",
  defaults: { ...NO_DEFAULTS, settings: { numBeams: 4, minLength: 3 } },
};
const withTask = { ...NO_DEFAULTS, tasks: new Map([["summarization", TASK]]) };

describe("prefixes", () => {
  test.each([
    ["t5", NO_DEFAULTS, "summarize: one two"],
    ["umt5", NO_DEFAULTS, "summarize: one two"],
    ["bart", NO_DEFAULTS, "one two"],
    ["pegasus", NO_DEFAULTS, "one two"],
    ["t5", withTask, "short : one two"],
    ["bart", withTask, "short : one two"],
  ] as const)("summarize, %s", async (architecture, defaults, source) => {
    const host = recordingHost(tokenizer, { architecture, defaults });
    await summarize(host, "one two", {});
    expect(sourcesOf(host)).toEqual([ids(source)]);
    expect(host.asked[0].defaults.settings).toEqual(defaults === withTask ? TASK.defaults.settings : {});
  });

  test("one of the caller's goes before all others, and leaves the task its settings", async () => {
    const host = recordingHost(tokenizer, { defaults: withTask });
    await summarize(host, "one two", { prefix: "TL;DR " });
    await summarize(host, "one two", { prefix: "" });
    expect(sourcesOf(host)).toEqual([ids("TL;DR one two"), ids("one two")]);
    expect(host.asked.map(({ defaults }) => defaults)).toEqual([TASK.defaults, TASK.defaults]);
  });

  test("text2text has none, an answer the words of its question and its context", async () => {
    const host = recordingHost(tokenizer);
    await text2text(host, "one two", {});
    await generateAnswer(host, [{ question: "one", context: "two three" }], {});
    expect(sourcesOf(host)).toEqual([ids("one two"), ids("question: one context: two three")]);
  });
});

describe("texts", () => {
  test("a text gives a result, an array an array", async () => {
    const host = recordingHost(tokenizer, {}, () => ids("three"));
    expect((await summarize(host, "one", {})) as object).toHaveProperty("text", "three");
    expect(await summarize(host, ["one", "two"], {})).toHaveLength(2);
    expect(await summarize(host, [], {})).toEqual([]);
    expect(await generateAnswer(host, { question: "one", context: "two" }, {})).toHaveProperty("text", "three");
  });

  test("options of the generation are handed on, the task's own are not", async () => {
    const host = recordingHost(tokenizer);
    const options: GenerateOptions = { numBeams: 3, maxNewTokens: 7, scores: true };
    const done: number[] = [];
    const onProgress = (progress: { done: number }) => done.push(progress.done);
    await text2text(host, ["one", "two"], { ...options, prefix: "short ", truncate: true, onProgress });
    expect(host.asked[0].options).toEqual(options);
    expect(done).toEqual([2]);
  });

  test("one that is too long is an error that says where, unless it is to be cut", async () => {
    const host = recordingHost(tokenizer, { maxTokens: 6 });
    const long = "one two three one two three";
    const alone = summarize(host, ["one", long], {});
    await expect(alone).rejects.toThrow(RangeError);
    await expect(summarize(host, ["one", long], {})).rejects.toThrow(
      /^summarize: texts\[1\]: 9 tokens.* context of 6: truncate: true cuts the end of the text$/,
    );
    await expect(summarize({ ...host, canGrow: true }, long, {})).rejects.toThrow(
      "or load with a larger contextLength",
    );
    expect(host.asked).toEqual([]);
    await summarize(host, ["one", long], { truncate: true });
    // The prefix and the end token stay.
    expect(sourcesOf(host)).toEqual([ids("summarize: one"), ids("summarize: one two three")]);
    await expect(summarize(host, long, { truncate: true, prefix: "one two one two one " })).rejects.toThrow(
      "the prefix takes 6 of the 6 tokens",
    );
  });

  test("wrong options and texts", async () => {
    const host = recordingHost(tokenizer);
    const wrong: [unknown, object, string][] = [
      ["one", { beams: 2 }, 'summarize: unknown option "beams"'],
      ["one", { from: "en" }, 'unknown option "from"'],
      ["one", { prefix: 3 }, "prefix: expected a string, got 3"],
      ["one", { truncate: "yes" }, "truncate: expected true or false"],
      ["one", { onProgress: true }, "onProgress: expected a function"],
      ["one", { signal: {} }, "signal: expected an AbortSignal"],
      [3, {}, "summarize: expected a text or an array of texts, got a value of type number"],
      [["one", null], {}, "summarize: texts[1]: expected a string, got null"],
    ];
    for (const [given, options, message] of wrong) {
      await expect(summarize(host, given as string, options)).rejects.toThrow(TypeError);
      await expect(summarize(host, given as string, options)).rejects.toThrow(message);
    }
    const question = { question: "one" } as unknown as { question: string; context: string };
    await expect(generateAnswer(host, question, {})).rejects.toThrow("answer: questions[0].context: expected a string");
    await expect(generateAnswer(host, [{ ...question, context: "two", topK: 3 } as never], {})).rejects.toThrow("topK");
  });

  test("a signal that was given before calls it off", async () => {
    const host = recordingHost(tokenizer);
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(text2text(host, "one", { signal })).rejects.toThrow("enough");
    expect(host.asked).toEqual([]);
  });
});
