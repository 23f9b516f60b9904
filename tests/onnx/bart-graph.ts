/**
 * BART (Lewis et al. 2020), mBART, Marian and Pegasus as an ONNX graph, from a checkpoint's own names: written apart from
 * ours, so that onnxruntime can say what the weights should give. Every intermediate value that ours can capture is an
 * output of the same name.
 *
 * B sources of S tokens and texts of T, the short ones padded; D d_model, H heads, V words.
 */

import { Graph, type Value } from "./graph";
import { float32, int64 } from "./model";

/** 17 brought LayerNormalization. */
const OPSET = 17;

/** What is added to the score of a hidden key: the least float32, as transformers does, so that its weight is 0. */
const MASKED = -3.4028234663852886e38;

/** nn.LayerNorm's. */
const EPSILON = 1e-5;

/** Keys of config.json that the graph depends on. */
export interface BartJson {
  readonly model_type: "bart" | "mbart" | "marian" | "pegasus";
  readonly vocab_size: number;
  /** Marian's, where the stacks do not share their words. */
  readonly decoder_vocab_size?: number;
  readonly d_model: number;
  readonly encoder_layers: number;
  readonly decoder_layers: number;
  readonly encoder_attention_heads: number;
  readonly decoder_attention_heads: number;
  readonly activation_function: "gelu" | "gelu_new" | "relu" | "swish" | "silu";
  readonly max_position_embeddings: number;
  readonly scale_embedding: boolean;
}

/** Tensors by the names of transformers' classes. */
export type BartWeights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** What sets the families apart. */
const FAMILIES = {
  bart: { normFirst: false, offset: 2, sinusoids: false },
  mbart: { normFirst: true, offset: 2, sinusoids: false },
  marian: { normFirst: false, offset: 0, sinusoids: true },
  pegasus: { normFirst: true, offset: 0, sinusoids: true },
} as const;

/**
 * The bytes of an .onnx file. Inputs, int64: `input_ids` and `attention_mask` [B, S], `decoder_input_ids` [B, T]. Outputs:
 * - `encoder.embeddings`, `encoder.layers.{i}.output`, `encoder.final`: [B, S, D]; `decoder.*`: [B, T, D]
 * - `encoder.layers.{i}.attention.probs`: [B, H, S, S]
 * - `decoder.layers.{i}.self_attention.probs`: [B, H, T, T]; `decoder.layers.{i}.cross_attention.probs`: [B, H, T, S]
 * - `logits`: [B, T, V]
 *
 * @throws Error for a tensor that the graph needs and the weights lack, or that they have and it does not need
 */
export function bartGraph(config: BartJson, weights: BartWeights): Uint8Array {
  const { d_model: D, activation_function: act } = config;
  const { normFirst, offset, sinusoids } = FAMILIES[config.model_type];
  const g = new Graph(OPSET);
  const unread = new Set(weights.keys());
  const root = weights.has("model.encoder.layers.0.fc1.weight") ? "model." : "";

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
  /** x · Wᵀ + b: checkpoints have W as [outputs, inputs]. */
  const linear = (x: Value, name: string): Value =>
    add(g.op("MatMul", [x, transpose(weight(`${name}.weight`), 1, 0)]), weight(`${name}.bias`));
  const norm = (x: Value, name: string): Value =>
    g.op("LayerNormalization", [x, weight(`${name}.weight`), weight(`${name}.bias`)], { axis: -1n, epsilon: EPSILON });
  /** Only where the weights have it. */
  const normIfThere = (x: Value, name: string): Value => (weights.has(`${name}.weight`) ? norm(x, name) : x);

  const ids = g.input("input_ids", { type: "int64", dims: ["B", "S"] });
  const mask = g.input("attention_mask", { type: "int64", dims: ["B", "S"] });
  const decoderIds = g.input("decoder_input_ids", { type: "int64", dims: ["B", "T"] });

  // [B, S] of 1 and 0 -> [B, 1, 1, S] of 0 and MASKED: the same for every head and query
  const padding = g.op("Sub", [scalar(1), g.op("Cast", [mask], { to: 1n })]);
  const hidden = multiply(g.op("Unsqueeze", [padding, integers(1, 2)]), scalar(MASKED));
  // [T, T]: MASKED right of the diagonal
  const lengthOf = (x: Value): Value => g.op("Shape", [x], { start: 1n, end: 2n });
  const side = lengthOf(decoderIds);
  const value = float32(Float32Array.of(MASKED), 1);
  const square = g.op("ConstantOfShape", [g.op("Concat", [side, side], { axis: 0n })], { value });
  const future = g.op("Trilu", [square, g.constant(int64([1]))], { upper: 1n });

  /** `bias` is added to the scores. */
  const attention = (name: string, H: number, tap: string, x: Value, memory: Value, bias: Value): Value => {
    const K = D / H;
    // [B, N, D] -> [B, H, N, K]; 0 keeps a dimension
    const heads = (from: Value, which: string): Value =>
      transpose(g.op("Reshape", [linear(from, `${name}.${which}_proj`), integers(0, 0, H, K)]), 0, 2, 1, 3);
    const scores = g.op("MatMul", [heads(x, "q"), transpose(heads(memory, "k"), 0, 1, 3, 2)]);
    const probs = g.op("Softmax", [add(g.op("Div", [scores, scalar(Math.sqrt(K))]), bias)], { axis: -1n });
    g.output(tap, probs);
    const perHead = transpose(g.op("MatMul", [probs, heads(memory, "v")]), 0, 2, 1, 3);
    return linear(g.op("Reshape", [perHead, integers(0, 0, D)]), `${name}.out_proj`);
  };
  /** x + part(x), with the norm before the part or after the sum. */
  const residual = (x: Value, normName: string, part: (x: Value) => Value): Value =>
    normFirst ? add(x, part(norm(x, normName))) : norm(add(x, part(x)), normName);
  const feedForward = (x: Value, layer: string): Value =>
    residual(x, `${layer}.final_layer_norm`, (inner) =>
      linear(ACTIVATIONS[act](g, linear(inner, `${layer}.fc1`), scalar), `${layer}.fc2`),
    );

  const wordsOf = (stack: "encoder" | "decoder"): string => {
    const own = `${root}${stack}.embed_tokens.weight`;
    return weights.has(own) ? own : `${root}shared.weight`;
  };
  const positionsOf = (stack: "encoder" | "decoder"): Value => {
    const name = `${root}${stack}.embed_positions.weight`;
    if (weights.has(name) || !sinusoids) return weight(name);
    const rows = config.max_position_embeddings;
    return g.constant(float32(sinusoidTable(rows, D), rows, D));
  };
  const embed = (stack: "encoder" | "decoder", ids: Value): Value => {
    const words = g.op("Gather", [weight(wordsOf(stack)), ids]);
    const scaled = config.scale_embedding ? multiply(words, scalar(Math.sqrt(D))) : words;
    const end = g.op("Add", [lengthOf(ids), integers(offset)]);
    const positions = g.op("Slice", [positionsOf(stack), integers(offset), end, integers(0)]);
    const x = normIfThere(add(scaled, positions), `${root}${stack}.layernorm_embedding`);
    g.output(`${stack}.embeddings`, x);
    return x;
  };

  let x = embed("encoder", ids);
  for (let i = 0; i < config.encoder_layers; i++) {
    const layer = `${root}encoder.layers.${i}`;
    const tap = `encoder.layers.${i}.attention.probs`;
    x = residual(x, `${layer}.self_attn_layer_norm`, (inner) =>
      attention(`${layer}.self_attn`, config.encoder_attention_heads, tap, inner, inner, hidden),
    );
    x = feedForward(x, layer);
    g.output(`encoder.layers.${i}.output`, x);
  }
  const memory = normIfThere(x, `${root}encoder.layer_norm`);
  g.output("encoder.final", memory);

  x = embed("decoder", decoderIds);
  const H = config.decoder_attention_heads;
  for (let i = 0; i < config.decoder_layers; i++) {
    const layer = `${root}decoder.layers.${i}`;
    const taps = `decoder.layers.${i}`;
    x = residual(x, `${layer}.self_attn_layer_norm`, (inner) =>
      attention(`${layer}.self_attn`, H, `${taps}.self_attention.probs`, inner, inner, future),
    );
    x = residual(x, `${layer}.encoder_attn_layer_norm`, (inner) =>
      attention(`${layer}.encoder_attn`, H, `${taps}.cross_attention.probs`, inner, memory, hidden),
    );
    x = feedForward(x, layer);
    g.output(`${taps}.output`, x);
  }
  x = normIfThere(x, `${root}decoder.layer_norm`);
  g.output("decoder.final", x);

  const head = weight(weights.has("lm_head.weight") ? "lm_head.weight" : wordsOf("decoder"));
  const logits = g.op("MatMul", [x, transpose(head, 1, 0)]);
  g.output("logits", weights.has("final_logits_bias") ? add(logits, weight("final_logits_bias")) : logits);
  // Where both stacks have words of their own, nobody reads those that they could share.
  unread.delete(`${root}shared.weight`);
  if (unread.size > 0) throw new Error(`the graph does not use ${[...unread].join(", ")}`);
  return g.bytes();
}

/** [rows, D] of Marian: at each position the sines of all frequencies, then their cosines. */
function sinusoidTable(rows: number, D: number): Float32Array {
  const sines = Math.ceil(D / 2);
  return Float32Array.from({ length: rows * D }, (_, at) => {
    const [position, column] = [Math.floor(at / D), at % D];
    const angle = (i: number) => position / 10000 ** ((2 * i) / D);
    return column < sines ? Math.sin(angle(column)) : Math.cos(angle(column - sines));
  });
}

const silu = (g: Graph, x: Value): Value => g.op("Mul", [x, g.op("Sigmoid", [x])]);

/** By `activation_function`, in ops that leave nothing to onnxruntime's choice of formula. */
const ACTIVATIONS: Readonly<
  Record<BartJson["activation_function"], (g: Graph, x: Value, scalar: (value: number) => Value) => Value>
> = {
  relu: (g, x) => g.op("Relu", [x]),
  swish: silu,
  silu,
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
