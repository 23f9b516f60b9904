/** Runs Hugging Face's native tokenizers, the oracle of the tests, and counts its offsets the way that ours do. */

type Native = typeof import("tokenizers");
type NativeTokenizer = InstanceType<Native["Tokenizer"]>;
type NativeEncoding = InstanceType<Native["Encoding"]>;

/** A native module: null on machines that it has no build for. */
export const native: Native | null = await import("tokenizers").catch((cause: unknown) => {
  console.warn(`tokenizers does not load, so nothing is compared with it: ${String(cause)}`);
  return null;
});

/** One text, or a pair of them, and how to encode it. No lone surrogates: the binding's UTF-8 has none. */
export interface Input {
  readonly text: string;
  readonly pair: string | null;
  readonly addSpecialTokens: boolean;
}

/** All that an encoding says. Offsets count UTF-16 units. */
export interface Encoded {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  readonly offsets: readonly (readonly [number, number])[];
  readonly typeIds: readonly number[];
  readonly specialTokensMask: readonly number[];
  readonly attentionMask: readonly number[];
  readonly wordIds: readonly (number | null)[];
  readonly sequenceIds: readonly (number | null)[];
}

/** An encoding, or the message of the error in its place. */
export type Outcome = Encoded | { readonly error: string };

/** A native tokenizer over a tokenizer.json, without the file's truncation and padding. */
export class Oracle {
  readonly #tokenizer: NativeTokenizer;

  constructor(json: object) {
    if (native === null) throw new Error("tokenizers does not load");
    this.#tokenizer = native.Tokenizer.fromString(JSON.stringify({ ...json, truncation: null, padding: null }));
  }

  async encode(inputs: readonly Input[]): Promise<Outcome[]> {
    const encodings = new Array<NativeEncoding | { error: string }>(inputs.length);
    for (const addSpecialTokens of [true, false]) {
      const batch = [...inputs.keys()].filter(
        (i) => inputs[i].pair === null && inputs[i].addSpecialTokens === addSpecialTokens,
      );
      const done = await this.#tokenizer
        .encodeBatch(
          batch.map((i) => inputs[i].text),
          { addSpecialTokens },
        )
        .catch(() => []); // one text that has no encoding is an error of the whole batch: they come one by one below
      for (const [at, encoding] of done.entries()) encodings[batch[at]] = encoding;
    }
    await Promise.all(
      inputs.map(async ({ text, pair, addSpecialTokens }, i) => {
        encodings[i] ??= await this.#tokenizer
          .encode(text, pair, { addSpecialTokens })
          .catch((error: unknown) => ({ error: String(error) }));
      }),
    );
    return encodings.map((encoding, i) => ("error" in encoding ? encoding : toEncoded(encoding, inputs[i])));
  }

  decode(ids: readonly (readonly number[])[], skipSpecialTokens: boolean): Promise<string[]> {
    return this.#tokenizer.decodeBatch(ids as number[][], skipSpecialTokens);
  }

  /** The ids that a token has, added ones too. */
  ids(): number[] {
    return Object.values(this.#tokenizer.getVocab(true));
  }
}

function toEncoded(encoding: NativeEncoding, { text, pair }: Input): Encoded {
  const offsets = encoding.getOffsets() as [number, number][];
  const units = pair === null ? [unitsOf(text)] : [unitsOf(text), unitsOf(pair)];
  const sequenceIds = encoding.getSequenceIds().map((sequence) => sequence ?? null);
  return {
    ids: encoding.getIds(),
    tokens: encoding.getTokens(),
    offsets: offsets.map(([start, end], i) => {
      const at = units[sequenceIds[i] ?? 0]; // special tokens belong to no sequence; their offsets are 0
      return at === null ? [start, end] : [at[start], at[end]];
    }),
    typeIds: encoding.getTypeIds(),
    specialTokensMask: encoding.getSpecialTokensMask(),
    attentionMask: encoding.getAttentionMask(),
    wordIds: encoding.getWordIds().map((word) => word ?? null),
    sequenceIds,
  };
}

/** Code point -> UTF-16 unit; null where they are the same. */
function unitsOf(text: string): number[] | null {
  if (!/[\ud800-\udbff]/.test(text)) return null;
  const units = [0];
  for (const character of text) units.push(units[units.length - 1] + character.length);
  return units;
}
