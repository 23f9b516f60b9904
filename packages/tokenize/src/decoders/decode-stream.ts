/* Decoding one id at a time, for text that is still being generated. */

import { checkId } from "../options";
import { type Decoder, openDecoder } from "./decoder";
import { type Sink, TextSink } from "./sink";

/** What the stream needs of its tokenizer. */
export interface StreamSource {
  readonly vocabSize: number;
  readonly decoder: Decoder | null;
  /** The token string for the decoder; null for an id that gives no text. */
  pieceOf(id: number): string | null;
}

/**
 * Turns ids into text as they come. All outputs joined are what `decode` gives for all ids; never half a character.
 * Made by `Tokenizer.decodeStream`. A push takes time for its token alone, however long the text is already.
 *
 * @example
 * for (const id of generatedIds) process.stdout.write(stream.push(id));
 * process.stdout.write(stream.flush());
 */
export class DecodeStream {
  readonly #source: StreamSource;
  readonly #out = new TextSink();
  readonly #chain: Sink;
  /** What decode() gives for the prefix but the stages still hold back: it is dropped where it comes out as it was. */
  #known: string;
  #ended = false;

  /** @internal */
  constructor(source: StreamSource, prefix: ArrayLike<number>, prefixText: string) {
    this.#source = source;
    this.#chain = openDecoder(source.decoder, this.#out);
    for (let i = 0; i < prefix.length; i++) this.#feed(prefix[i]);
    this.#known = prefixText.slice(this.#out.take().length);
  }

  /**
   * Takes the next id and gives the text that is certain now, sometimes "": bytes wait for the rest of their character,
   * and with Hugging Face's ByteFallback for the end of all byte tokens in a row.
   *
   * @throws RangeError for an id outside of the vocabulary, Error after `flush`.
   */
  push(id: number): string {
    if (this.#ended) throw new Error("push: this stream has been flushed; open a new one with decodeStream");
    checkId("push", id, this.#source.vocabSize);
    this.#feed(id);
    return this.#takeNew();
  }

  /** Ends the stream and gives what was held back; an unfinished character becomes U+FFFD, as in `decode`. */
  flush(): string {
    if (!this.#ended) this.#chain.finish();
    this.#ended = true;
    return this.#takeNew();
  }

  #feed(id: number): void {
    const piece = this.#source.pieceOf(id);
    if (piece !== null) this.#chain.push(piece, true);
  }

  #takeNew(): string {
    const text = this.#out.take();
    if (this.#known === "") return text;
    let same = 0;
    while (same < text.length && same < this.#known.length) {
      const code = text.codePointAt(same) as number;
      if (code !== this.#known.codePointAt(same)) break;
      same += code > 0xffff ? 2 : 1;
    }
    this.#known = same === text.length ? this.#known.slice(same) : "";
    return text.slice(same);
  }
}
