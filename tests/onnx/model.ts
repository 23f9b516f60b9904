/** ONNX models as data, and their encoding. Field numbers are those of onnx.proto (IR version 10). */

import { Message } from "./protobuf";

const IR_VERSION = 10;

/** Element types that our graphs use, with onnx.proto's numbers for them. */
const ELEMENT_TYPES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
} as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/** A tensor with its numbers. A bool is a byte, 0 or 1. */
export interface Tensor {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: Float32Array | Uint8Array | Int8Array | Int32Array | BigInt64Array;
}

/** What a graph knows of a value before it runs; a dimension may have a name in place of a size. */
export interface ValueType {
  readonly type: ElementType;
  /** Left out, the shape is whatever comes; outputs seldom need one. */
  readonly dims?: readonly (number | string)[];
}

/** A number is a float attribute, a bigint an int attribute: ONNX tells 1 from 1.0, and JavaScript does not. */
export type Attribute = number | bigint | string | readonly number[] | readonly bigint[] | Tensor;
export type Attributes = Readonly<Record<string, Attribute>>;

export interface Node {
  readonly op: string;
  /** Names of values; "" leaves an optional one out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Attributes;
  /** "" for ONNX itself, or "com.microsoft". */
  readonly domain?: string;
}

export interface Model {
  readonly inputs: Readonly<Record<string, ValueType>>;
  readonly outputs: Readonly<Record<string, ValueType>>;
  readonly initializers: Readonly<Record<string, Tensor>>;
  readonly nodes: readonly Node[];
  /** Version of the ONNX operators, 17 to 24. */
  readonly opset: number;
}

export function float32(data: Float32Array, ...dims: number[]): Tensor {
  return { type: "float32", dims, data };
}

export function int64(data: readonly number[], ...dims: number[]): Tensor {
  return { type: "int64", dims, data: BigInt64Array.from(data, BigInt) };
}

export function bool(data: readonly boolean[], ...dims: number[]): Tensor {
  return { type: "bool", dims, data: Uint8Array.from(data, Number) };
}

/** The bytes of an .onnx file. */
export function encodeModel(model: Model): Uint8Array {
  const message = new Message().integer(1, IR_VERSION).text(2, "qkv").message(7, graphProto(model));
  message.message(8, new Message().text(1, "").integer(2, model.opset));
  if (model.nodes.some((node) => node.domain === "com.microsoft")) {
    message.message(8, new Message().text(1, "com.microsoft").integer(2, 1));
  }
  return message.bytes();
}

function graphProto(model: Model): Message {
  const graph = new Message();
  for (const node of model.nodes) graph.message(1, nodeProto(node));
  graph.text(2, "graph");
  for (const [name, tensor] of Object.entries(model.initializers)) graph.message(5, tensorProto(tensor, name));
  for (const [name, type] of Object.entries(model.inputs)) graph.message(11, valueInfoProto(name, type));
  for (const [name, type] of Object.entries(model.outputs)) graph.message(12, valueInfoProto(name, type));
  return graph;
}

function nodeProto({ op, inputs, outputs, attributes = {}, domain = "" }: Node): Message {
  const node = new Message();
  for (const name of inputs) node.text(1, name);
  for (const name of outputs) node.text(2, name);
  node.text(4, op);
  for (const [name, value] of Object.entries(attributes)) node.message(5, attributeProto(name, value));
  return node.text(7, domain);
}

/** Each kind of value has a field of its own, and a number in `type` (field 20) that says which. */
function attributeProto(name: string, value: Attribute): Message {
  const attribute = new Message().text(1, name);
  if (typeof value === "number") return attribute.float(2, value).integer(20, 1);
  if (typeof value === "bigint") return attribute.integer(3, value).integer(20, 2);
  if (typeof value === "string") return attribute.text(4, value).integer(20, 3);
  if (isTensor(value)) return attribute.message(5, tensorProto(value, "")).integer(20, 4);
  const floats = value.some((item) => typeof item === "number");
  for (const item of value) {
    if (typeof item === "number") attribute.float(7, item);
    else attribute.integer(8, item);
  }
  return attribute.integer(20, floats ? 6 : 7);
}

function isTensor(value: readonly number[] | readonly bigint[] | Tensor): value is Tensor {
  return !Array.isArray(value);
}

function tensorProto({ type, dims, data }: Tensor, name: string): Message {
  const count = dims.reduce((product, size) => product * size, 1);
  if (data.length !== count) {
    throw new RangeError(`tensor ${name}: expected ${count} elements for [${dims.join(", ")}], got ${data.length}`);
  }
  const tensor = new Message();
  for (const size of dims) tensor.integer(1, size);
  tensor.integer(2, ELEMENT_TYPES[type]).text(8, name);
  return tensor.raw(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function valueInfoProto(name: string, { type, dims }: ValueType): Message {
  const tensorType = new Message().integer(1, ELEMENT_TYPES[type]);
  if (dims !== undefined) {
    const shape = new Message();
    for (const size of dims) {
      shape.message(1, typeof size === "number" ? new Message().integer(1, size) : new Message().text(2, size));
    }
    tensorType.message(2, shape);
  }
  return new Message().text(1, name).message(2, new Message().message(1, tensorType));
}
