import { Ternary } from "../../devices/cpu/elementwise_functions.ts";
import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims, NumberArray } from "../../devices/device.ts";
import { broadcastWgsl, placesOf } from "./broadcast.ts";

type Three<T> = readonly [T, T, T];

/**
 * The kernels of an elementwise function of three operands that broadcast; its op derives `broadcastWalk` of them.
 *
 * @param operands names of the buffers
 * @param result name of the buffer for the results
 * @param value WGSL of the function, as an expression in `a_` for operand `a`
 */
export function ternaryKernel(
  name: keyof typeof Ternary,
  operands: Three<string>,
  result: string,
  { value, apply }: { value: string; apply: (...values: Three<number>) => number },
) {
  const f = Ternary[name];
  return {
    wgsl: broadcastWgsl(operands, result, value),
    reference(arrays: Readonly<Record<string, NumberArray>>, dims: Dims) {
      const [u, v, w] = operands.map((name) => arrays[name]);
      const y = arrays[result];
      for (let i = 0; i < y.length; i++) {
        const [j, k, l] = placesOf(operands, i, dims);
        y[i] = apply(u[j], v[k], w[l]);
      }
    },
    wasm(addresses: Readonly<Record<string, number>>, dims: Dims): readonly WasmCall[] {
      const [u, v, w] = operands.map((name) => addresses[name]);
      const [[u0, u1, u2, u3], [v0, v1, v2, v3], [w0, w1, w2, w3]] = operands.map((name) =>
        [0, 1, 2, 3].map((k) => dims[`${name}${k}`])
      );
      const { n0, n1, n2, n3 } = dims;
      const steps = { u0, v0, w0, u1, v1, w1, u2, v2, w2, u3, v3, w3 };
      return [{ kernel: "ternary", args: { u, v, w, y: addresses[result], f, n0, n1, n2, n3, ...steps } }];
    },
  };
}
