/** Flow maps: networks that take the length of a step, and the solver `map`. */

import assert from "node:assert/strict";
import { add, multiply, reshape, type Tensor, tensor, zeros } from "../../../kernels/mod.ts";
import {
  createModel,
  evaluationsOf,
  guided,
  loadCheckpoint,
  type Model,
  namedParameters,
  noise,
  sample,
  Sampler,
  saveCheckpoint,
  solveFlow,
  stateOf,
  type UNetModelOptions,
} from "../../../models/mod.ts";
import { testOnCpu, testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const options = (type: UNetModelOptions["type"]): UNetModelOptions => ({
  ...{ type, filters: [4, 8], tEmb: 8, groups: 4, classes: 3 },
});

/** A flow map with the weights of a network. */
async function mapOf(network: Model, type: UNetModelOptions["type"]): Promise<Model> {
  const map = createModel({ ...options(type), flowMap: true }, 2);
  const parameters = namedParameters(map);
  for (const [name, { data }] of await stateOf(network)) parameters.get(name)!.write(data);
  return map;
}

for (const type of ["UNet_FM", "UNet_FM_Residuals"] as const) {
  testOnDevices(
    `${type} as a flow map begins as the flow, to the bit, for any length of a step`,
    async () => {
      const network = createModel(options(type), 1);
      const map = await mapOf(network, type);
      const [x, t, label] = [noise(1, [3, 1, 8, 8]), tensor([0, 0.3, 1]), tensor(Uint32Array.of(0, 2, 3))];
      const expected = await network.velocity(x, t, label).read();
      assertSameNumbers(await map.velocity(x, t, label).read(), expected);
      for (const d of [[0, 0, 0], [1, 0.7, 0]]) {
        assertSameNumbers(await map.meanVelocity!(x, t, tensor(d), label).read(), expected);
      }
      const last = namedParameters(map).get("step_mlp.2.weight")!;
      last.write(new Float32Array(last.size).fill(0.1));
      const [still, moved] = [[0, 0, 0], [1, 0.7, 0]].map((d) => map.meanVelocity!(x, t, tensor(d), label));
      const [a, b] = [await still.read(), await moved.read()];
      assertSameNumbers(await map.velocity(x, t, label).read(), a, "the velocity is that of d = 0");
      assert.notDeepEqual(a.slice(0, 128), b.slice(0, 128));
      assert.deepEqual(a.slice(128), b.slice(128), "each row has its own d");
    },
  );
}

for (const type of ["UNet_FM", "UNet_FM_Residuals"] as const) {
  testOnDevices(`${type} takes guidance as an input, a separate one for each row`, async () => {
    const map = createModel({ ...options(type), flowMap: true, maxGuidance: 3 }, 2);
    const [x, t, label] = [noise(1, [3, 1, 8, 8]), tensor([0, 0.3, 0.5]), tensor(Uint32Array.of(0, 2, 1))];
    const d = tensor([1, 0.7, 0.2]);
    const at = (scale: number | Tensor) => guided(map, { scale, none: 3 });
    const plain = await map.meanVelocity!(x, t, d, label).read();
    assertSameNumbers(await at(2).meanVelocity!(x, t, d, label).read(), plain, "at start");
    for (const input of ["step", "guidance"]) {
      const last = namedParameters(map).get(`${input}_mlp.2.weight`)!;
      last.write(new Float32Array(last.size).fill(0.1));
    }
    const rows = await at(tensor([1, 2, 3])).meanVelocity!(x, t, d, label).read();
    for (const [n, scale] of [1, 2, 3].entries()) {
      const all = await at(scale).meanVelocity!(x, t, d, label).read();
      assertSameNumbers(rows.subarray(64 * n, 64 * n + 64), all.subarray(64 * n, 64 * n + 64));
      assert.equal(scale === 1, `${all}` === `${await map.meanVelocity!(x, t, d, label).read()}`);
    }
    const still = at(tensor([1.5])); // one scale for all rows, as in a page
    assert.deepEqual(
      await still.velocity(x, t, label).read(),
      await at(1.5).meanVelocity!(x, t, zeros([3]), label).read(),
    );
    const x0 = noise(4, [2, 1, 8, 8]);
    const how = { x0, solver: "map", condition: tensor(Uint32Array.of(0, 1)) } as const;
    assert.notDeepEqual(await sample(at(2), how).read(), await sample(at(1), how).read());
  });
}

testOnCpu("guided() refuses what a flow map with guidance as an input cannot do", () => {
  const map = createModel({ ...options("UNet_FM"), flowMap: true, maxGuidance: 2 }, 3);
  for (const scale of [0, 0.9, 2.1]) {
    assert.throws(() => guided(map, { scale, none: 3 }), /^RangeError: .* scales from 1 to 2 /);
  }
  assert.throws(() => guided(map, { scale: 2, none: 3, zeroStar: true }), /^TypeError: .*CFG-Zero\*/);
  assert.throws(() => guided(map, { scale: 2, none: 3, interval: [0, 1] }), /^TypeError: .*an interval/);
  for (
    const lacking of [{ flowMap: false }, { flowMap: true, classes: 0 }, { flowMap: true, maxGuidance: 0 }]
  ) {
    assert.throws(
      () => createModel({ ...options("UNet_FM"), maxGuidance: 2, ...lacking }),
      /^TypeError: Cannot make a network/,
    );
  }
});

testOnDevices("saveCheckpoint() and loadCheckpoint() keep a flow map", async () => {
  const map = createModel({ ...options("UNet_FM"), flowMap: true, maxGuidance: 1.5 }, 3);
  const { model, info } = loadCheckpoint(await saveCheckpoint(map), "map");
  assert.deepEqual([info.config.flowMap, info.config.maxGuidance], [true, 1.5]);
  assertSameNumbers(await stateOf(model), await stateOf(map));
  const plain = await saveCheckpoint(createModel(options("UNet_FM"), 3));
  assert.ok(!/flow_map|guidance/.test(new TextDecoder().decode(plain)), "other files stay as they were");
});

/** X(t + d) = x + d u with u = x + 2 t + 3 d + the row's condition. */
const jumping = {
  velocity: (x: Tensor) => x,
  meanVelocity(x: Tensor, t: Tensor, d: Tensor, condition?: Tensor) {
    const own = add(add(multiply(t, 2), multiply(d, 3)), condition ?? 0);
    return add(x, reshape(own, [x.shape[0], 1]));
  },
};

testOnDevices(
  "sample() with map takes x + d u(x, t, d) in one evaluation per step, by default one step",
  async () => {
    const x0 = tensor([1, 2, 3], [3, 1]);
    assert.deepEqual([...await sample(jumping, { x0, solver: "map" }).read()], [5, 7, 9]);
    const two = (x: number) => 1.5 * (1.5 * x + 0.75) + 0.5 * (1 + 1.5);
    assert.deepEqual([...await sample(jumping, { x0, solver: "map", steps: 2 }).read()], [1, 2, 3].map(two));
    assert.deepEqual([1, 4].map((steps) => evaluationsOf({ solver: "map", steps })), [1, 4]);
    assert.equal(evaluationsOf({ solver: "map" }), 1);
    const solved = await solveFlow(jumping, x0, {
      solver: "map",
      condition: tensor([10, 20, 30]),
      batch: 2,
    });
    assert.deepEqual([[...solved.samples], solved.evaluations], [[15, 27, 39], 1]);
  },
);

testOnCpu("sample() with map refuses other fields, guidance, tolerances and going back in time", async () => {
  const x0 = tensor([1, 2, 3], [3, 1]);
  const plain = { velocity: (x: Tensor) => x };
  const missing =
    /^TypeError: Cannot jump from t to t \+ d: the field has no mean velocity \(expected a flow map/;
  assert.throws(() => sample(plain, { x0, solver: "map" }), missing);
  const condition = tensor(Uint32Array.of(0, 1, 2));
  const map = createModel({ ...options("UNet_FM"), flowMap: true }, 3);
  const images = noise(1, [3, 1, 8, 8]);
  const how = { x0: images, solver: "map", condition } as const;
  assert.throws(
    () => sample(guided(map, { scale: 2, none: 3 }), how),
    /^TypeError: Cannot jump from t to t \+ d: the field has no mean velocity with guidance/,
  );
  assert.deepEqual(
    await sample(guided(map, { scale: 1, none: 3 }), how).read(),
    await sample(map, how).read(),
  );
  assert.throws(
    () => new Sampler(jumping, [3, 1], { solver: "map" }).run(x0, { from: 1, to: 0 }),
    /^TypeError: Cannot go from t = 1 to 0 with a flow map/,
  );
  await assert.rejects(solveFlow(jumping, x0, { solver: "map", rtol: 0.1 }), /it has no error estimate/);
  assert.throws(
    () => createModel({ ...options("UNet_FM"), flowMap: true, prediction: "data" }),
    /^TypeError: Cannot make a flow map that predicts data/,
  );
});
