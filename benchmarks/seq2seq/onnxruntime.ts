/** T5 by hand on onnxruntime: the encoder once, then the merged decoder with its cache, greedily or with beams. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Seq2Seq } from "./contenders";
import type { Settings } from "./protocol";

type Data = Float32Array | BigInt64Array | Uint8Array;

interface Tensor {
  readonly data: Data;
  readonly dims: readonly number[];
}

type Tensors = Record<string, Tensor>;

interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Tensors>, fetches?: readonly string[]): Promise<Readonly<Tensors>>;
}

export interface Onnxruntime {
  readonly Tensor: new (type: "int64" | "float32" | "bool", data: Data, dims: readonly number[]) => Tensor;
  readonly InferenceSession: { create(path: string, options: object): Promise<Session> };
}

interface Config {
  readonly num_heads: number;
  readonly d_kv: number;
  readonly decoder_start_token_id: number;
}

/** A text that is being generated, or several of one source, a row each. */
interface State {
  hidden: Tensor;
  mask: Tensor;
  /** Keys and values of all layers, by the decoder's names; null before the first step. */
  cache: Tensors | null;
}

/** The graphs, loaded. Threads spin, as they do if nothing is said. */
export async function onnxruntime(library: Onnxruntime, { folder, threads }: Settings): Promise<Seq2Seq> {
  const { InferenceSession, Tensor } = library;
  const file = (name: string): string => join(folder, "t5-titler", name);
  const options = {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  };
  const encoder = await InferenceSession.create(file("onnx/encoder_model.onnx"), options);
  const decoder = await InferenceSession.create(file("onnx/decoder_model_merged.onnx"), options);
  const config = JSON.parse(readFileSync(file("config.json"), "utf8")) as Config;

  const pastNames = decoder.inputNames.filter((name) => name.startsWith("past_key_values."));
  const presentOf = (name: string): string => name.replace("past_key_values", "present");
  /** The source's keys and values come from the first step only. */
  const growing = pastNames.filter((name) => name.includes(".decoder."));
  const laterFetches = ["logits", ...growing.map(presentOf)];

  const int64 = (values: readonly number[], dims: readonly number[]): Tensor =>
    new Tensor("int64", BigInt64Array.from(values, BigInt), dims);
  const empty = new Tensor("float32", new Float32Array(0), [1, config.num_heads, 0, config.d_kv]);

  async function encode(source: readonly number[]): Promise<State> {
    const mask = int64(new Array(source.length).fill(1), [1, source.length]);
    const { last_hidden_state: hidden } = await encoder.run({
      input_ids: int64(source, [1, source.length]),
      attention_mask: mask,
    });
    return { hidden, mask, cache: null };
  }

  /** One token a row. @returns logits `[rows, V]` */
  async function step(state: State, tokens: readonly number[]): Promise<Float32Array> {
    const { cache } = state;
    const outputs = await decoder.run(
      {
        input_ids: int64(tokens, [tokens.length, 1]),
        encoder_hidden_states: state.hidden,
        encoder_attention_mask: state.mask,
        use_cache_branch: new Tensor("bool", Uint8Array.of(cache === null ? 0 : 1), [1]),
        ...(cache ?? Object.fromEntries(pastNames.map((name) => [name, empty]))),
      },
      cache === null ? undefined : laterFetches,
    );
    const grown = cache === null ? pastNames : growing;
    state.cache = { ...cache, ...Object.fromEntries(grown.map((name) => [name, outputs[presentOf(name)]])) };
    return outputs.logits.data as Float32Array;
  }

  /** Rows of a tensor, in another order, or one of them several times. */
  function gather({ data, dims }: Tensor, rows: readonly number[]): Tensor {
    const size = data.length / dims[0];
    if (data instanceof BigInt64Array) {
      const gathered = new BigInt64Array(rows.length * size);
      rows.forEach((row, i) => {
        gathered.set(data.subarray(row * size, (row + 1) * size), i * size);
      });
      return new Tensor("int64", gathered, [rows.length, ...dims.slice(1)]);
    }
    const gathered = new Float32Array(rows.length * size);
    rows.forEach((row, i) => {
      gathered.set((data as Float32Array).subarray(row * size, (row + 1) * size), i * size);
    });
    return new Tensor("float32", gathered, [rows.length, ...dims.slice(1)]);
  }

  /** Rows go on from other rows. Only what grows differs between them, from the second step on. */
  function reorder(state: State, rows: readonly number[]): void {
    const spreads = state.mask.dims[0] !== rows.length;
    if (spreads) {
      state.hidden = gather(state.hidden, rows);
      state.mask = gather(state.mask, rows);
    } else if (rows.every((row, i) => row === i)) return;
    for (const name of spreads ? pastNames : growing) state.cache![name] = gather(state.cache![name], rows);
  }

  return {
    encode,
    async greedy(source, count, onToken) {
      const state = await encode(source);
      for (let i = 0, token = config.decoder_start_token_id; i < count; i++) {
        token = argmax(await step(state, [token]));
        onToken(token);
      }
    },
    async beam(source, count, beams) {
      const state = await encode(source);
      const start = performance.now();
      let rows = [{ ids: [] as number[], score: 0 }];
      for (let i = 0; i < count; i++) {
        const logits = await step(
          state,
          rows.map(({ ids }) => ids.at(-1) ?? config.decoder_start_token_id),
        );
        const vocabSize = logits.length / rows.length;
        const best = rows
          .flatMap(({ score }, row) => largest(logits, row * vocabSize, vocabSize, beams, score, row))
          .sort((a, b) => b.score - a.score)
          .slice(0, beams);
        rows = best.map(({ row, token, score }) => ({ ids: [...rows[row].ids, token], score }));
        if (i < count - 1)
          reorder(
            state,
            best.map(({ row }) => row),
          ); // nobody reads the last one
      }
      return { ids: rows[0].ids, decodeMs: performance.now() - start };
    },
  };
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** The likeliest tokens of a row, with the score of its text so far and their own log-probability. */
function largest(
  logits: Float32Array,
  from: number,
  vocabSize: number,
  count: number,
  score: number,
  row: number,
): { readonly row: number; readonly token: number; readonly score: number }[] {
  const top: number[] = []; // positions, the largest first
  for (let i = from; i < from + vocabSize; i++) {
    if (top.length === count && logits[i] <= logits[top[count - 1]]) continue;
    let at = top.length;
    while (at > 0 && logits[i] > logits[top[at - 1]]) at--;
    top.splice(at, 0, i);
    if (top.length > count) top.pop();
  }
  const most = logits[top[0]];
  let sum = 0;
  for (let i = from; i < from + vocabSize; i++) sum += Math.exp(logits[i] - most);
  const total = most + Math.log(sum);
  return top.map((i) => ({ row, token: i - from, score: score + logits[i] - total }));
}
