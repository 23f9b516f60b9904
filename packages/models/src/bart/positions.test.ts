import { Arena, ReferenceKernels } from "@qkv/core";
import { expect, test } from "vitest";
import { sinusoids } from "./positions";

/** Rows of MarianSinusoidalPositionalEmbedding(200, D).create_weight(), transformers 5.23. */
const EXPECTED: [D: number, position: number, row: number[]][] = [
  [5, 0, [0, 0, 0, 1, 1]],
  [5, 1, [0.84147096, 0.02511622, 0.00063096, 0.54030228, 0.99968451]],
  [5, 130, [-0.93010592, -0.12354326, 0.08193251, -0.36729133, -0.99233919]],
  [5, 199, [-0.88179886, -0.95930523, 0.12523085, -0.47162572, 0.28237122]],
  [6, 1, [0.84147096, 0.04639922, 0.00215443, 0.54030228, 0.998923, 0.99999768]],
  [6, 130, [-0.93010592, -0.24655105, 0.27642918, -0.36729133, 0.9691298, 0.9610343]],
  [6, 199, [-0.88179886, 0.18691041, 0.41571835, -0.47162572, -0.98237699, 0.90949339]],
];

function reader(D: number) {
  const kernels = new ReferenceKernels(new Arena());
  const out = kernels.arena.allocate(4 * 8 * D, "scratch");
  const rows = sinusoids({ dModel: D, maxPositionEmbeddings: 200 });
  return (positions: readonly number[]): number[] => {
    rows(kernels, out, positions);
    return [...kernels.arena.f32(out, positions.length * D)];
  };
}

test.each(EXPECTED)("width %i, position %i is transformers' row", (D, position, row) => {
  const got = reader(D)([position]);
  expect(got).toHaveLength(D);
  for (const [i, value] of row.entries()) expect(got[i]).toBeCloseTo(value, 7);
});

test("rows are the same whichever were asked for before", () => {
  const alone = [3, 63, 64, 199, 0].map((position) => reader(6)([position]));
  const read = reader(6);
  read([3]); // the first rows alone are made
  expect(read([3, 63, 64, 199, 0])).toEqual(alone.flat());
  expect(read([64])).toEqual(alone[2]);
});
