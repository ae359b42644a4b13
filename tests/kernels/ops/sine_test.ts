import assert from "node:assert/strict";
import { cos, gradients, sin, sum, tensor } from "../../../kernels/mod.ts";
import { assertClose, testOnAllKernels } from "../../testing.ts";

testOnAllKernels("sin() and cos() are within 1e-6 for |x| up to 10,000, slopes too", async () => {
  const values = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) * 5 + Math.sin(i));
  const x = tensor(values);
  const exact = (f: (x: number) => number) => Float64Array.from(values, f);
  assertClose(await sin(x).read(), exact(Math.sin), 1e-6);
  assertClose(await cos(x).read(), exact(Math.cos), 1e-6);
  assertClose(await gradients(sum(sin(x)), [x])[0].read(), exact(Math.cos), 1e-6);
  assertClose(await gradients(sum(cos(x)), [x])[0].read(), exact((x) => -Math.sin(x)), 1e-6);
});

testOnAllKernels(
  "sin() and cos() lie in [-1, 1] for any number, and are NaN for NaN and infinities",
  async () => {
    const x = tensor([1e5, -1e7, 4e9, -3e20, 3.4e38, 1e-40, 0]);
    for (const f of [sin, cos]) {
      assert.ok((await f(x).read()).every((y) => Math.abs(y) <= 1.0000001));
      const [y] = [f(tensor([NaN, Infinity, -Infinity]))];
      assert.deepEqual([...await y.read()], [NaN, NaN, NaN]);
    }
    assertClose((await sin(x).read()).slice(0, 1), [Math.sin(1e5)], 1e-2);
  },
);
