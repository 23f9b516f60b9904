/** The libraries, each behind the same three functions. */

import { pathToFileURL } from "node:url";
import { Tokenizer } from "../../packages/tokenize/src/index";
import type { ContenderName, Output } from "./protocol";

/** A tokenizer that is ready. What it gives is read, not only made. */
export interface Contender {
  encode(text: string, output: Output): readonly number[] | Promise<readonly number[]>;
}

/** Makes one from the text of a tokenizer.json. */
export type Load = (json: string) => Contender;

interface NativeEncoding {
  getIds(): number[];
  getOffsets(): number[][];
  getTokens(): string[];
}

interface NativeModule {
  readonly Tokenizer: { fromString(json: string): { encode(text: string): Promise<NativeEncoding> } };
}

interface HuggingFaceModule {
  readonly Tokenizer: new (json: object, config: object) => { encode(text: string): { readonly ids: number[] } };
}

interface XenovaModule {
  readonly PreTrainedTokenizer: new (json: object, config: object) => { encode(text: string): number[] };
}

const ONLY_IDS = "it gives no offsets";

/** Imports the library, which is not what is timed. */
export async function importContender(name: ContenderName, modulePath: string): Promise<Load> {
  const load = async <T>(): Promise<T> => {
    const module = (await import(pathToFileURL(modulePath).href)) as { default?: T } & T;
    return module.default ?? module;
  };
  switch (name) {
    case "qkv":
      return (json) => {
        const tokenizer = Tokenizer.fromTokenizerJson(json);
        return {
          encode(text, output) {
            const encoding = tokenizer.encode(text);
            if (output === "all" && encoding.offsets.length !== encoding.tokens.length)
              throw new Error("lengths differ");
            return encoding.ids;
          },
        };
      };
    case "tokenizers (native)": {
      const { Tokenizer: Native } = await load<NativeModule>();
      return (json) => {
        const tokenizer = Native.fromString(json);
        return {
          async encode(text, output) {
            const encoding = await tokenizer.encode(text);
            if (output === "all" && encoding.getOffsets().length !== encoding.getTokens().length) {
              throw new Error("lengths differ");
            }
            return encoding.getIds();
          },
        };
      };
    }
    case "@huggingface/tokenizers": {
      const { Tokenizer: HuggingFace } = await load<HuggingFaceModule>();
      return (json) => {
        const tokenizer = new HuggingFace(JSON.parse(json) as object, {});
        return { encode: (text, output) => idsOnly(output, () => tokenizer.encode(text).ids) };
      };
    }
    case "@xenova/transformers": {
      const { PreTrainedTokenizer } = await load<XenovaModule>();
      return (json) => {
        // It warns of every class but those that it knows.
        const tokenizer = new PreTrainedTokenizer(JSON.parse(json) as object, {
          tokenizer_class: "PreTrainedTokenizer",
        });
        return { encode: (text, output) => idsOnly(output, () => tokenizer.encode(text)) };
      };
    }
  }
}

function idsOnly(output: Output, encode: () => readonly number[]): readonly number[] {
  if (output === "all") throw new Error(ONLY_IDS);
  return encode();
}
