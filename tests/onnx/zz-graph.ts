/**
 * BERT (Devlin et al. 2019) as an ONNX graph, from a checkpoint's own names: written apart from ours, so that onnxruntime
 * can say what the weights should give. Every intermediate value that ours can capture is an output of the same name.
 *
 * B texts of T tokens, the short ones padded; D hidden_size, H heads of width K, V words.
 */

import { Graph, type Value } from "./graph";
import { float32, int64 } from "./model";

/** 17 brought LayerNormalization. */
const OPSET = 17;

/** What is added to the score of a padded key: the least float32, as transformers does, so that its weight is 0. */
const MASKED = -3.4028234663852886e38;

/** Keys of config.json that the graph depends on. */
export interface BertJson {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly hidden_act: "gelu" | "gelu_new" | "relu";
  readonly layer_norm_eps: number;
}

/** Tensors by the names of transformers' BERT classes. */
export type BertWeights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/**
 * The bytes of an .onnx file. Inputs: `input_ids`, `token_type_ids`, `attention_mask`, int64 [B, T]. Outputs:
 * - `embeddings`, `layers.{i}.output`, `final`: [B, T, D]
 * - `layers.{i}.attention.probs`: [B, H, T, T]
 * - where the weights have the heads: `pooled` [B, D], `logits` [B, T, V], `nextSentenceLogits` [B, 2]
 *
 * @throws Error for a tensor that the graph needs and the weights lack, or that they have and it does not need
 */
export function bertGraph(config: BertJson, weights: BertWeights): Uint8Array {
  const { num_attention_heads: H, num_hidden_layers: L, hidden_act: act, layer_norm_eps: epsilon } = config;
  const K = config.hidden_size / H;
  const g = new Graph(OPSET);
  const unread = new Set(weights.keys());
  const root = weights.has("bert.embeddings.word_embeddings.weight") ? "bert." : "";

  const weight = (name: string): Value => {
    const tensor = weights.get(name);
    if (tensor === undefined) throw new Error(`the graph needs ${name}, which the weights do not have`);
    unread.delete(name);
    return g.constant(float32(tensor.data, ...tensor.shape), name);
  };
  const scalar = (value: number): Value => g.constant(float32(Float32Array.of(value)));
  const integers = (...values: number[]): Value => g.constant(int64(values, values.length));
  const add = (a: Value, b: Value): Value => g.op("Add", [a, b]);
  const multiply = (a: Value, b: Value): Value => g.op("Mul", [a, b]);
  const transpose = (x: Value, ...perm: number[]): Value => g.op("Transpose", [x], { perm: perm.map(BigInt) });
  /** x · Wᵀ + b: checkpoints have W as [outputs, inputs]. */
  const linear = (x: Value, name: string): Value =>
    add(g.op("MatMul", [x, transpose(weight(`${name}.weight`), 1, 0)]), weight(`${name}.bias`));
  const norm = (x: Value, name: string): Value =>
    g.op("LayerNormalization", [x, weight(`${name}.weight`), weight(`${name}.bias`)], { axis: -1n, epsilon });
  const activate = (x: Value): Value => ACTIVATIONS[act === "gelu_new" ? "gelu" : act](g, x, scalar);

  const ids = g.input("input_ids", { type: "int64", dims: ["B", "T"] });
  const types = g.input("token_type_ids", { type: "int64", dims: ["B", "T"] });
  const mask = g.input("attention_mask", { type: "int64", dims: ["B", "T"] });

  // [B, T] of 1 and 0 -> [B, 1, 1, T] of 0 and MASKED: the same for every head and query
  const padding = g.op("Sub", [scalar(1), g.op("Cast", [mask], { to: 1n })]);
  const maskBias = multiply(g.op("Unsqueeze", [padding, integers(1, 2)]), scalar(MASKED));

  const word = g.op("Gather", [weight(`${root}embeddings.word_embeddings.weight`), ids]);
  const type = g.op("Gather", [weight(`${root}embeddings.token_type_embeddings.weight`), types]);
  const T = g.op("Shape", [ids], { start: 1n, end: 2n });
  const table = weight(`${root}embeddings.position_embeddings.weight`);
  const position = g.op("Slice", [table, integers(0), T, integers(0)]);
  let x = norm(add(add(word, type), position), `${root}embeddings.LayerNorm`);
  g.output("embeddings", x);

  for (let i = 0; i < L; i++) {
    const layer = `${root}encoder.layer.${i}`;
    // [B, T, D] -> [B, H, T, K]; 0 keeps a dimension
    const heads = (name: string): Value =>
      transpose(g.op("Reshape", [linear(x, `${layer}.attention.self.${name}`), integers(0, 0, H, K)]), 0, 2, 1, 3);
    const scores = g.op("MatMul", [heads("query"), transpose(heads("key"), 0, 1, 3, 2)]);
    const scaled = g.op("Div", [scores, scalar(Math.sqrt(K))]);
    const probs = g.op("Softmax", [add(scaled, maskBias)], { axis: -1n });
    g.output(`layers.${i}.attention.probs`, probs);
    const perHead = transpose(g.op("MatMul", [probs, heads("value")]), 0, 2, 1, 3);
    const attended = g.op("Reshape", [perHead, integers(0, 0, H * K)]);
    x = norm(add(linear(attended, `${layer}.attention.output.dense`), x), `${layer}.attention.output.LayerNorm`);
    const intermediate = activate(linear(x, `${layer}.intermediate.dense`));
    x = norm(add(linear(intermediate, `${layer}.output.dense`), x), `${layer}.output.LayerNorm`);
    g.output(`layers.${i}.output`, x);
  }
  g.output("final", x);

  if (weights.has(`${root}pooler.dense.weight`)) {
    const first = g.op("Gather", [x, g.constant(int64([0]))], { axis: 1n });
    const pooled = g.op("Tanh", [linear(first, `${root}pooler.dense`)]);
    g.output("pooled", pooled);
    if (weights.has("cls.seq_relationship.weight"))
      g.output("nextSentenceLogits", linear(pooled, "cls.seq_relationship"));
  }
  if (weights.has("cls.predictions.bias")) {
    const transformed = activate(linear(x, "cls.predictions.transform.dense"));
    const normed = norm(transformed, "cls.predictions.transform.LayerNorm");
    const own = "cls.predictions.decoder.weight";
    const decoder = weight(weights.has(own) ? own : `${root}embeddings.word_embeddings.weight`);
    g.output("logits", add(g.op("MatMul", [normed, transpose(decoder, 1, 0)]), weight("cls.predictions.bias")));
  }
  if (unread.size > 0) throw new Error(`the graph does not use ${[...unread].join(", ")}`);
  return g.bytes();
}

/** By `hidden_act`, in ops that leave nothing to onnxruntime's choice of formula. */
const ACTIVATIONS: Readonly<
  Record<BertJson["hidden_act"], (g: Graph, x: Value, scalar: (value: number) => Value) => Value>
> = {
  relu: (g, x) => g.op("Relu", [x]),
  // x Φ(x) = x/2 (1 + erf(x/√2)) (Hendrycks and Gimpel 2016)
  gelu: (g, x, scalar) => {
    const erf = g.op("Erf", [g.op("Div", [x, scalar(Math.SQRT2)])]);
    return g.op("Mul", [g.op("Mul", [x, scalar(0.5)]), g.op("Add", [erf, scalar(1)])]);
  },
  // The same paper's approximation: x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))
  gelu_new: (g, x, scalar) => {
    const cube = g.op("Mul", [g.op("Mul", [g.op("Mul", [x, x]), x]), scalar(0.044715)]);
    const inner = g.op("Mul", [g.op("Add", [x, cube]), scalar(Math.sqrt(2 / Math.PI))]);
    const tanh = g.op("Tanh", [inner]);
    return g.op("Mul", [g.op("Mul", [x, scalar(0.5)]), g.op("Add", [tanh, scalar(1)])]);
  },
};
