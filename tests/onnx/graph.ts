/** Writes an ONNX graph as one writes the model: every op is a call that returns the value it makes. */

import { type Attributes, encodeModel, type Node, type Tensor, type ValueType } from "./model";

/** The name of a value in the graph. */
export type Value = string;

/**
 * A graph under construction.
 *
 * @example
 * const g = new Graph(23);
 * const x = g.input("x", { type: "float32", dims: ["T", 8] });
 * const normed = g.op("RMSNormalization", [x, g.constant(float32(weight, 8))], { epsilon: 1e-6 });
 * g.output("y", g.op("MatMul", [normed, g.constant(float32(w, 8, 4))]));
 * const bytes = g.bytes();
 */
export class Graph {
  readonly opset: number;
  readonly #inputs: Record<string, ValueType> = {};
  readonly #outputs: Record<string, ValueType> = {};
  readonly #initializers: Record<string, Tensor> = {};
  readonly #nodes: Node[] = [];
  #values = 0;

  /** @param opset version of the ONNX operators: 17 has LayerNormalization, 23 Attention, RMSNormalization, RoPE */
  constructor(opset: number) {
    this.opset = opset;
  }

  /** A value that is given with each run. */
  input(name: string, type: ValueType): Value {
    this.#inputs[name] = type;
    return name;
  }

  /** A value that is part of the model. */
  constant(tensor: Tensor, name = this.#fresh("constant")): Value {
    this.#initializers[name] = tensor;
    return name;
  }

  /** Adds an op with one output. `null` leaves an optional input out. */
  op(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, domain = ""): Value {
    return this.ops(op, inputs, 1, attributes, domain)[0];
  }

  /** Adds an op with several outputs. */
  ops(
    op: string,
    inputs: readonly (Value | null)[],
    outputCount: number,
    attributes: Attributes = {},
    domain = "",
  ): readonly Value[] {
    const outputs = Array.from({ length: outputCount }, () => this.#fresh(op));
    this.#nodes.push({
      op,
      inputs: inputs.map((name) => name ?? ""),
      outputs,
      attributes,
      domain,
    });
    return outputs;
  }

  /** Makes a value a result of the graph, under a name of its own. */
  output(name: string, value: Value, type: ValueType = { type: "float32" }): void {
    this.#nodes.push({ op: "Identity", inputs: [value], outputs: [name] });
    this.#outputs[name] = type;
  }

  /** The bytes of an .onnx file. */
  bytes(): Uint8Array {
    return encodeModel({
      inputs: this.#inputs,
      outputs: this.#outputs,
      initializers: this.#initializers,
      nodes: this.#nodes,
      opset: this.opset,
    });
  }

  #fresh(what: string): Value {
    this.#values += 1;
    return `${what}_${this.#values}`;
  }
}
