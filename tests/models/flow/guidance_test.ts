import assert from "node:assert/strict";
import { add, gatherRows, multiply, reshape, sum, type Tensor, tensor } from "../../../kernels/mod.ts";
import { describeValue } from "../../../kernels/core/checks.ts";
import {
  autoguided,
  createModel,
  type GuidanceOptions,
  guided,
  modelTypes,
  namedParameters,
  noise,
  sample,
  Sampler,
  type VelocityField,
} from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const classes = 3;
const shape = [4, 1, 8, 8];
const labels = [2, 0, 1, 2];

/** An untrained network that depends on labels, and points to evaluate it at. */
function networkOf(type: typeof modelTypes[number]) {
  const model = createModel({ type, filters: [4, 8], tEmb: 6, groups: 2, classes }, 7);
  const weight = namedParameters(model).get("label_emb.weight")!;
  weight.write(Float32Array.from({ length: weight.size }, (_, i) => Math.sin(3 * i)));
  const times = Float32Array.of(0, 0.03, 0.5, 0.9);
  return { model, x: noise(1, shape), t: tensor(times), condition: tensor(Uint32Array.from(labels)) };
}

for (const type of modelTypes) {
  testOnDevices(`guided() is conditional at scale 1, unconditional at 0, to the bit: ${type}`, async () => {
    const { model, x, t, condition } = networkOf(type);
    const conditional = await model.velocity(x, t, condition).read();
    const unconditional = await model.velocity(x, t).read();
    assert.notDeepEqual(conditional, unconditional);
    const at = (scale: GuidanceOptions["scale"]) =>
      guided(model, { scale, none: classes }).velocity(x, t, condition).read();
    for (const scale of [1, tensor(Float32Array.of(1))]) assert.deepEqual(await at(scale), conditional);
    for (const scale of [0, tensor(Float32Array.of(0))]) assert.deepEqual(await at(scale), unconditional);
    assertClose(
      await at(2.5),
      conditional.map((v, i) => unconditional[i] + 2.5 * (v - unconditional[i])),
      1e-5,
    );
  });
}

/** v(x, t, c) = a(c) x + b(c), in closed form; c = 9 means none. */
const affine = { 0: [1, 0], 1: [-2, 0.5], 9: [0.5, 1] } as const;
const affineField: VelocityField = {
  velocity(x, _t, condition) {
    const pick = (k: 0 | 1) =>
      reshape(
        [0, 1, 9].map((c) => multiply(equals(condition!, c), affine[c as keyof typeof affine][k]))
          .reduce((a, b) => add(a, b)),
        [x.shape[0], 1],
      );
    return add(multiply(x, pick(0)), pick(1));
  },
};

/** 1 for labels equal to `value`, else 0, f32[N]. */
function equals(labels: Tensor, value: number): Tensor {
  return gatherRows(tensor(Float32Array.from({ length: 10 }, (_, label) => label === value ? 1 : 0)), labels);
}

testOnDevices("guided() guides only inside the interval, at each sample's own time", async () => {
  const x = tensor(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
  const t = tensor(Float32Array.of(0.1, 0.4, 0.8));
  const condition = tensor(Uint32Array.of(1, 0, 1));
  const field = guided(affineField, { scale: 3, none: 9, interval: [0.3, 0.6] });
  assert.equal(field.guided, true);
  const c = [[-1.5, -3.5], [3, 4], [-9.5, -11.5]];
  const u = [2.5, 3];
  const second = c[1].map((v, i) => u[i] + 3 * (v - u[i]));
  assertClose(await field.velocity(x, t, condition).read(), [...c[0], ...second, ...c[2]], 1e-6);
});

testOnDevices("guided() with CFG-Zero* scales the unconditional velocity, and starts at rest", async () => {
  const x = tensor(Float32Array.of(1, 2, 3, 4), [2, 2]);
  const condition = tensor(Uint32Array.of(0, 0));
  const field = guided(affineField, { scale: 2, none: 9, zeroStar: true });
  const v = await field.velocity(x, tensor(Float32Array.of(0.03, 0.04)), condition).read();
  const [c, u] = [[3, 4], [2.5, 3]];
  const s = (c[0] * u[0] + c[1] * u[1]) / (u[0] ** 2 + u[1] ** 2);
  assertClose(v, [0, 0, ...c.map((value, i) => s * u[i] + 2 * (value - s * u[i]))], 1e-6);

  // If both velocities are equal, s is 1 and nothing changes.
  const same: VelocityField = { velocity: (x) => multiply(x, 2) };
  const t = tensor(Float32Array.of(0.5, 0.5));
  const still = await guided(same, { scale: 4, none: 9, zeroStar: true }).velocity(x, t, condition).read();
  assertClose(still, [2, 4, 6, 8], 1e-6);
});

testOnDevices("guided() accepts conditions of any row shape, and evaluates the field once", async () => {
  let calls = 0;
  const field: VelocityField = {
    velocity(x, _t, condition) {
      calls++;
      return add(x, sum(condition!, [1], true));
    },
  };
  const x = tensor(Float32Array.of(1, 2), [2, 1]);
  const condition = tensor(Float32Array.of(1, 2, 3, 4), [2, 2]);
  const none = tensor(Float32Array.of(0.5, 0.5), [1, 2]);
  const v = guided(field, { scale: 2, none }).velocity(x, tensor(new Float32Array(2)), condition);
  assertClose(await v.read(), [2 + 2 * (4 - 2), 3 + 2 * (9 - 3)], 1e-6);
  assert.equal(calls, 1);
});

testOnDevices("Sampler records a guided field once: scale and labels may change between runs", async () => {
  const { model } = networkOf("UNet_FM");
  const x0 = noise(2, shape);
  const scale = tensor(new Float32Array(1));
  const condition = tensor(new Uint32Array(shape[0]));
  const sampler = new Sampler(guided(model, { scale, none: classes }), shape, { steps: 3, condition });
  for (const [w, label] of [[1, 0], [2, 2], [0, 1]] as const) {
    scale.write(Float32Array.of(w));
    condition.write(new Uint32Array(shape[0]).fill(label));
    const fresh = guided(model, { scale: w, none: classes });
    const expected = sample(fresh, {
      x0,
      steps: 3,
      condition: tensor(new Uint32Array(shape[0]).fill(label)),
    });
    assertClose(await sampler.run(x0).read(), await expected.read(), 1e-5);
  }
});

testOnCpu("guided() sets `guided`, and refuses invalid options", () => {
  const field: VelocityField = { velocity: (x) => x };
  const made = (given: object) => guided(field, { scale: 2, none: 3, ...given });
  assert.deepEqual([made({ scale: 1 }).guided, made({ scale: 0 }).guided], [undefined, undefined]);
  assert.deepEqual([made({ scale: 0, interval: [0, 0.5] }).guided, made({}).guided], [true, true]);
  const scales = [NaN, undefined, "2"].map((scale) =>
    [{ scale }, `Cannot guide with scale ${describeValue(scale)} (expected a finite number)`] as const
  );
  const intervals = [[0.5, 0.2], [-1, 1], [0, 2], [NaN, 1]].map((interval) =>
    [
      { interval },
      `Cannot guide in the interval ${interval.join(" to ")} (expected times 0 <= from <= to <= 1)`,
    ] as const
  );
  const nones = [-1, 1.5, NaN, 2 ** 32, undefined, "3"].map((none) =>
    [
      { none },
      `Cannot guide: none is ${describeValue(none)} (expected a whole number from 0 to 4294967295)`,
    ] as const
  );
  for (const [given, message] of [...scales, ...intervals, ...nones]) {
    assert.throws(() => made(given), { name: "RangeError", message });
  }
  for (const scale of [0, 1, 2]) {
    assert.throws(() => made({ scale }).velocity(tensor([1]), tensor([0])), {
      name: "TypeError",
      message: "Cannot guide without a condition (expected one row per sample)",
    });
  }
});

testOnDevices("autoguided() extrapolates from the weaker field, and is the field at scale 1", async () => {
  const [model, weaker] = [7, 8].map((seed) => {
    return createModel({ type: "UNet_FM_Residuals", filters: [4, 8], tEmb: 6, groups: 2 }, seed);
  });
  const [x, t] = [noise(1, [3, 1, 8, 8]), tensor(Float32Array.of(0, 0.5, 0.9))];
  const strong = await model.velocity(x, t).read();
  const weak = await weaker.velocity(x, t).read();
  const at = (scale: number) => autoguided(model, weaker, scale).velocity(x, t).read();
  assert.deepEqual([await at(1), await at(0)], [strong, weak]);
  for (const scale of [-1, 2]) {
    assertClose(await at(scale), strong.map((v, i) => weak[i] + scale * (v - weak[i])), 1e-5);
  }
  assert.deepEqual([2, 1].map((scale) => autoguided(model, weaker, scale).guided), [true, undefined]);
  for (const scale of [NaN, Infinity]) {
    assert.throws(() => autoguided(model, weaker, scale), {
      name: "RangeError",
      message: `Cannot guide with scale ${scale} (expected a finite number)`,
    });
  }
});

testOnCpu(
  "a flow map keeps its mean velocity when guidance changes nothing, and loses it otherwise",
  async () => {
    const map: VelocityField = { velocity: (x) => x, meanVelocity: (x, t, d) => add(x, add(t, d)) };
    const x0 = tensor([1, 2], [2]), condition = tensor(Uint32Array.of(0, 0));
    const other: VelocityField = { velocity: (x) => x };
    const how = { x0, condition, solver: "map", steps: 2 } as const;
    const expected = await sample(map, how).read();
    for (
      const same of [...[0, 1].map((scale) => guided(map, { scale, none: 1 })), autoguided(map, other, 1)]
    ) {
      assertSameNumbers(await sample(same, how).read(), expected);
    }
    const row: VelocityField = {
      velocity: (x) => x,
      meanVelocity: (x, _t, _d, condition) => add(multiply(x, 0), equals(condition!, 1)),
    };
    assert.deepEqual([...await sample(guided(row, { scale: 0, none: 1 }), how).read()], [2, 3]);
    for (const moved of [guided(map, { scale: 2, none: 1 }), autoguided(map, other, 2)]) {
      assert.equal(moved.meanVelocity, undefined);
    }
  },
);
