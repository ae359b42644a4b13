import assert from "node:assert/strict";
import { attend, gradients, multiply, sum, tensor, uniforms, zeros } from "../../../kernels/mod.ts";
import { registry } from "../../../kernels/op.ts";
import { assertClose, testOnAllKernels } from "../../testing.ts";

/** More positions than lanes and more channels than are staged at a time, neither a multiple of a tile. */
const shape = [2, 70, 133];
const [N, C, L] = shape;
const scale = 0.3;

testOnAllKernels("attend() has the values and gradients of its reference over several chunks", async () => {
  const values = [0, 1, 2, 3].map((stream) =>
    Float32Array.from(uniforms(5, stream, 0, N * C * L), (u) => 2 * u - 1)
  );
  const [q, k, v, dy] = values;
  const tensors = [q, k, v].map((x) => tensor(x, shape));
  const y = attend(tensors[0], tensors[1], tensors[2], { scale });
  const found = gradients(sum(multiply(y, tensor(dy, shape))), tensors);

  const dims = { N, C, L, scale };
  const arrays = Object.fromEntries(
    ["y", "dq", "dk", "dv"].map((name) => [name, new Float64Array(N * C * L)]),
  );
  const all = {
    ...{ q, k, v, dy, stats: new Float64Array(N * L * 2), dots: new Float64Array(N * L) },
    ...arrays,
  };
  for (const name of ["attend", "attendQueryGradient", "attendKeyValueGradient"]) {
    registry.get(name)!.kernel.reference(all, dims);
  }
  assertClose(await y.read(), arrays.y, 1e-5, "y");
  for (const [i, name] of ["dq", "dk", "dv"].entries()) {
    assertClose(await found[i].read(), arrays[name], 1e-5, name);
  }
});

testOnAllKernels("attend() refuses tensors of different shapes", () => {
  const [q, k] = [zeros([2, 3, 4]), zeros([2, 3, 5])];
  assert.throws(() => attend(q, k, k, { scale: 1 }), {
    name: "ShapeError",
    message: /Cannot run attend: q f32\[2, 3, 4\], k f32\[2, 3, 5\]/,
  });
});
