/** The protobuf writer against bytes written by hand from the wire format's specification. */

import { describe, expect, test } from "vitest";
import { Graph } from "./graph";
import { float32, int64 } from "./model";
import { Message } from "./protobuf";
import { onnxruntime, runOnnx } from "./session";

test.each<[string, Message, number[]]>([
  ["a small integer", new Message().integer(1, 150), [0x08, 0x96, 0x01]],
  ["zero, which is written too", new Message().integer(1, 0), [0x08, 0x00]],
  ["a negative integer, in ten bytes", new Message().integer(1, -1), [0x08, ...Array(9).fill(0xff), 0x01]],
  ["the largest int64", new Message().integer(1, 2n ** 63n - 1n), [0x08, ...Array(8).fill(0xff), 0x7f]],
  ["a field number of two bytes", new Message().integer(20, 1), [0xa0, 0x01, 0x01]],
  ["a string", new Message().text(2, "tésting"), [0x12, 0x08, 0x74, 0xc3, 0xa9, 0x73, 0x74, 0x69, 0x6e, 0x67]],
  ["a float", new Message().float(3, 1.5), [0x1d, 0x00, 0x00, 0xc0, 0x3f]],
  ["bytes", new Message().raw(4, Uint8Array.of(1, 2)), [0x22, 0x02, 0x01, 0x02]],
  ["a message", new Message().message(3, new Message().integer(1, 150)), [0x1a, 0x03, 0x08, 0x96, 0x01]],
  ["an empty message", new Message().message(3, new Message()), [0x1a, 0x00]],
  ["a repeated field", new Message().integer(1, 1).integer(1, 2), [0x08, 0x01, 0x08, 0x02]],
])("%s", (_, message, bytes) => {
  expect([...message.bytes()]).toEqual(bytes);
});

test("a tensor's numbers must fill its shape", () => {
  const graph = new Graph(17);
  graph.constant(float32(new Float32Array(5), 2, 3), "weight");
  expect(() => graph.bytes()).toThrow("tensor weight: expected 6 elements for [2, 3], got 5");
});

describe.skipIf(onnxruntime === null)("onnxruntime reads", () => {
  test.each([17, 20, 23, 24])(
    "a graph of opset %d with inputs, named dimensions, constants and attributes",
    async (opset) => {
      const g = new Graph(opset);
      const x = g.input("x", { type: "float32", dims: ["rows", 2] });
      const scaled = g.op("Gemm", [x, g.constant(float32(Float32Array.of(1, 2, 3, 4), 2, 2))], {
        alpha: 2,
        transB: 1n,
      });
      const [low, high] = g.ops("Split", [scaled, g.constant(int64([1, 1], 2))], 2, { axis: -1n });
      g.output("low", low);
      g.output("activated", g.op("QuickGelu", [high], { alpha: 1.702 }, "com.microsoft"));
      const feeds = { x: float32(Float32Array.of(1, 0, 0, 1, -1, -1), 3, 2) };
      const { low: first, activated } = await runOnnx(g.bytes(), feeds);
      expect([...first]).toEqual([2, 4, -6]);
      expect(activated[0]).toBeCloseTo(6 / (1 + Math.exp(-1.702 * 6)), 5);
    },
  );
});
