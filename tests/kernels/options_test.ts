import assert from "node:assert/strict";
import {
  checkGradients,
  conv2d,
  groupNorm,
  planMemory,
  record,
  square,
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import { testOnDevices } from "../testing.ts";

/** Options that TypeScript does not check. */
function options(given: object) {
  return given as never;
}

const one = () => tensor([1], [1, 1, 1, 1]);

/** Calls with options of other libraries, as code without types may have, and what is said of them. */
const calls: Record<string, (x: Tensor) => unknown> = {
  "run conv2d: unknown option stride (expected padding, residual)": (x) =>
    conv2d(x, one(), tensor([0]), options({ padding: 0, stride: 2 })),
  "run groupNorm: unknown option eps (expected groups, epsilon, activation)": (x) =>
    groupNorm(x, tensor([1]), tensor([0]), options({ groups: 1, eps: 1e-3 })),
  "record a step: unknown option dtype (expected precision)": (x) =>
    record(() => square(x), options({ dtype: "f16" })),
  "record a step: unknown option precison (expected precision)": (x) =>
    planMemory(() => square(x), options({ precison: "f16" })),
  "check gradients: unknown option atol (expected tolerance, step)": (x) =>
    checkGradients(square, [x], options({ atol: 1e-3 })),
};

for (const [said, call] of Object.entries(calls)) {
  testOnDevices(`what cannot ${said.replace(/ \(.*/, "")} says so`, async () => {
    const x = tensor([1, 2, 3, 4], [1, 1, 2, 2]);
    await assert.rejects(async () => await call(x), { name: "TypeError", message: `Cannot ${said}` });
  });
}
