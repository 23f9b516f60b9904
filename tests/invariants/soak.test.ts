/** Memory comes back: many loads and many tokens leave a process as large as the first few made it. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { repository } from "../support/fixtures";
import { TEST_KERNELS } from "../support/load";

const STORIES = repository("packages/cli/models/stories260K");

/**
 * Collections on demand, and a young generation that stays small: how large the engine makes it is its own affair, and
 * in a process of 70 MiB it is more than the 10% that this is about.
 */
const GARBAGE = ["--expose-gc", "--max-semi-space-size=1"];

// The reference has no memory of its own to lose, and takes minutes.
test.skipIf(TEST_KERNELS.kernels === "reference")(
  "100 loads and 10,000 tokens leave resident memory within 10% of its level after the tenth load",
  async () => {
    const conditions = process.env.QKV_TEST_DIST === "1" ? [] : ["--conditions=qkv-source", "--import", "tsx"];
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...GARBAGE, ...conditions, repository("tests/support/soak.mjs"), STORIES, JSON.stringify(TEST_KERNELS)],
      { cwd: repository("tests"), timeout: 300_000 },
    );
    const { cycles, tokens, end } = JSON.parse(stdout) as { cycles: number[]; tokens: number[]; end: number };
    expect(cycles).toHaveLength(100);
    const level = 1.1 * cycles[9];
    expect(cycles[99], `MiB after each load: ${cycles.map(Math.round)}`).toBeLessThan(level);
    expect(tokens.at(-1), `MiB every 1,000 tokens: ${tokens.map(Math.round)}`).toBeLessThan(1.1 * tokens[0]);
    expect(end, "MiB at the end").toBeLessThan(level);
  },
  300_000,
);
