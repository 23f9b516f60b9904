/** Token strings and ids, both ways. */

import { MAX_VOCAB_SIZE } from "./limits";
import { isIntegerFrom } from "./memory";

export class Vocabulary {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #addedIds: ReadonlyMap<string, number>;
  readonly #tokens: readonly (string | undefined)[];

  /** `ids` may be the model's own map; tokens outside of the model come in `addedIds`, so that no map is copied. */
  constructor(
    tokens: readonly (string | undefined)[],
    ids: ReadonlyMap<string, number>,
    addedIds: ReadonlyMap<string, number> = new Map(),
  ) {
    this.#tokens = tokens;
    this.#ids = ids;
    this.#addedIds = addedIds;
  }

  /** Highest id + 1; ids below may be unused. */
  get size(): number {
    return this.#tokens.length;
  }

  /** The same with more tokens; an id that is taken already keeps its string. */
  with(added: ReadonlyMap<string, number>): Vocabulary {
    const tokens = [...this.#tokens];
    for (const [token, id] of added) {
      while (tokens.length <= id) tokens.push(undefined);
      tokens[id] ??= token;
    }
    return new Vocabulary(tokens, this.#ids, new Map([...this.#addedIds, ...added]));
  }

  idOf(token: string): number | undefined {
    return this.#addedIds.get(token) ?? this.#ids.get(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#tokens[id];
  }
}

/** The index of each token; of equal ones the last. */
export function idsOf(tokens: readonly string[]): Map<string, number> {
  const ids = new Map<string, number>();
  for (let id = 0; id < tokens.length; id++) ids.set(tokens[id], id);
  return ids;
}

/** True for what may be an id of an untrusted file: checked before anything of that size is allocated. */
export function isPossibleId(id: unknown): id is number {
  return isIntegerFrom(0, id, MAX_VOCAB_SIZE - 1);
}
