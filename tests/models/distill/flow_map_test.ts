/** Flow maps: networks that take the length of a step, and the solver `map`. */

import assert from "node:assert/strict";
import { add, multiply, reshape, type Tensor, tensor } from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { testOnCpu, testOnDevices } from "../../testing.ts";

const { createModel, evaluationsOf, guided, loadCheckpoint, namedParameters, noise, sample } = models;
const options = (type: models.UNetModelOptions["type"]): models.UNetModelOptions => ({
  ...{ type, filters: [4, 8], tEmb: 8, groups: 4, classes: 3 },
});
/** Makes the embedding of an input, which is zero in new networks, count. */
function wake(map: models.Model, ...inputs: readonly string[]): void {
  for (const input of inputs) {
    const last = namedParameters(map).get(`${input}_mlp.2.weight`)!;
    last.write(new Float32Array(last.size).fill(0.1));
  }
}
const [t, label] = [[0, 0.3, 1], Uint32Array.of(0, 2, 3)];

for (const type of ["UNet_FM", "UNet_FM_Residuals"] as const) {
  const test = type === "UNet_FM" ? testOnCpu : testOnDevices;
  test(`${type} as a flow map begins as the flow, and takes length and guidance for each row`, async () => {
    const network = createModel(options(type), 1);
    const x = noise(1, [3, 1, 8, 8]), at = [tensor(t), tensor(label)] as const;
    const map = createModel({ ...options(type), flowMap: true, maxGuidance: 3 }, 2);
    const parameters = namedParameters(map);
    for (const [name, { data }] of await models.stateOf(network)) parameters.get(name)!.write(data);
    const jump = (d: number[], scale: number | Tensor = 1) =>
      guided(map, { scale, none: 3 }).meanVelocity!(x, at[0], tensor(d), at[1]).read();
    const [still, far] = [[0, 0, 0], [1, 0.7, 0]];
    const expected = await network.velocity(x, ...at).read();
    for (const d of [still, far]) {
      for (const scale of [1, 2]) assert.deepEqual(await jump(d, scale), expected, "to the bit, at start");
    }
    wake(map, "step", "guidance");
    const [a, b] = [await jump(still), await jump(far)];
    assertSameNumbers(await map.velocity(x, ...at).read(), a, "the velocity is that of d = 0");
    assert.notDeepEqual(a.slice(0, 128), b.slice(0, 128));
    assert.deepEqual(a.slice(128), b.slice(128), "each row has its own d");
    const rows = await jump(far, tensor([1, 2, 3]));
    for (const [n, scale] of [1, 2, 3].entries()) {
      const all = await jump(far, scale);
      assert.deepEqual(rows.subarray(64 * n, 64 * n + 64), all.subarray(64 * n, 64 * n + 64));
      assert.equal(
        scale === 1,
        `${all}` === `${await map.meanVelocity!(x, at[0], tensor(far), at[1]).read()}`,
      );
    }
    const one = guided(map, { scale: tensor([1.5]), none: 3 }); // one scale for all rows, as in a page
    assertSameNumbers(await one.velocity(x, ...at).read(), await jump(still, 1.5));
    const drawn = [1, 2].map((scale) => {
      const how = {
        x0: noise(4, [2, 1, 8, 8]),
        solver: "map",
        condition: tensor(Uint32Array.of(0, 1)),
      } as const;
      return sample(guided(map, { scale, none: 3 }), how).read();
    });
    assert.notDeepEqual(await drawn[0], await drawn[1]);
  });
}

testOnCpu("saveCheckpoint() and loadCheckpoint() keep a flow map", async () => {
  const map = createModel({ ...options("UNet_FM"), flowMap: true, maxGuidance: 1.5 }, 3);
  const { model, info } = loadCheckpoint(await models.saveCheckpoint(map), "map");
  assert.deepEqual([info.config.flowMap, info.config.maxGuidance], [true, 1.5]);
  assertSameNumbers(await models.stateOf(model), await models.stateOf(map));
  const plain = await models.saveCheckpoint(createModel(options("UNet_FM"), 3));
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

testOnCpu("sample() with map takes x + d u(x, t, d) in one evaluation per step, by default one", async () => {
  const x0 = tensor([1, 2, 3], [3, 1]);
  assert.deepEqual([...await sample(jumping, { x0, solver: "map" }).read()], [5, 7, 9]);
  const two = (x: number) => 1.5 * (1.5 * x + 0.75) + 0.5 * (1 + 1.5);
  assert.deepEqual([...await sample(jumping, { x0, solver: "map", steps: 2 }).read()], [1, 2, 3].map(two));
  assert.deepEqual([1, 2, 3, 5].map((n) => models.flowMapTimes(n).slice(1, -1)), [
    [],
    [1 / 2],
    [1 / 2, 7 / 8],
    [1 / 2, 5 / 8, 3 / 4, 7 / 8],
  ]);
  const times = [0, 1 / 2, 11 / 16, 7 / 8, 1];
  const of = (how: models.TimesOptions) => sample(jumping, { x0, solver: "map", ...how }).read();
  assert.deepEqual(await of({ steps: 4 }), await of({ times }));
  assert.notDeepEqual(await of({ steps: 4 }), await of({ steps: 4, grid: "uniform" }));
  const counts = [{}, { steps: 1 }, { steps: 4 }].map((how) => evaluationsOf({ solver: "map", ...how }));
  assert.deepEqual(counts, [1, 1, 4]);
  const how = { solver: "map", condition: tensor([10, 20, 30]), batch: 2 } as const;
  const { samples, evaluations } = await models.solveFlow(jumping, x0, how);
  assert.deepEqual([[...samples], evaluations], [[15, 27, 39], 1]);
});

testOnCpu("flow maps and the solver map refuse what they cannot do", async () => {
  const x0 = tensor([1, 2, 3], [3, 1]), images = noise(1, [3, 1, 8, 8]);
  const made = (more: object) => createModel({ ...options("UNet_FM"), flowMap: true, ...more }, 3);
  const [map, learned] = [made({}), made({ maxGuidance: 2 })];
  const how = { x0: images, solver: "map", condition: tensor(label) } as const;
  const missing = /^TypeError: Cannot jump from t to t \+ d: the field has no mean velocity/;
  const network = /^TypeError: Cannot make a network/;
  const refused: [RegExp, () => unknown][] = [
    [missing, () => sample({ velocity: (x: Tensor) => x }, { x0, solver: "map" })],
    [/no mean velocity with guidance/, () => sample(guided(map, { scale: 2, none: 3 }), how)],
    [
      /^TypeError: Cannot go from t = 1 to 0 with a flow map/,
      () => new models.Sampler(jumping, [3, 1], { solver: "map" }).run(x0, { from: 1, to: 0 }),
    ],
    [/it has no error estimate/, () => models.solveFlow(jumping, x0, { solver: "map", rtol: 0.1 })],
    [/^TypeError: Cannot make a flow map that predicts data/, () => made({ prediction: "data" })],
    ...[0, 0.9, 2.1].map((scale): [RegExp, () => unknown] => [
      /^RangeError: .* scales from 1 to 2 /,
      () => guided(learned, { scale, none: 3 }),
    ]),
    [/^TypeError: .*CFG-Zero\*/, () => guided(learned, { scale: 2, none: 3, zeroStar: true })],
    [/^TypeError: .*an interval/, () => guided(learned, { scale: 2, none: 3, interval: [0, 1] })],
    ...[{ flowMap: false }, { classes: 0 }, { maxGuidance: 0 }].map((lacking): [RegExp, () => unknown] => [
      network,
      () => made({ maxGuidance: 2, ...lacking }),
    ]),
  ];
  for (const [message, call] of refused) await assert.rejects(async () => await call(), message);
  const unguided = sample(guided(map, { scale: 1, none: 3 }), how);
  assertSameNumbers(await unguided.read(), await sample(map, how).read(), "scale 1 keeps the map");
});
