/** What the kernels are meant to reach, and what they reached. */

import { type CaseResults, type Report, type Result, ratio, resultOf } from "./results";

/** A goal on one side: what was wanted, and the cases that it is wanted of. */
export interface Outcome {
  readonly goal: string;
  readonly side: string;
  readonly wanted: number;
  readonly measured: readonly { readonly name: string; readonly value: number }[];
}

/** Who is to reach a goal. */
interface Side {
  readonly name: string;
  /** Ours on a case. */
  ours(found: CaseResults, threads: number): Result | null;
  /** onnxruntime-web on the same Node. */
  web(found: CaseResults, threads: number): Result | null;
}

interface Goal {
  readonly goal: string;
  readonly of: (found: CaseResults) => boolean;
  /** For the first and the second side; null for none. */
  readonly wanted: readonly [number | null, number | null];
  value(found: CaseResults, side: Side, report: Report): number | null;
}

const native = (found: CaseResults, threads = 1) => resultOf(found, { library: "onnxruntime-node", threads });
const limit = (found: CaseResults, threads = 1) => resultOf(found, { library: "limit", threads });

const ofWeb: Goal["value"] = (found, side) => ratio(side.ours(found, 1), side.web(found, 1));
const ofNative: Goal["value"] = (found, side) => ratio(side.ours(found, 1), native(found));
const ofLimit: Goal["value"] = (found, side) => ratio(side.ours(found, 1), limit(found));
const ofOneThread: Goal["value"] = (found, side) => ratio(side.ours(found, 2), side.ours(found, 1));

/** Weights a second, over those of the f32 case that is as large or small. */
const ofFloat: Goal["value"] = (found, side, { cases }) => {
  const float = cases.find(({ group, dram }) => group === "f32 matrix x vector" && dram === found.dram);
  const [ours, theirs] = [side.ours(found, 1), float === undefined ? null : side.ours(float, 1)];
  return ours === null || theirs === null ? null : found.multiplyAdds / ours.ms / (float!.multiplyAdds / theirs.ms);
};

const isMatmul = ({ group }: CaseResults) => group === "f32 matmul" || group === "int8 matmul";
const isVector = ({ group }: CaseResults) => group.endsWith("matrix x vector");

const GOALS: readonly Goal[] = [
  { goal: "f32 matmul, of onnxruntime-web", of: ({ group }) => group === "f32 matmul", wanted: [1.3, 3], value: ofWeb },
  {
    goal: "f32 matmul, of onnxruntime-node",
    of: ({ group }) => group === "f32 matmul",
    wanted: [null, 0.5],
    value: ofNative,
  },
  {
    goal: "f32 matrix x vector from DRAM, of the read limit",
    of: ({ group, dram }) => group === "f32 matrix x vector" && dram,
    wanted: [0.9, 0.9],
    value: ofLimit,
  },
  {
    goal: "f32 matrix x vector from DRAM, of onnxruntime-node",
    of: ({ group, dram }) => group === "f32 matrix x vector" && dram,
    wanted: [0.95, 0.95],
    value: ofNative,
  },
  {
    goal: "q8 matrix x vector, of the read limit",
    of: ({ group }) => group === "q8 matrix x vector",
    wanted: [0.75, 0.9],
    value: ofLimit,
  },
  {
    goal: "q4 matrix x vector, weights/s of our f32's",
    of: ({ group }) => group === "q4 matrix x vector",
    wanted: [2.5, 4],
    value: ofFloat,
  },
  {
    goal: "int8 matmul, of onnxruntime-web's MatMulInteger",
    of: ({ group }) => group === "int8 matmul",
    wanted: [0.9, 3],
    value: ofWeb,
  },
  {
    goal: "int8 matmul, of onnxruntime-node's MatMulInteger",
    of: ({ group }) => group === "int8 matmul",
    wanted: [null, 0.45],
    value: ofNative,
  },
  { goal: "attention, of onnxruntime-web", of: ({ group }) => group === "attention", wanted: [1.3, 2], value: ofWeb },
  {
    goal: "softmax, norms, GELU, of onnxruntime-web",
    of: ({ group }) => group === "rows",
    wanted: [1, 1.5],
    value: ofWeb,
  },
  { goal: "matmul, 2 threads of 1", of: isMatmul, wanted: [1.8, 1.8], value: ofOneThread },
  {
    goal: "large matrix x vector, 2 threads of 1",
    of: (found) => isVector(found) && found.dram,
    wanted: [1.6, 1.6],
    value: ofOneThread,
  },
];

/** The Node that runs everything as it comes, and the newest as fast as it gets. */
export function sides({ nodes }: Report): readonly [Side, Side] {
  const major = (version: string) => `Node ${version.split(".")[0]}`;
  return [
    {
      name: `${major(nodes.running)}, default`,
      ours: (found, threads) => resultOf(found, { library: "qkv", node: nodes.running, threads }),
      web: (found, threads) => resultOf(found, { library: "onnxruntime-web", node: nodes.running, threads }),
    },
    {
      name: `${major(nodes.newer)}, best of default and turbo`,
      ours(found, threads) {
        const plain = resultOf(found, { library: "qkv", node: nodes.newer, threads });
        const turbo = resultOf(found, { library: "qkv turbo", node: nodes.newer, threads });
        return turbo === null || (plain !== null && plain.rate > turbo.rate) ? plain : turbo;
      },
      web: (found, threads) => resultOf(found, { library: "onnxruntime-web", node: nodes.newer, threads }),
    },
  ];
}

/** Every goal that something was measured for. */
export function outcomes(report: Report): Outcome[] {
  return GOALS.flatMap(({ goal, of, wanted, value }) =>
    sides(report).flatMap((side, i) => {
      const least = wanted[i];
      if (least === null) return [];
      const measured = report.cases.filter(of).flatMap((found) => {
        const reached = value(found, side, report);
        return reached === null ? [] : [{ name: found.name, value: reached }];
      });
      return measured.length === 0 ? [] : [{ goal, side: side.name, wanted: least, measured }];
    }),
  );
}
