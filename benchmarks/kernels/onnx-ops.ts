/** The operations of onnxruntime that cases are compared with, each in the form that suits it best. */

import type { Graph, Value } from "../../tests/onnx/graph";
import { float32, int64, type Tensor } from "../../tests/onnx/model";
import { bytes, noise } from "./inputs";

/** Adds an operation to a graph, and gives its result. */
export type Operation = (g: Graph) => { readonly value: Value; readonly type: "float32" | "int32" };

/** Operations by name; or why there is none. */
export type Operations = Readonly<Record<string, Operation>> | string;

const float = (value: Value) => ({ value, type: "float32" }) as const;
const int32 = (data: readonly number[], ...dims: number[]): Tensor => ({
  type: "int32",
  dims,
  data: Int32Array.from(data),
});

/** x [N, I] times a constant [I, O], which lies as onnxruntime wants it, or is packed when the session is made. */
export function matMul(N: number, I: number, O: number): Operation {
  return (g) => {
    const x = g.constant(float32(noise(N * I), N, I));
    return float(g.op("MatMul", [x, g.constant(float32(noise(I * O), I, O))]));
  };
}

/** u8 x s8, without zero points, scales or quantising: the product alone. */
export function matMulInteger(N: number, I: number, O: number): Operation {
  return (g) => {
    const x = g.constant({ type: "uint8", dims: [N, I], data: bytes(N * I) });
    // Seven bits, that no pair of products saturates where the processor has no better instruction.
    const weight = g.constant({ type: "int8", dims: [I, O], data: new Int8Array(bytes(I * O, 128).buffer) });
    return { value: g.op("MatMulInteger", [x, weight]), type: "int32" };
  };
}

const BLOCK = 32;
/** MatMulNBits' "accuracy level" for activations of 8 bits. */
const INT8_ACTIVATIONS = 4n;

/** Weights of 4 or 8 bits in blocks of 32 with scales, and at 4 bits zero points; activations of 8 bits. */
export function matMulNBits(bits: 4 | 8, N: number, I: number, O: number): Operation {
  return (g) => {
    const blocks = Math.ceil(I / BLOCK);
    const blob = (BLOCK * bits) / 8;
    const inputs = [
      g.constant(float32(noise(N * I), N, I)),
      g.constant({ type: "uint8", dims: [O, blocks, blob], data: bytes(O * blocks * blob) }),
      g.constant(float32(noise(O * blocks), O, blocks)),
    ];
    if (bits === 4) {
      const zeroBytes = Math.ceil(blocks / 2);
      inputs.push(g.constant({ type: "uint8", dims: [O, zeroBytes], data: bytes(O * zeroBytes) }));
    }
    const sizes = { K: BigInt(I), N: BigInt(O), bits: BigInt(bits), block_size: BigInt(BLOCK) };
    return float(g.op("MatMulNBits", inputs, { ...sizes, accuracy_level: INT8_ACTIVATIONS }, "com.microsoft"));
  };
}

/** The shape of an attention: T queries, the last of S positions, of H heads over G, K wide. */
export interface AttentionShape {
  readonly T: number;
  readonly S: number;
  readonly H: number;
  readonly G: number;
  readonly K: number;
}

/**
 * Causal attention, as its three operations have it. Keys and values of a prefill lie as a linear layer gives them, those
 * of a decoding step as caches do, head by head, so that nothing is transposed.
 */
export function attentions({ T, S, H, G, K }: AttentionShape): Readonly<Record<string, Operation>> {
  const rows = (g: Graph, count: number, heads: number) =>
    g.constant(float32(noise(count * heads * K), 1, count, heads * K));
  const cache = (g: Graph, count: number) => g.constant(float32(noise(count * G * K), 1, G, count, K));
  const scale = 1 / Math.sqrt(K);
  const prefill = T === S;
  if (!prefill && T !== 1) throw new RangeError("several queries on a cache are in no benchmark");

  const attention: Operation = (g) => {
    if (prefill) {
      const heads = { q_num_heads: BigInt(H), kv_num_heads: BigInt(G) };
      const inputs = [rows(g, T, H), rows(g, S, G), rows(g, S, G)];
      return float(g.op("Attention", inputs, { ...heads, scale, is_causal: 1n }));
    }
    // One query sees every key, so there is nothing to mask.
    const q = g.constant(float32(noise(H * K), 1, H, 1, K));
    return float(g.op("Attention", [q, cache(g, S), cache(g, S)], { scale }));
  };
  const multiHead: Operation = (g) => {
    const inputs = prefill ? [rows(g, T, H), rows(g, S, H), rows(g, S, H)] : [rows(g, 1, H), cache(g, S), cache(g, S)];
    const attributes = { num_heads: BigInt(H), scale, unidirectional: prefill ? 1n : 0n };
    return float(g.op("MultiHeadAttention", inputs, attributes, "com.microsoft"));
  };
  const groupQuery: Operation = (g) => {
    const past = S - T;
    const inputs = [
      ...[rows(g, T, H), rows(g, T, G), rows(g, T, G), cache(g, past), cache(g, past)],
      ...[g.constant(int32([S - 1], 1)), g.constant(int32([S]))],
    ];
    const attributes = { num_heads: BigInt(H), kv_num_heads: BigInt(G), scale };
    return float(g.ops("GroupQueryAttention", inputs, 3, attributes, "com.microsoft")[0]);
  };
  return {
    Attention: attention,
    GroupQueryAttention: groupQuery,
    ...(H === G && { MultiHeadAttention: multiHead }),
  };
}

/** The name that onnxruntime itself gives RMSNorm. */
export function simplifiedLayerNorm(N: number, D: number): Operation {
  return (g) => {
    const inputs = [g.constant(float32(noise(N * D), N, D)), g.constant(float32(noise(D), D))];
    return float(g.op("SimplifiedLayerNormalization", inputs, { axis: -1n, epsilon: 1e-6, stash_type: 1n }));
  };
}

/** The first number of a result: what it costs to copy a whole one to JavaScript is not the operation's. */
export function firstNumber(g: Graph, value: Value): Value {
  const flat = g.op("Reshape", [value, g.constant(int64([-1], 1))]);
  return g.op("Slice", [flat, g.constant(int64([0], 1)), g.constant(int64([1], 1))]);
}
