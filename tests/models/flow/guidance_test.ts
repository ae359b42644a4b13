/** Fields: guided ones, wrappers, and functions that take a field. */

import assert from "node:assert/strict";
import {
  add,
  gatherRows,
  mean,
  multiply,
  reshape,
  slice,
  sum,
  Tensor,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import { describeValue } from "../../../kernels/core/checks.ts";
import * as models from "../../../models/mod.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { counted } from "../../../models/flow/field.ts";
import { flowMatching, lossOf } from "../../../models/flow/objective.ts";
import { cosinePath } from "../../../models/flow/path.ts";
import { solverStep } from "../../../models/solve/tableau.ts";

const { autoguided, batchSource, createModel, guided, heun, noise, sample, Sampler } = models;
type Field = models.VelocityField;
const classes = 3, shape = [4, 1, 8, 8];
const f32 = (...values: number[]) => tensor(values);
const u32 = (...values: number[]) => tensor(Uint32Array.from(values));

for (const type of models.modelTypes) {
  testOnCpu(`guided() is conditional at scale 1, unconditional at 0, to the bit: ${type}`, async () => {
    const model = createModel({ type, filters: [4, 8], tEmb: 6, groups: 2, classes }, 7);
    const weight = models.namedParameters(model).get("label_emb.weight")!;
    weight.write(Float32Array.from({ length: weight.size }, (_, i) => Math.sin(3 * i)));
    const [x, t, condition] = [noise(1, shape), f32(0, 0.03, 0.5, 0.9), u32(2, 0, 1, 2)];
    const conditional = await model.velocity(x, t, condition).read();
    const unconditional = await model.velocity(x, t).read();
    assert.notDeepEqual(conditional, unconditional);
    const at = (scale: models.GuidanceOptions["scale"]) =>
      guided(model, { scale, none: classes }).velocity(x, t, condition).read();
    for (const scale of [1, f32(1)]) assertSameNumbers(await at(scale), conditional);
    for (const scale of [0, f32(0)]) assertSameNumbers(await at(scale), unconditional);
    const expected = conditional.map((v, i) => unconditional[i] + 2.5 * (v - unconditional[i]));
    assertClose(await at(2.5), expected, 1e-5);
  });
}

/** v(x, t, c) = a(c) x + b(c), in closed form; c = 9 means none. */
const affine: Field = {
  velocity(x, _t, condition) {
    const [a, b] = [[0, -2, ...Array(7).fill(7), 0.5].with(0, 1), [0, 0.5, ...Array(7).fill(7), 1]];
    const each = (values: number[]) => reshape(gatherRows(tensor(values), condition!), [x.shape[0], 1]);
    return add(multiply(x, each(a)), each(b));
  },
};

testOnCpu("guided() guides only inside the interval, at each sample's own time", async () => {
  const [x, t, condition] = [tensor([1, 2, 3, 4, 5, 6], [3, 2]), f32(0.1, 0.4, 0.8), u32(1, 0, 1)];
  const field = guided(affine, { scale: 3, none: 9, interval: [0.3, 0.6] });
  assert.equal(field.guided, true);
  const [first, c, last, u] = [[-1.5, -3.5], [3, 4], [-9.5, -11.5], [2.5, 3]];
  const second = c.map((v, i) => u[i] + 3 * (v - u[i]));
  assertClose(await field.velocity(x, t, condition).read(), [...first, ...second, ...last], 1e-6);
});

testOnCpu("guided() with CFG-Zero* scales the unconditional velocity, and starts at rest", async () => {
  const [x, condition] = [tensor([1, 2, 3, 4], [2, 2]), u32(0, 0)];
  const field = guided(affine, { scale: 2, none: 9, zeroStar: true });
  const [c, u] = [[3, 4], [2.5, 3]];
  const s = (c[0] * u[0] + c[1] * u[1]) / (u[0] ** 2 + u[1] ** 2);
  const expected = [0, 0, ...c.map((value, i) => s * u[i] + 2 * (value - s * u[i]))];
  assertClose(await field.velocity(x, f32(0.03, 0.04), condition).read(), expected, 1e-6);
  // If both velocities are equal, s is 1 and nothing changes.
  const same = guided({ velocity: (x) => multiply(x, 2) }, { scale: 4, none: 9, zeroStar: true });
  assertClose(await same.velocity(x, f32(0.5, 0.5), condition).read(), [2, 4, 6, 8], 1e-6);
});

testOnCpu("guided() accepts conditions of any row shape, and evaluates the field once", async () => {
  let calls = 0;
  const velocity: Field["velocity"] = (x, _t, condition) => (calls++, add(x, sum(condition!, [1], true)));
  const condition = tensor([1, 2, 3, 4], [2, 2]), none = tensor([0.5, 0.5], [1, 2]);
  const v = guided({ velocity }, { scale: 2, none }).velocity(tensor([1, 2], [2, 1]), f32(0, 0), condition);
  assertClose(await v.read(), [2 + 2 * (4 - 2), 3 + 2 * (9 - 3)], 1e-6);
  assert.equal(calls, 1);
});

testOnCpu("Sampler records a guided field once: scale and labels may change between runs", async () => {
  const [x0, scale, condition] = [tensor([1, -2, 3], [3, 1]), f32(0), u32(0, 0, 0)];
  const options = { steps: 3, condition };
  const sampler = new models.Sampler(guided(affine, { scale, none: 9 }), [3, 1], options);
  for (const [w, label] of [[1, 0], [2, 1], [0, 1]] as const) {
    scale.write(Float32Array.of(w));
    condition.write(new Uint32Array(3).fill(label));
    const fresh = sample(guided(affine, { scale: w, none: 9 }), { x0, ...options });
    assertClose(await sampler.run(x0).read(), await fresh.read(), 1e-5);
  }
});

testOnCpu("autoguided() extrapolates from the weaker field, and is the field at scale 1", async () => {
  const [strong, weak]: Field[] = [2, 3].map((factor) => ({ velocity: (x) => multiply(x, factor) }));
  const at = (scale: number) => autoguided(strong, weak, scale);
  for (const [scale, factor] of [[1, 2], [0, 3], [-1, 4], [2, 1]]) {
    assert.deepEqual([...await at(scale).velocity(f32(1, 5), f32(0, 0)).read()], [factor, 5 * factor]);
  }
  assert.deepEqual([2, 1].map((scale) => at(scale).guided), [true, undefined]);
});

testOnCpu(
  "a flow map keeps its mean velocity when guidance changes nothing, and loses it otherwise",
  async () => {
    const map: Field = { velocity: (x) => x, meanVelocity: (x, t, d) => add(x, add(t, d)) };
    const other: Field = { velocity: (x) => x };
    const how = { x0: tensor([1, 2], [2]), condition: u32(0, 0), solver: "map", steps: 2 } as const;
    const expected = await sample(map, how).read();
    const unchanged = [...[0, 1].map((scale) => guided(map, { scale, none: 1 })), autoguided(map, other, 1)];
    for (const same of unchanged) assertSameNumbers(await sample(same, how).read(), expected);
    const meanVelocity: Field["meanVelocity"] = (x, _t, _d, condition) =>
      add(multiply(x, 0), gatherRows(f32(0, 1), condition!));
    const row = guided({ ...other, meanVelocity }, { scale: 0, none: 1 });
    assert.deepEqual([...await sample(row, how).read()], [2, 3]);
    for (const moved of [guided(map, { scale: 2, none: 1 }), autoguided(map, other, 2)]) {
      assert.equal(moved.meanVelocity, undefined);
    }
  },
);

testOnCpu("guided() sets `guided`, and refuses invalid options", () => {
  const field: Field = { velocity: (x) => x };
  const made = (given: object) => guided(field, { scale: 2, none: 3, ...given });
  const flags = [{ scale: 1 }, { scale: 0 }, { scale: 0, interval: [0, 0.5] }, {}].map((how) =>
    made(how).guided
  );
  assert.deepEqual(flags, [undefined, undefined, true, true]);
  const refused: [() => unknown, string][] = [
    ...[NaN, undefined, "2"].map((scale): [() => unknown, string] => [
      () => made({ scale }),
      `RangeError: Cannot guide with scale ${describeValue(scale)} (expected a finite number)`,
    ]),
    ...[NaN, Infinity].map((scale): [() => unknown, string] => [
      () => autoguided(field, field, scale),
      `RangeError: Cannot guide with scale ${scale} (expected a finite number)`,
    ]),
    ...[[0.5, 0.2], [-1, 1], [0, 2], [NaN, 1]].map((interval): [() => unknown, string] => [
      () => made({ interval }),
      `RangeError: Cannot guide in the interval ${
        interval.join(" to ")
      } (expected times 0 <= from <= to <= 1)`,
    ]),
    ...[-1, 1.5, NaN, 2 ** 32, undefined, "3"].map((none): [() => unknown, string] => [
      () => made({ none }),
      `RangeError: Cannot guide: none is ${
        describeValue(none)
      } (expected a whole number from 0 to 4294967295)`,
    ]),
    ...[0, 1.5, 2].map((scale): [() => unknown, string] => [
      () => made({ scale }).velocity(f32(1), f32(0)),
      "TypeError: Cannot guide without a condition (expected one row per sample)",
    ]),
  ];
  for (const [call, message] of refused) {
    assert.throws(call, (error: Error) => `${error}` === message || assert.fail(`${error}, not ${message}`));
  }
});

const square = [2, 1, 4, 4];
const trainerOptions = { batchSize: 2, seed: 1, learningRate: 0.1 };

/** Wrong velocities and what messages call them. Some would broadcast to the shape of x. */
const wrong: readonly (readonly [velocity: (x: Tensor) => unknown, given: string])[] = [
  [(x) => mean(x), "f32[]"],
  [(x) => mean(x, [1, 2, 3], true), "f32[2, 1, 1, 1]"],
  [(x) => slice(x, 0, 0, 1), "f32[1, 1, 4, 4]"],
  [(x) => new Tensor(x.storage, x.shape, "u32"), "u32[2, 1, 4, 4]"],
  [() => undefined, "undefined"],
  [() => 1, "1"],
  [(x) => [x], "an array"],
  [(x) => Promise.resolve(x), "a promise"],
];

/** A model with parameters and the velocity of a field. */
const trained = (field: Field) =>
  Object.assign(models.createModel({ type: "UNet_FM", filters: [2], tEmb: 2 }, 1), {
    velocity: (x: Tensor, t: Tensor) => field.velocity(x, t),
  });
const three = () => [zeros(square), zeros(square), zeros([2])] as const;

/** All functions that take a field. */
const uses: readonly ((field: Field) => unknown)[] = [
  (field) => models.sample(field, { x0: zeros(square), steps: 2 }),
  (field) => new Sampler(field, square, { steps: 2 }),
  (field) => new Sampler(field, square, { steps: 2, solver: { ...heun, firstSameAsLast: true } }),
  (field) => new models.AdaptiveSampler(field, square),
  (field) => models.logLikelihood(field, zeros(square), { steps: 2, exact: true }),
  (field) => models.flowGeometry(field, zeros(square), { steps: 2 }),
  (field) => models.roundTrip(field, zeros(square), { steps: 2 }),
  (field) => new Sampler(field, square, { solver: "sde", steps: 2 }),
  (field) => Sampler.plan(field, square, { steps: 2 }),
  (field) => models.trajectory(field, { x0: zeros(square), steps: 2 }),
  (field) => solverStep(heun, field, zeros(square), zeros([2]), zeros([2])),
  (field) => lossOf(flowMatching, field, { x0: three()[0], x1: three()[1], t: three()[2] }),
  (field) => models.flowMatchingLoss(field, ...three()),
  (field) => new models.HeldOutLoss(field, batchSource(zeros(square)), { batchSize: 2, seed: 1 }),
  (field) =>
    new models.Trainer(trained(field), batchSource(zeros(square)), trainerOptions)
      .queueStep(Uint32Array.of(0, 1), 0.1),
  (field) => models.fit(trained(field), zeros(square), { steps: 1 }),
];

testOnCpu("functions that take a field refuse a velocity of the wrong shape or type", async () => {
  for (const run of uses) {
    for (const [velocity, given] of wrong) {
      const late = given === "a promise" ? " from a synchronous function" : "";
      await assert.rejects(async () => await run({ velocity } as unknown as Field), {
        name: given.includes("[") ? "ShapeError" : "TypeError",
        message: `Cannot use the field: velocity() of x f32[2, 1, 4, 4] returned ${given} ` +
          `(expected f32[2, 1, 4, 4]${late})`,
      }, `${run}: ${given}`);
    }
    await assert.rejects(async () => await run({} as Field), { name: "TypeError" }, `${run}`);
  }
});

const points = [2, 3];
const plain: Field = { velocity: (x: Tensor) => multiply(x, 2) };

/** All wrappers of fields. */
const wrappers: Record<string, (field: Field) => Field> = {
  counted: (field) => counted(field),
  "guided at scale 0": (field) => guided(field, { scale: 0, none: 2 }),
  "guided at scale 1": (field) => guided(field, { scale: 1, none: 2 }),
  "guided at scale 2": (field) => guided(field, { scale: 2, none: 2 }),
  "autoguided at scale 1": (field) => autoguided(field, plain, 1),
  "autoguided at scale 2": (field) => autoguided(field, plain, 2),
  "predicting on its own path": (field) =>
    models.predicting(field, models.velocityPrediction, field.path ?? models.linearPath),
};

testOnCpu("a wrapped field says whether it is guided, and for which path", async () => {
  const x1 = zeros(points), condition = tensor(Uint32Array.of(0, 1));
  for (const [name, wrapped] of Object.entries(wrappers)) {
    await assert.rejects(
      models.logLikelihood(wrapped({ ...plain, guided: true }), x1, { exact: true, condition }),
      /Cannot take the likelihood of a guided field/,
      name,
    );
    const field = wrapped({ ...plain, path: cosinePath }),
      how = { solver: "sde", steps: 2, condition } as const;
    const refused =
      /^TypeError: Cannot sample with noise: the field is for another path.*expected the linear/;
    assert.throws(() => new Sampler(field, points, how), refused, name);
    await assert.rejects(models.solveFlow(field, x1, how), refused, name);
  }
});

testOnCpu("a field whose `path` is not a path is refused with a clear message", async () => {
  class Field extends models.Module {
    readonly path = "downs";
    readonly weight = tensor([1]);
    readonly velocity = plain.velocity;
  }
  const field = new Field() as unknown as models.Module & models.VelocityField;
  const message = /^Cannot use the field: its path is not a path from noise to data \(expected /;
  const refused = { name: "TypeError", message };
  assert.throws(() => counted(field).path, refused);
  assert.throws(() => new Sampler(field, points, { solver: "sde", steps: 2 }), refused);
  await assert.rejects(() => models.fit(field, tensor([1, 2, 3, 4, 5, 6], points), { steps: 1 }), refused);
});
