/** What smaller weights cost: the encoder's states, and greedy titles, beside those of float32. */

import { pathToFileURL } from "node:url";
import { importQkv, type Qkv } from "./contenders";
import type { Onnxruntime } from "./onnxruntime";
import {
  type Accuracy,
  type AccuracyJob,
  type AccuracyMeasured,
  type Coarse,
  NEW_TOKENS,
  type TitledText,
} from "./protocol";

/** Which changes no number. */
const THREADS = 2;

type LoadOptions = Parameters<Required<Qkv>["loadSeq2Seq"]>[1];

const ROWS: readonly (Pick<LoadOptions, "dtype" | "activations"> & { readonly name: string })[] = [
  { name: "f16, as stored", dtype: "auto" },
  { name: "q8, activations int8", dtype: "q8" },
  { name: "q8, activations f32", dtype: "q8", activations: "f32" },
];

/** Each text's states `[T, D]` and title. */
interface Made {
  readonly states: Float32Array;
  readonly width: number;
  readonly title: string;
}

export async function accuracy({ modulePath, folder, texts, coarse }: AccuracyJob): Promise<AccuracyMeasured> {
  const { loadSeq2Seq } = await importQkv(modulePath);
  const made = async (options: Omit<LoadOptions, "threads">): Promise<Made[]> => {
    const model = await loadSeq2Seq(folder, { ...options, threads: THREADS });
    const all: Made[] = [];
    for (const { ids } of texts) {
      const encoded = await model.encode(ids);
      const { data, shape } = encoded.hidden;
      const states = { states: data.slice(), width: shape[shape.length - 1] };
      encoded.dispose();
      all.push({ ...states, title: (await model.generate(ids, { maxNewTokens: NEW_TOKENS }).result()).text });
    }
    model.dispose();
    return all;
  };
  const reference = await made({ dtype: "f32" });
  const rows: Accuracy[] = [];
  for (const { name, ...options } of ROWS) {
    const others = await made(options);
    const cosines = others.flatMap(({ states, width }, i) => cosinesOf(states, reference[i].states, width));
    const pairs = others.map(({ title }, i) => ({ got: title, want: reference[i].title }));
    rows.push({
      name,
      ...summaryOf(cosines),
      sameTitles: pairs.filter(({ got, want }) => got === want).length,
      others: pairs.filter(({ got, want }) => got !== want),
    });
  }
  if (coarse !== null) {
    const cosines = (await coarseStates(coarse, texts)).flatMap((states, i) =>
      cosinesOf(states, reference[i].states, reference[i].width),
    );
    rows.push({
      name: "onnxruntime, int8 with one scale a tensor",
      ...summaryOf(cosines),
      sameTitles: null,
      others: [],
    });
  }
  return {
    texts: texts.length,
    tokens: reference.reduce((sum, { states, width }) => sum + states.length / width, 0),
    asPyTorch: reference.filter(({ title }, i) => title === texts[i].title).length,
    rows,
  };
}

/** States `[T, D]` of each text, by an encoder's graph. */
async function coarseStates(
  { modulePath, encoderPath }: Coarse,
  texts: readonly TitledText[],
): Promise<Float32Array[]> {
  const module = (await import(pathToFileURL(modulePath).href)) as { default?: Onnxruntime };
  const { InferenceSession, Tensor } = module.default ?? (module as unknown as Onnxruntime);
  const session = await InferenceSession.create(encoderPath, { logSeverityLevel: 3 });
  const all: Float32Array[] = [];
  for (const { ids } of texts) {
    const row = (values: readonly number[]) => new Tensor("int64", BigInt64Array.from(values, BigInt), [1, ids.length]);
    const feeds = { input_ids: row(ids), attention_mask: row(ids.map(() => 1)) };
    all.push((await session.run(feeds)).last_hidden_state.data as Float32Array);
  }
  return all;
}

function summaryOf(cosines: readonly number[]): Pick<Accuracy, "leastCosine" | "meanCosine"> {
  const sum = cosines.reduce((total, cosine) => total + cosine, 0);
  return { leastCosine: Math.min(...cosines), meanCosine: sum / cosines.length };
}

/** Of each row, of `width` values. */
function cosinesOf(a: Float32Array, b: Float32Array, width: number): number[] {
  if (a.length !== b.length) throw new Error(`states of ${a.length} and ${b.length} values`);
  return Array.from({ length: a.length / width }, (_, row) => {
    let [dot, aa, bb] = [0, 0, 0];
    for (let i = row * width; i < (row + 1) * width; i++) {
      dot += a[i] * b[i];
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    const cosine = dot / Math.sqrt(aa * bb);
    return Number.isNaN(cosine) ? -1 : cosine;
  });
}
