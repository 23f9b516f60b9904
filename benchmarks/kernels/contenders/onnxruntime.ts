/** onnxruntime, native or WebAssembly: a case is a graph of constants with one operation, whose result stays inside. */

import { createRequire } from "node:module";
import { Graph } from "../../../tests/onnx/graph";
import { float32 } from "../../../tests/onnx/model";
import type { onnxruntime } from "../../../tests/onnx/session";
import { firstNumber, type Operation } from "../onnx-ops";
import type { Contender, Job, Way } from "../protocol";
import { sample } from "../sample";

type Onnxruntime = NonNullable<typeof onnxruntime>;
type Session = Awaited<ReturnType<Onnxruntime["InferenceSession"]["create"]>>;

const OPSET = 24;
/** How long calls that do nothing are timed, in ms. */
const OVERHEAD_MS = 100;

export async function onnx({ threads, modulePath }: Job): Promise<Contender> {
  const { InferenceSession, env } = createRequire(import.meta.url)(modulePath) as Onnxruntime;
  env.logLevel = "fatal";
  env.wasm.numThreads = threads;

  const session = (operation: Operation): Promise<Session> => {
    const graph = new Graph(OPSET);
    const { value, type } = operation(graph);
    graph.output("out", firstNumber(graph, value), { type });
    return InferenceSession.create(graph.bytes(), {
      logSeverityLevel: 4,
      graphOptimizationLevel: "disabled", // else a graph of constants is computed once, when it is made
      executionProviders: ["wasm", "cpu"].slice(modulePath.includes("onnxruntime-web") ? 0 : 1),
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
    });
  };

  const nothing = await session((g) => ({ value: g.constant(float32(new Float32Array(1), 1)), type: "float32" }));
  await sample(() => nothing.run({}), OVERHEAD_MS);
  const overheadMs = await sample(() => nothing.run({}), OVERHEAD_MS);

  return async ({ onnx: operations }) => {
    if (typeof operations === "string") return operations;
    const sessions: Session[] = [];
    const ways: Way[] = [];
    const refused: string[] = [];
    for (const [operation, build] of Object.entries(operations)) {
      try {
        const made = await session(build);
        await made.run({}); // what has no implementation may say so only now
        sessions.push(made);
        ways.push({ operation, run: () => made.run({}) });
      } catch (error) {
        refused.push(`${operation}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    if (ways.length === 0) return refused.join("; ");
    return { ways, overheadMs, release: () => Promise.all(sessions.map((each) => each.release())) };
  };
}
