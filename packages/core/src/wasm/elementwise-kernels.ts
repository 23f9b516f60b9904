/**
 * The kernels that work element by element: add, activations, gates and the soft cap.
 *
 * Their ranges count blocks of ELEMENT_BLOCK elements, so that threads share even a single row. An element's result
 * does not depend on its place. `out` may be an input.
 */

import type { Activation } from "../kernels/activation";
import type { FunctionBuilder, Local } from "./assembler";
import { SIDE_BY_SIDE, type Vectors, vectorActivation, vectorMath, vectorTanh } from "./elementary";
import type { ModuleBuilder } from "./module";

/** Elements of a block. */
export const ELEMENT_BLOCK = 1024;

/** What a kernel is told: where the inputs and the results are, and how many. */
interface Elements {
  readonly out: Local<"ptr">;
  readonly inputs: readonly Local<"ptr">[];
  readonly count: Local<"i32">;
  /** The blocks to do. */
  readonly from: Local<"i32">;
  readonly to: Local<"i32">;
}

/** Emits out[i] = f(inputs[i]): `emit` is given vectors of each input and gives those of the results. */
function overElements(
  f: FunctionBuilder,
  { out, inputs, count, from, to }: Elements,
  emit: (...inputs: Vectors[]) => Vectors,
): void {
  const { i32, ptr, v128 } = f;
  const addresses = [out, ...inputs].map((start) =>
    f.local("ptr", ptr.add(start(), ptr.product(from(), i32.const(4 * ELEMENT_BLOCK)))),
  );
  const [outAt, ...inputsAt] = addresses;
  // Unsigned, since the end of the last block may be 2^31
  const left = f.local("i32", i32.mul(i32.sub(to(), from()), i32.const(ELEMENT_BLOCK)));
  const all = f.local("i32", i32.sub(count(), i32.mul(from(), i32.const(ELEMENT_BLOCK))));
  left.set(f.select(left(), all(), i32.lt_u(left(), all())));
  const run = (elements: number, body: () => void) => {
    const enough = () => i32.ge_u(left(), i32.const(elements));
    f.if(enough(), () =>
      f.doWhile(() => {
        body();
        for (const address of addresses) f.advance(address, 4 * elements);
        left.set(i32.sub(left(), i32.const(elements)));
      }, enough),
    );
  };
  const side = Array.from({ length: SIDE_BY_SIDE }, (_, i) => 16 * i);
  run(4 * SIDE_BY_SIDE, () => {
    const results = emit(...inputsAt.map((at) => side.map((offset) => f.local("v128", v128.load(at(), offset)))));
    results.forEach((result, i) => {
      v128.store(outAt(), result(), side[i]);
    });
  });
  run(1, () => {
    const [result] = emit(...inputsAt.map((at) => [f.local("v128", v128.load32_zero(at()))]));
    v128.store32_lane(outAt(), result(), 0);
  });
}

/** The kernel `add`: out = a + b. */
export function emitAdd(module: ModuleBuilder): void {
  module.kernel("add", { out: "ptr", a: "ptr", b: "ptr", count: "i32" }, (f, { out, a, b, count }, range) => {
    overElements(f, { out, inputs: [a, b], count, ...range }, vectorMath(module, f).add);
  });
}

/** The kernel `activate.{activation}`: out = f(x). */
export function emitActivate(module: ModuleBuilder, activation: Activation): void {
  const parameters = { out: "ptr", x: "ptr", count: "i32" } as const;
  module.kernel(`activate.${activation}`, parameters, (f, { out, x, count }, range) => {
    overElements(f, { out, inputs: [x], count, ...range }, vectorActivation(module, f, activation));
  });
}

/** The kernel `gate.{activation}`: out = f(gate) * up. */
export function emitGate(module: ModuleBuilder, activation: Activation): void {
  const parameters = { out: "ptr", gate: "ptr", up: "ptr", count: "i32" } as const;
  module.kernel(`gate.${activation}`, parameters, (f, { out, gate, up, count }, range) => {
    const { mul } = vectorMath(module, f);
    const activated = vectorActivation(module, f, activation);
    overElements(f, { out, inputs: [gate, up], count, ...range }, (x, factor) => mul(activated(x), factor));
  });
}

/** The kernel `softCap`: out = cap * tanh(x / cap). */
export function emitSoftCap(module: ModuleBuilder): void {
  const parameters = { out: "ptr", x: "ptr", count: "i32", cap: "f32" } as const;
  module.kernel("softCap", parameters, (f, { out, x, count, cap }, range) => {
    const { mul, div } = vectorMath(module, f);
    const tanh = vectorTanh(module, f);
    const caps = f.local("v128", f.f32x4.splat(cap()));
    overElements(f, { out, inputs: [x], count, ...range }, (value) => mul(tanh(div(value, caps)), caps));
  });
}
