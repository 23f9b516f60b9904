/** RoPE settings in every form that configs have had, with the defaults that transformers fills in. */

import { expect, test } from "vitest";
import { JsonConfig } from "./json-config";
import { parseRope } from "./rope";

const HEAD = 16;
const LENGTH = 512;

function scaling(config: object): unknown {
  return parseRope(new JsonConfig(config, "config.json"), HEAD, LENGTH).scaling;
}

test("nothing said: theta 10000, no scaling", () => {
  const expected = { theta: 10_000, rotaryDim: HEAD, scaling: { type: "default" } };
  expect(parseRope(new JsonConfig({}, "config.json"), HEAD, LENGTH)).toEqual(expected);
  expect(parseRope(new JsonConfig({ rope_scaling: null }, "config.json"), HEAD, LENGTH)).toEqual(expected);
});

test("theta inside of rope_parameters counts more than beside them", () => {
  const theta = (config: object) => parseRope(new JsonConfig(config, "config.json"), HEAD, LENGTH).theta;
  expect(theta({ rope_theta: 500, rope_parameters: { rope_type: "default", rope_theta: 700 } })).toBe(700);
  expect(theta({ rope_theta: 500, rope_parameters: { rope_type: "default" } })).toBe(500);
  expect(theta({ rope_theta: 500 })).toBe(500);
});

test("rope_scaling counts more than rope_parameters, rope_type more than type", () => {
  const both = { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_type: "dynamic", factor: 3 } };
  expect(scaling(both)).toEqual({ type: "linear", factor: 2 });
  expect(scaling({ rope_scaling: { rope_type: "dynamic", type: "linear", factor: 2 } })).toEqual({
    type: "dynamic",
    factor: 2,
    maxPositionEmbeddings: LENGTH,
  });
});

test("yarn: every default", () => {
  expect(scaling({ rope_scaling: { type: "yarn", factor: 4 } })).toEqual({
    type: "yarn",
    factor: 4,
    originalMaxPositionEmbeddings: LENGTH,
    betaFast: 32,
    betaSlow: 1,
    attentionFactor: expect.closeTo(0.1 * Math.log(4) + 1, 14),
    truncate: true,
  });
});

test.each([
  [{ mscale: 0.7, mscale_all_dim: 0.5 }, (0.07 * Math.log(4) + 1) / (0.05 * Math.log(4) + 1)],
  [{ mscale: 0.7 }, 0.1 * Math.log(4) + 1], // both or none, as in transformers
  [{ mscale_all_dim: 0.5 }, 0.1 * Math.log(4) + 1],
  [{ attention_factor: 1.5, mscale: 0.7, mscale_all_dim: 0.5 }, 1.5],
])("yarn with %j: attention factor %f", (settings, expected) => {
  const { attentionFactor } = scaling({ rope_scaling: { type: "yarn", factor: 4, ...settings } }) as {
    attentionFactor: number;
  };
  expect(attentionFactor).toBeCloseTo(expected, 14);
});

test("the trained length: beside the section, then inside, then the whole context; a missing factor is their ratio", () => {
  const yarn = (config: object, inside: object) => scaling({ ...config, rope_scaling: { type: "yarn", ...inside } });
  const inside = { original_max_position_embeddings: 64 };
  expect(yarn({ original_max_position_embeddings: 128 }, inside)).toMatchObject({
    originalMaxPositionEmbeddings: 128,
    factor: 4,
  });
  expect(yarn({}, inside)).toMatchObject({ originalMaxPositionEmbeddings: 64, factor: 8 });
  expect(yarn({}, {})).toMatchObject({ originalMaxPositionEmbeddings: LENGTH, factor: 1 });
});

test("longrope: the attention factor from the ratio of lengths, or from factor", () => {
  const factors = { short_factor: new Array(8).fill(1), long_factor: new Array(8).fill(2) };
  const longrope = (more: object) =>
    scaling({ original_max_position_embeddings: 64, rope_scaling: { type: "longrope", ...factors, ...more } });
  expect(longrope({})).toMatchObject({
    attentionFactor: expect.closeTo(Math.sqrt(1 + Math.log(8) / Math.log(64)), 14),
  });
  expect(longrope({ factor: 64 })).toMatchObject({ attentionFactor: expect.closeTo(Math.SQRT2, 14) });
  expect(longrope({ factor: 0.5 })).toMatchObject({ attentionFactor: 1 });
});
