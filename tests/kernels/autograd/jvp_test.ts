/** Tests of forward-mode differentiation of whole functions; the registry test checks each op. */

import assert from "node:assert/strict";
import {
  add,
  attend,
  concat,
  cos,
  gradients,
  groupNorm,
  jvp,
  multiply,
  record,
  ShapeError,
  sin,
  square,
  sum,
  type Tensor,
  tensor,
} from "../../../kernels/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { randomTensor } from "../oracle.ts";

testOnDevices(
  "jvp() sums over values and paths, and is zero for results that depend on no value",
  async () => {
    const [x, w, other] = [tensor([1, 2]), tensor([3]), tensor([5, 7])];
    const f = (x: Tensor, w: Tensor) => [multiply(square(x), w), add(x, x), other];
    const [values, tangents] = jvp(f, [x, w], [tensor([1, 10]), tensor([0.5])]);
    assertClose(await values[0].read(), [3, 12], 0);
    assertClose(await tangents[0].read(), [2 * 3 + 0.5, 40 * 3 + 2], 1e-6);
    assertClose(await tangents[1].read(), [2, 20], 0);
    assertClose(await tangents[2].read(), [0, 0], 0);
  },
);

testOnCpu(
  "jvp() adds the tangents of a tensor that is given twice, and of each part of concat()",
  async () => {
    const [x, w, one, none] = [3, 5, 1, 0].map((value) => tensor([value]));
    for (
      const [values, tangents, expected] of [
        [[x, x], [one, none], 3], // d(a b) is b da + a db
        [[x, x], [none, one], 3],
        [[x, x], [one, w], 18],
        [[x, w], [one, none], 5],
      ] as const
    ) {
      const [y, ty] = jvp(multiply, values, tangents);
      assertClose(await ty.read(), [expected], 0);
      const [[dx], [slope]] = [gradients(y, [x]), gradients(ty, [x])];
      assertClose(await dx.read(), [values[1] === x ? 6 : 5], 0);
      if (values[1] === x) assertClose(await slope.read(), [expected / 3], 0);
    }
    const [left, right] = [tensor([1, 2, 3, 4, 5, 6], [2, 3]), tensor([7, 8], [2, 1])];
    for (const moving of [left, right]) {
      const [, ty] = jvp(
        (x) => concat([left, right].map((part) => part === moving ? x : part), 1),
        [moving],
        [
          moving,
        ],
      );
      const parts = [left, right].map((part) => part === moving ? part : multiply(part, 0));
      assertClose(await ty.read(), await concat(parts, 1).read(), 0);
    }
  },
);

testOnCpu("jvp() nests with itself and with gradients() to the third order", async () => {
  const one = tensor([1]);
  const along = (f: (x: Tensor) => Tensor) => (x: Tensor) => jvp(f, [x], [one])[1];
  const down = (f: (x: Tensor) => Tensor) => (x: Tensor) => gradients(sum(f(x)), [x])[0];
  for (
    const third of [
      along(along(along(sin))),
      along(down(along(sin))),
      down(along(down(sin))),
      along(down(down(sin))),
    ]
  ) assertClose(await third(tensor([0.4])).read(), [-Math.cos(0.4)], 1e-6);
});

testOnDevices("jvp() is the transpose of gradients() in a network with norms and attention", async () => {
  const shape = [2, 4, 3, 3];
  const [gamma, beta] = [randomTensor(2, [4]), randomTensor(3, [4])];
  const f = (x: Tensor) => {
    const y = groupNorm(x, gamma, beta, { groups: 2, activation: "gelu" });
    const rows = multiply(y, 1);
    const flat = sum(rows, [3]);
    return attend(flat, cos(flat), flat);
  };
  const [x, tx] = [randomTensor(4, shape), randomTensor(5, shape)];
  const [y, ty] = jvp(f, [x], [tx]);
  const dy = randomTensor(6, y.shape);
  const [dx] = gradients(sum(multiply(f(x), dy)), [x]);
  const products = [[ty, dy], [tx, dx]].map(([a, b]) => sum(multiply(a, b)));
  const [forward, backward] = await Promise.all(products.map(async (p) => (await p.read())[0]));
  assertClose([forward], [backward], 1e-5);
});

testOnDevices("jvp() can be recorded, and each run uses the current values", async () => {
  const [x, tx] = [tensor([1]), tensor([1])];
  const step = record(() => jvp((x) => multiply(square(x), x), [x], [tx]));
  for (const value of [1, 2, 5]) {
    x.write(Float32Array.of(value));
    step.run();
    assertClose(await step.result[1].read(), [3 * value ** 2], 1e-6);
  }
});

testOnCpu("jvp() refuses tangents that do not fit, and overwritten values", () => {
  const x = tensor([1, 2]);
  assert.throws(() => jvp(sin, [x], [tensor([1])]), ShapeError);
  assert.throws(() => jvp(sin, [x], []), TypeError);
  assert.throws(() => jvp(() => 3 as unknown as Tensor, [x], [x]), /result 0 of the function is 3/);
  const f = (x: Tensor) => {
    const y = sin(x);
    const z = square(y);
    y.write(Float32Array.of(0, 0));
    return z;
  };
  assert.throws(() => jvp(f, [x], [x]), /write\(\) has overwritten x/);
});
