/** Whether two programs give the same bits: every kernel, on numbers that leave no lane and no tail untouched. */

import type { Dtype } from "../dtypes/dtype";
import { blockSizes, rowBytes } from "../dtypes/dtype";
import { ACTIVATIONS } from "../kernels/activation";
import type { Kernels } from "../kernels/kernels";
import { CAUSAL } from "../kernels/mask";
import type { Address } from "../memory/arena";

/** Rows and widths that meet full tiles, partial ones and single elements; inputs in several blocks, the last one short. */
const ROWS = [1, 2, 7];
const inputsOf = (dtype: Dtype) => (dtype === "Q6_K" ? 768 : 300);
const OUTPUTS = 37;
const WIDTH = 67;

/** The bits that kernels made, by kernel. */
export type KernelResults = ReadonlyMap<string, Int32Array>;

/** The first kernel of which the two have other bits, or null. */
export function firstDifference(trusted: KernelResults, checked: KernelResults): string | null {
  for (const [name, words] of trusted) {
    const others = checked.get(name);
    if (others === undefined || words.some((word, i) => word !== others[i])) return name;
  }
  return null;
}

/** What every kernel makes of the same numbers, with weights of these dtypes. */
export function kernelResults(k: Kernels, dtypes: Iterable<Dtype> = Object.keys(blockSizes) as Dtype[]): KernelResults {
  const { arena } = k;
  const found = new Map<string, Int32Array>();
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const floats = (count: number): Address => {
    const address = arena.allocate(4 * count, "check");
    const values = arena.f32(address, count);
    for (let i = 0; i < count; i++) values[i] = 8 * next() * Math.abs(next());
    return address;
  };
  const note = (name: string, count: number, run: (out: Address) => void) => {
    const out = arena.allocate(4 * count, "check");
    run(out);
    found.set(name, arena.i32(out, count).slice());
  };
  for (const dtype of dtypes) {
    const inputs = inputsOf(dtype);
    const matrix = k.createMatrix(dtype, OUTPUTS, inputs);
    k.writeRows(matrix, 0, weightRows(dtype, inputs, next));
    const bias = floats(OUTPUTS);
    for (const rows of ROWS) {
      const x = floats(rows * inputs);
      const to = rows === 2 ? bias : null;
      note(`matmul ${dtype} of ${rows}`, rows * OUTPUTS, (out) => k.matmul(out, x, matrix, to, rows));
    }
    note(`embedding ${dtype}`, 3 * inputs, (out) => k.embedding(out, matrix, [OUTPUTS - 1, 0, 16]));
  }
  const [x, y, weight] = [floats(5 * WIDTH), floats(5 * WIDTH), floats(WIDTH)];
  const count = 5 * WIDTH;
  note("add", count, (out) => k.add(out, x, y, count));
  note("rmsNorm", count, (out) => k.rmsNorm(out, x, weight, 5, WIDTH, 1e-5));
  note("layerNorm", count, (out) => k.layerNorm(out, x, weight, weight, 5, WIDTH, 1e-5));
  note("softmax", count, (out) => k.softmax(out, x, 5, WIDTH));
  note("softCap", count, (out) => k.softCap(out, x, count, 3));
  for (const activation of ACTIVATIONS) {
    note(`activate ${activation}`, count, (out) => k.activate(out, x, count, activation));
    note(`gate ${activation}`, count, (out) => k.gate(out, x, y, count, activation));
  }
  for (const layout of ["half-split", "interleaved"] as const) {
    const [heads, angles] = [floats(3 * 4 * 24), floats(3 * 12)];
    k.rope(heads, angles, angles, 3, 4, 24, 20, layout);
    found.set(`rope ${layout}`, arena.i32(heads, 3 * 4 * 24).slice());
  }
  const [keyCount, heads, kvHeads, headDim] = [21, 4, 2, 20];
  const keyRows = arena.allocate(4 * keyCount, "check");
  arena.i32(keyRows, keyCount).forEach((_, s, rows) => {
    rows[s] = (8 * s) % keyCount;
  });
  for (const queries of [1, 9]) {
    const call = { queries, keyCount, heads, kvHeads, headDim, position: keyCount - queries, mask: CAUSAL };
    const bias = { kind: "full", address: floats(heads * queries * keyCount) } as const;
    const [q, keys, values] = [queries * heads, keyCount * kvHeads, keyCount * kvHeads].map((n) => floats(n * headDim));
    const whole = { ...call, q, keys, values, scale: 0.2, softCap: 5, bias, probs: null };
    const size = queries * heads * headDim;
    note(`attention of ${queries}`, size, (out) => k.attention(out, { ...whole, keyRows: null }));
    note(`attention of ${queries}, keys by row`, size, (out) => k.attention(out, { ...whole, keyRows }));
  }
  return found;
}

/** Rows of a dtype: any bytes, with exponents that keep the numbers small. */
function weightRows(dtype: Dtype, inputs: number, next: () => number): Uint8Array {
  const bytes = Uint8Array.from({ length: OUTPUTS * rowBytes(dtype, inputs) }, () => 256 * (next() + 0.5));
  const { bytes: step } = blockSizes[dtype];
  const scales = { F32: [2], F16: [0], BF16: [0], Q8_0: [0], Q4_0: [0], Q4_1: [0, 2], Q6_K: [208] }[dtype];
  // The high byte of each number or scale: 0.25 to 0.5 or so in all three float formats, of either sign.
  const high = dtype === "F32" || dtype === "BF16" ? 0x3e : 0x35;
  for (let at = 0; at < bytes.length; at += step) {
    for (const place of scales) bytes[at + place + 1] = high | (bytes[at + place + 1] & 0x80);
  }
  return bytes;
}
