/** Defines an op, softplus(x) = log(1 + e^x), with WGSL and gradient, and checks both on the current device. */
import { checkGradients, defineOp, init, multiply, sigmoid, tensor } from "../kernels/mod.ts";

const softplus = defineOp({
  name: "softplus",
  signature: "x[S...] -> y[S...]",
  wgsl: "fn kernel(i: u32) { y[i] = max(x[i], 0.0) + log(1.0 + exp(-abs(x[i]))); }",
  backward: ({ x, dy }) => ({ x: () => multiply(sigmoid(x), dy) }),
  reference({ x, y }) {
    for (let i = 0; i < y.length; i++) y[i] = Math.max(x[i], 0) + Math.log1p(Math.exp(-Math.abs(x[i])));
  },
  samples: [{ shapes: { x: [3, 5] } }],
});

const device = await init({ device: Deno.args[0] === "webgpu" ? "webgpu" : "auto" });
const x = tensor([-30, -2, 0, 0.5, 3]);
await checkGradients(softplus, [x]);
console.log(device.kind, [...await softplus(x).read()]);
