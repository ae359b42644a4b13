import type { Shape } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { Binary } from "../../devices/cpu/elementwise_functions.ts";
import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims, NumberArray } from "../../devices/device.ts";
import { defineOp, type Op, type Sample } from "../../op.ts";
import { sumTo } from "../reduce/reduce.ts";
import { broadcastWalk, broadcastWgsl, placesOf } from "./broadcast.ts";

/** A function of two numbers, and how it is computed. */
interface BinaryFunction {
  /** WGSL of f(a, b), as an expression in `a_` and `b_`. */
  readonly value: string;
  readonly apply: (a: number, b: number) => number;
  readonly functions?: string;
  readonly samples?: readonly Sample[];
}

/** Shapes that broadcast, and one that does not need to. */
const broadcasting: readonly Sample[] = [
  { shapes: { a: [3, 5], b: [3, 5] } },
  { shapes: { a: [2, 3, 4, 5], b: [3, 1, 5] } },
  { shapes: { a: [4, 1], b: [2, 1, 3] } },
  { shapes: { a: [], b: [2, 2] } },
];

/** The parts of a declaration that follow from f: of an op with inputs `a[A...], b[B...]` and the output `y`. */
export function binaryKernel(
  name: keyof typeof Binary,
  { value, apply, functions = "", samples = [] }: BinaryFunction,
) {
  const f = Binary[name];
  return {
    derive: (_: unknown, { A, B }: Readonly<Record<string, Shape>>) => broadcastWalk({ a: A, b: B }),
    wgsl: functions + broadcastWgsl(["a", "b"], "y", value),
    reference({ a, b, y }: Readonly<Record<"a" | "b" | "y", NumberArray>>, dims: Dims) {
      for (let i = 0; i < y.length; i++) {
        const [u, v] = placesOf(["a", "b"], i, dims);
        y[i] = apply(a[u], b[v]);
      }
    },
    wasm: (
      { a, b, y }: Readonly<Record<"a" | "b" | "y", number>>,
      { flat, Y, n0, a0, b0, n1, a1, b1, n2, a2, b2, n3, a3, b3 }: Dims,
    ): readonly WasmCall[] =>
      flat
        ? [{ kernel: "binary", args: { a, b, y, n: Y, f } }]
        : [{ kernel: "broadcast", args: { a, b, y, f, n0, a0, b0, n1, a1, b1, n2, a2, b2, n3, a3, b3 } }],
    samples: [...broadcasting, ...samples],
  };
}

/** Declares f. `backward` gives the gradients of a and b as if they had the shape of y. */
export function defineBinary(
  name: keyof typeof Binary,
  f: BinaryFunction,
  backward: (saved: { a: Tensor; b: Tensor; y: Tensor; dy: Tensor }) => { a: () => Tensor; b: () => Tensor },
): Op<"a[A...], b[B...] -> y[Y...]"> {
  return defineOp({
    name,
    signature: "a[A...], b[B...] -> y[Y...]",
    ...binaryKernel(name, f),
    backward: ({ a, b, y, dy }) => {
      const whole = backward({ a, b, y, dy });
      return { a: () => sumTo(whole.a(), a.shape), b: () => sumTo(whole.b(), b.shape) };
    },
  });
}
