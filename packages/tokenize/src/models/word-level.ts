/** WordLevel: a word is a token, or the unknown token. */

import { noUnknownToken } from "../errors";
import type { Tokens } from "./tokens";

export interface WordLevelConfig {
  readonly type: "WordLevel";
  readonly ids: ReadonlyMap<string, number>;
  readonly unkToken: string;
}

export class WordLevel {
  readonly #config: WordLevelConfig;

  constructor(config: WordLevelConfig) {
    this.#config = config;
  }

  /**
   * Appends the token of the word `text.slice(start, end)`.
   *
   * @throws UnencodableTextError if the unknown token is needed and not in the vocabulary
   */
  encode(text: string, start: number, end: number, out: Tokens): void {
    const { ids, unkToken } = this.#config;
    const id = ids.get(text.slice(start, end)) ?? ids.get(unkToken);
    if (id === undefined) {
      throw noUnknownToken(unkToken);
    }
    out.push(id, start, end);
  }
}
