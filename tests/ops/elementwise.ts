/** Cases of the activations, gates and the soft cap. */

import { type Activation, activate, geglu, softCap, swiglu } from "@qkv/core";
import type { Graph, Value } from "../onnx/graph";
import { float32 } from "../onnx/model";
import { type Bound, type OpCase, place, relative, results, shapeName } from "./case";
import { gaussian } from "./erf";
import { numbers, Random, seedOf, type Values } from "./random";

const SPECIAL = [
  ...[0, -0, 1e-45, -1e-45, 1.2e-38, -1e-20, 1e-7, -1e-7, 1e-3, 0.5, -0.5, 1, -1, 3, -3, 5.9, -5.9, 10, -10],
  ...[-13, -20, 20, -50, 88, -88, -104, 1e10, 3.4e38, -1e10, -3.4e38],
  ...[Number.POSITIVE_INFINITY, Number.NaN, Number.NEGATIVE_INFINITY],
];
const NEGATIVE_INFINITY_AT = SPECIAL.length - 1;

/** The functions by their definitions, each with its limit at -Infinity. */
const DEFINITIONS: Readonly<Record<Activation, (x: number) => number>> = {
  relu: (x) => (x > 0 || Number.isNaN(x) ? x : 0),
  gelu: (x) => limited(x, x * gaussian(x)),
  "gelu-tanh": (x) => {
    const z = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
    // For z < 0, 1 + tanh z = 2 e^2z / (1 + e^2z), which does not cancel.
    return limited(x, z < 0 ? (x * Math.exp(2 * z)) / (1 + Math.exp(2 * z)) : 0.5 * x * (1 + Math.tanh(z)));
  },
  "quick-gelu": (x) => limited(x, x / (1 + Math.exp(-1.702 * x))),
  silu: (x) => limited(x, x / (1 + Math.exp(-x))),
};

function limited(x: number, value: number): number {
  return x === Number.NEGATIVE_INFINITY ? 0 : value;
}

function onnxActivation(g: Graph, x: Value, activation: Activation): Value {
  switch (activation) {
    case "relu":
      return g.op("Relu", [x]);
    case "gelu":
      return g.op("Gelu", [x], { approximate: "none" });
    case "gelu-tanh":
      return g.op("Gelu", [x], { approximate: "tanh" });
    case "quick-gelu":
      return g.op("QuickGelu", [x], { alpha: 1.702 }, "com.microsoft");
    case "silu":
      return g.op("Swish", [x], { alpha: 1 });
  }
}

// onnxruntime multiplies x by a factor that it knows to some ε absolutely: its sigmoid, for one, is 0 from -18 on.
const BOUNDS: Readonly<Record<Activation, Bound>> = {
  relu: { roundings: 0, size: "the same bits" },
  // Half of the smallest denormal number is one of its own size away from itself.
  gelu: { roundings: 4, size: "|x|", floor: 2 ** -149 },
  "gelu-tanh": { roundings: 4, size: "|x|" },
  "quick-gelu": { roundings: 4, size: "|x|" },
  silu: { roundings: 4, size: "|x|" },
};

export function activateCase(activation: Activation, shape: { N: number }, values: Values | "special"): OpCase {
  const N = values === "special" ? SPECIAL.length : shape.N;
  const name = `${activation}, ${shapeName({ N })}, ${values}`;
  return {
    op: "activate",
    name,
    shape: { N },
    inputs: () => ({
      x: values === "special" ? Float32Array.from(SPECIAL) : numbers(new Random(seedOf(name)), N, values),
    }),
    prepare(kernels, inputs) {
      const x = place(kernels.arena, inputs.x);
      const { at, read } = results(kernels.arena, { out: N });
      return {
        run: () => kernels.activate(at.out, x, N, activation),
        results: read,
      };
    },
    functional: ({ x }) => ({ out: activate(x, activation) }),
    onnx: (g, { x }) => ({
      out: onnxActivation(g, g.constant(float32(x, N)), activation),
    }),
    exact: ({ x }) => ({
      out: {
        values: Array.from(x, DEFINITIONS[activation]),
        sizes: Array.from(x, Math.abs),
      },
    }),
    bound: BOUNDS[activation],
    ...(values === "special" &&
      activation !== "relu" && {
        diverges: {
          out: {
            why: "it computes -Infinity * 0",
            at: [NEGATIVE_INFINITY_AT],
            onnx: Number.NaN,
          },
        },
      }),
  };
}

const ALL: readonly Activation[] = ["relu", "gelu", "gelu-tanh", "quick-gelu", "silu"];

export const ACTIVATE_CASES: readonly OpCase[] = ALL.flatMap((activation) => [
  activateCase(activation, { N: 0 }, "normal"),
  activateCase(activation, { N: 1 }, "normal"),
  activateCase(activation, { N: 33 }, "negative"),
  activateCase(activation, { N: 33 }, "denormal"),
  activateCase(activation, { N: 33 }, "huge"),
  activateCase(activation, { N: 4097 }, "normal"),
  activateCase(activation, { N: 0 }, "special"),
]);

/** f(gate) * up. */
export function gateCase(activation: Activation, shape: { N: number }, values: Values = "normal"): OpCase {
  const { N } = shape;
  const name = `${activation}, ${shapeName(shape)}, ${values}`;
  return {
    op: "gate",
    name,
    shape,
    inputs() {
      const random = new Random(seedOf(name));
      return {
        gate: numbers(random, N, values),
        up: numbers(random, N, "normal"),
      };
    },
    prepare(kernels, inputs) {
      const [gate, up] = [place(kernels.arena, inputs.gate), place(kernels.arena, inputs.up)];
      const { at, read } = results(kernels.arena, { out: N });
      return {
        run: () => kernels.gate(at.out, gate, up, N, activation),
        results: read,
      };
    },
    ...(activation === "silu" && {
      functional: ({ gate, up }) => ({ out: swiglu(gate, up) }),
    }),
    ...(activation === "gelu" && {
      functional: ({ gate, up }) => ({ out: geglu(gate, up) }),
    }),
    ...(activation === "gelu-tanh" && {
      functional: ({ gate, up }) => ({
        out: geglu(gate, up, { approximate: "tanh" }),
      }),
    }),
    onnx(g, { gate, up }) {
      const activated = onnxActivation(g, g.constant(float32(gate, N)), activation);
      return { out: g.op("Mul", [activated, g.constant(float32(up, N))]) };
    },
    exact: ({ gate, up }) => ({
      out: {
        values: Array.from(gate, (x, i) => DEFINITIONS[activation](x) * up[i]),
        sizes: Array.from(gate, (x, i) => Math.abs(x * up[i])),
      },
    }),
    bound: { roundings: 5, size: "|gate up|", floor: 2 ** -146 },
  };
}

export const GATE_CASES: readonly OpCase[] = [
  ...ALL.map((activation) => gateCase(activation, { N: 129 })),
  gateCase("silu", { N: 0 }),
  gateCase("silu", { N: 1 }),
  gateCase("silu", { N: 4097 }),
  gateCase("silu", { N: 33 }, "huge"),
  gateCase("gelu-tanh", { N: 33 }, "denormal"),
];

/** cap * tanh(x / cap). */
export function softCapCase(cap: number, shape: { N: number }, values: Values | "special"): OpCase {
  const N = values === "special" ? SPECIAL.length : shape.N;
  const name = `cap ${cap}, ${shapeName({ N })}, ${values}`;
  return {
    op: "softCap",
    name,
    shape: { N },
    inputs: () => ({
      x:
        values === "special"
          ? Float32Array.from(SPECIAL)
          : numbers(new Random(seedOf(name)), N, values).map((x) => x * cap),
    }),
    prepare(kernels, inputs) {
      const x = place(kernels.arena, inputs.x);
      const { at, read } = results(kernels.arena, { out: N });
      return { run: () => kernels.softCap(at.out, x, N, cap), results: read };
    },
    functional: ({ x }) => ({ out: softCap(x, cap) }),
    onnx(g, { x }) {
      const c = g.constant(float32(Float32Array.of(cap)));
      return {
        out: g.op("Mul", [g.op("Tanh", [g.op("Div", [g.constant(float32(x, N)), c])]), c]),
      };
    },
    exact: ({ x }) => ({
      out: relative(Array.from(x, (value) => cap * Math.tanh(value / cap))),
    }),
    bound: { roundings: 8, size: "|result|", floor: cap * 2 ** -140 },
  };
}

export const SOFT_CAP_CASES: readonly OpCase[] = [
  softCapCase(30, { N: 0 }, "normal"),
  softCapCase(30, { N: 1 }, "normal"),
  softCapCase(30, { N: 4097 }, "normal"),
  softCapCase(50, { N: 33 }, "denormal"),
  softCapCase(50, { N: 33 }, "huge"),
  softCapCase(30, { N: 0 }, "special"),
];
