/**
 * T5 (Raffel et al. 2020), v1.1 and mT5, UMT5 as an ONNX graph, from a checkpoint's own names: written apart from ours, so
 * that onnxruntime can say what the weights should give. Every intermediate value that ours can capture is an output of the
 * same name.
 *
 * B sources of S tokens and texts of T, the short ones padded; D d_model, H heads of width K, V words.
 */

import { Graph, type Value } from "./graph";
import { float32, int64 } from "./model";

/** The last with the axes of ReduceMean as an attribute. */
const OPSET = 17;

/** What is added to the score of a hidden key: the least float32, as transformers does, so that its weight is 0. */
const MASKED = -3.4028234663852886e38;

/** Keys of config.json that the graph depends on. */
export interface T5Json {
  readonly model_type: "t5" | "mt5" | "umt5";
  readonly vocab_size: number;
  readonly d_model: number;
  readonly d_kv: number;
  readonly num_heads: number;
  readonly num_layers: number;
  /** As many as the encoder's if left out. */
  readonly num_decoder_layers?: number;
  /** The first T5s leave it out: "relu". */
  readonly feed_forward_proj?: "relu" | "silu" | "gated-relu" | "gated-gelu" | "gated-silu";
  readonly layer_norm_epsilon: number;
  readonly relative_attention_num_buckets: number;
  readonly relative_attention_max_distance: number;
  readonly tie_word_embeddings?: boolean;
  /** Where it is left out, tied embeddings are scaled. */
  readonly scale_decoder_outputs?: boolean;
}

/** Tensors by the names of transformers' T5 classes. */
export type T5Weights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/**
 * The bytes of an .onnx file. Inputs, int64: `input_ids` and `attention_mask` [B, S], `decoder_input_ids` [B, T],
 * `encoder_buckets` [S, S], `decoder_buckets` [T, T]. Outputs:
 * - `encoder.embeddings`, `encoder.layers.{i}.output`, `encoder.final`: [B, S, D]; `decoder.*`: [B, T, D]
 * - `encoder.layers.{i}.attention.probs`: [B, H, S, S]
 * - `decoder.layers.{i}.self_attention.probs`: [B, H, T, T]; `decoder.layers.{i}.cross_attention.probs`: [B, H, T, S]
 * - `logits`: [B, T, V]
 *
 * @throws Error for a tensor that the graph needs and the weights lack, or that they have and it does not need
 */
export function t5Graph(config: T5Json, weights: T5Weights): Uint8Array {
  const { num_heads: H, d_kv: K, feed_forward_proj: mlp = "relu" } = config;
  const g = new Graph(OPSET);
  const unread = new Set(weights.keys());

  const weight = (name: string): Value => {
    const tensor = weights.get(name);
    if (tensor === undefined) throw new Error(`the graph needs ${name}, which the weights do not have`);
    const first = unread.delete(name);
    // A tied matrix is one constant, however often it is read.
    return first ? g.constant(float32(tensor.data, ...tensor.shape), name) : name;
  };
  const scalar = (value: number): Value => g.constant(float32(Float32Array.of(value)));
  const integers = (...values: number[]): Value => g.constant(int64(values, values.length));
  const add = (a: Value, b: Value): Value => g.op("Add", [a, b]);
  const multiply = (a: Value, b: Value): Value => g.op("Mul", [a, b]);
  const transpose = (x: Value, ...perm: number[]): Value => g.op("Transpose", [x], { perm: perm.map(BigInt) });
  /** x · Wᵀ: checkpoints have W as [outputs, inputs]. */
  const linear = (x: Value, name: string): Value => g.op("MatMul", [x, transpose(weight(name), 1, 0)]);
  /** w x / √(mean(x²) + eps) */
  const norm = (x: Value, name: string): Value => {
    const mean = g.op("ReduceMean", [multiply(x, x)], { axes: [-1n], keepdims: 1n });
    const root = g.op("Sqrt", [add(mean, scalar(config.layer_norm_epsilon))]);
    return multiply(weight(name), g.op("Div", [x, root]));
  };

  const ids = g.input("input_ids", { type: "int64", dims: ["B", "S"] });
  const mask = g.input("attention_mask", { type: "int64", dims: ["B", "S"] });
  const decoderIds = g.input("decoder_input_ids", { type: "int64", dims: ["B", "T"] });
  const buckets = {
    encoder: g.input("encoder_buckets", { type: "int64", dims: ["S", "S"] }),
    decoder: g.input("decoder_buckets", { type: "int64", dims: ["T", "T"] }),
  };

  // [B, S] of 1 and 0 -> [B, 1, 1, S] of 0 and MASKED: the same for every head and query
  const padding = g.op("Sub", [scalar(1), g.op("Cast", [mask], { to: 1n })]);
  const padded = multiply(g.op("Unsqueeze", [padding, integers(1, 2)]), scalar(MASKED));
  // [T, T]: MASKED right of the diagonal
  const T = g.op("Shape", [decoderIds], { start: 1n, end: 2n });
  const square = g.op("ConstantOfShape", [g.op("Concat", [T, T], { axis: 0n })], {
    value: float32(Float32Array.of(MASKED), 1),
  });
  const future = g.op("Trilu", [square, g.constant(int64([1]))], { upper: 1n });

  /** [H, queries, keys]: a row of the table for each distance. */
  const bias = (stack: "encoder" | "decoder", layer: number): Value => {
    const own = config.model_type === "umt5" ? layer : 0;
    const table = weight(`${stack}.block.${own}.layer.0.SelfAttention.relative_attention_bias.weight`);
    return transpose(g.op("Gather", [table, buckets[stack]]), 2, 0, 1);
  };
  /** [B, N, D] -> [B, H, N, K]; 0 keeps a dimension */
  const heads = (x: Value): Value => transpose(g.op("Reshape", [x, integers(0, 0, H, K)]), 0, 2, 1, 3);
  /** Scores are not divided by √K. `bias` is what is added to them. */
  const attention = (name: string, tap: string, x: Value, memory: Value, bias: readonly Value[]): Value => {
    const queries = heads(linear(x, `${name}.q.weight`));
    const keys = transpose(heads(linear(memory, `${name}.k.weight`)), 0, 1, 3, 2);
    const scores = g.op("MatMul", [queries, keys]);
    const probs = g.op("Softmax", [bias.reduce(add, scores)], { axis: -1n });
    g.output(tap, probs);
    const perHead = transpose(g.op("MatMul", [probs, heads(linear(memory, `${name}.v.weight`))]), 0, 2, 1, 3);
    return linear(g.op("Reshape", [perHead, integers(0, 0, H * K)]), `${name}.o.weight`);
  };
  const feedForward = (name: string, x: Value): Value => {
    const gated = mlp.startsWith("gated-");
    const inner = linear(x, `${name}.${gated ? "wi_0" : "wi"}.weight`);
    const active = ACTIVATIONS[gated ? mlp.slice("gated-".length) : mlp](g, inner, scalar);
    const hidden = gated ? multiply(active, linear(x, `${name}.wi_1.weight`)) : active;
    return linear(hidden, `${name}.wo.weight`);
  };
  // A stack's own words, or those of both, under whichever name they were saved.
  const wordsOf = (stack: "encoder" | "decoder"): string => {
    const names = [`${stack}.embed_tokens.weight`, "shared.weight", "decoder.embed_tokens.weight"];
    return names.find((name) => weights.has(name)) ?? names[1];
  };

  let x = g.op("Gather", [weight(wordsOf("encoder")), ids]);
  g.output("encoder.embeddings", x);
  for (let i = 0; i < config.num_layers; i++) {
    const block = `encoder.block.${i}.layer`;
    const normed = norm(x, `${block}.0.layer_norm.weight`);
    const tap = `encoder.layers.${i}.attention.probs`;
    x = add(x, attention(`${block}.0.SelfAttention`, tap, normed, normed, [bias("encoder", i), padded]));
    x = add(x, feedForward(`${block}.1.DenseReluDense`, norm(x, `${block}.1.layer_norm.weight`)));
    g.output(`encoder.layers.${i}.output`, x);
  }
  const memory = norm(x, "encoder.final_layer_norm.weight");
  g.output("encoder.final", memory);

  x = g.op("Gather", [weight(wordsOf("decoder")), decoderIds]);
  g.output("decoder.embeddings", x);
  for (let i = 0; i < (config.num_decoder_layers ?? config.num_layers); i++) {
    const block = `decoder.block.${i}.layer`;
    const taps = `decoder.layers.${i}`;
    const normed = norm(x, `${block}.0.layer_norm.weight`);
    const self = [bias("decoder", i), future];
    x = add(x, attention(`${block}.0.SelfAttention`, `${taps}.self_attention.probs`, normed, normed, self));
    const query = norm(x, `${block}.1.layer_norm.weight`);
    x = add(x, attention(`${block}.1.EncDecAttention`, `${taps}.cross_attention.probs`, query, memory, [padded]));
    x = add(x, feedForward(`${block}.2.DenseReluDense`, norm(x, `${block}.2.layer_norm.weight`)));
    g.output(`${taps}.output`, x);
  }
  x = norm(x, "decoder.final_layer_norm.weight");
  g.output("decoder.final", x);

  const scaled = config.scale_decoder_outputs ?? config.tie_word_embeddings ?? true;
  const states = scaled ? multiply(x, scalar(config.d_model ** -0.5)) : x;
  g.output("logits", linear(states, weights.has("lm_head.weight") ? "lm_head.weight" : wordsOf("decoder")));
  // What nobody reads: words where both stacks have their own, and distances of cross-attention in the first T5s.
  for (const name of unread) {
    if (name === "shared.weight" || name.endsWith("EncDecAttention.relative_attention_bias.weight"))
      unread.delete(name);
  }
  if (unread.size > 0) throw new Error(`the graph does not use ${[...unread].join(", ")}`);
  return g.bytes();
}

/** In ops that leave nothing to onnxruntime's choice of formula. */
const ACTIVATIONS: Readonly<Record<string, (g: Graph, x: Value, scalar: (value: number) => Value) => Value>> = {
  relu: (g, x) => g.op("Relu", [x]),
  // x sigmoid(x)
  silu: (g, x) => g.op("Mul", [x, g.op("Sigmoid", [x])]),
  // T5 v1.1 says gelu and was trained with its approximation: x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))
  gelu: (g, x, scalar) => {
    const cube = g.op("Mul", [g.op("Mul", [g.op("Mul", [x, x]), x]), scalar(0.044715)]);
    const inner = g.op("Mul", [g.op("Add", [x, cube]), scalar(Math.sqrt(2 / Math.PI))]);
    const tanh = g.op("Tanh", [inner]);
    return g.op("Mul", [g.op("Mul", [x, scalar(0.5)]), g.op("Add", [tanh, scalar(1)])]);
  },
};

/**
 * Which row of the table of biases each query takes for each key, [queries, keys] row-major: section 2.1 of the paper, as
 * Mesh TensorFlow has it. Half of the buckets are a distance each; the others widen with its logarithm up to the last, which
 * takes all from `maxDistance` on. In the encoder, keys after the query have the second half of the buckets; in the decoder,
 * where nobody sees them, they count as distance 0. Counted in integers, where no logarithm is rounded.
 */
export function bucketTable(config: T5Json, stack: "encoder" | "decoder", length: number): number[] {
  const all = config.relative_attention_num_buckets;
  const oneWay = stack === "encoder" ? Math.floor(all / 2) : all;
  const exact = Math.floor(oneWay / 2);
  const wide = oneWay - exact;
  const power = (base: number, exponent: number) => BigInt(base) ** BigInt(exponent);
  const bucketOf = (distance: number): number => {
    if (distance < exact) return distance;
    // The last step of which the distance is past the beginning: (distance / exact)^wide >= (maxDistance / exact)^step
    let step = 0;
    const reaches = (next: number) =>
      power(distance, wide) * power(exact, next) >=
      power(config.relative_attention_max_distance, next) * power(exact, wide);
    while (step + 1 < wide && reaches(step + 1)) step++;
    return exact + step;
  };
  const before = Array.from({ length }, (_, distance) => bucketOf(distance));
  return Array.from({ length: length * length }, (_, i) => {
    const distance = Math.floor(i / length) - (i % length); // how far the key lies before the query
    if (distance >= 0) return before[distance];
    return stack === "encoder" ? oneWay + before[-distance] : before[0];
  });
}
