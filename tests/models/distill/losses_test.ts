/** The losses of a distillation's stages. */

import assert from "node:assert/strict";
import {
  add,
  gatherRows,
  gradients,
  meanSquaredError,
  multiply,
  reshape,
  sin,
  subtract,
  sum,
  type Tensor,
  tensor,
  uniforms,
  zeros,
} from "../../../kernels/mod.ts";
import {
  alongFlow,
  BakeLoss,
  type BatchSource,
  batchSource,
  createModel,
  DriftLoss,
  flowGeometry,
  guided,
  MeanMapLoss,
  type Model,
  namedParameters,
  noise,
  ReflowLoss,
  sample,
  ShortcutMapLoss,
  stateOf,
  type StepLoss,
  TaughtLoss,
  Trainer,
} from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";

const shape = [1, 8, 8];
const small = { type: "UNet_FM_Residuals", filters: [4, 8], tEmb: 8, groups: 4, classes: 3 } as const;
const labels = Uint32Array.from({ length: 30 }, (_, i) => i % 3);
const images = () => tensor(uniforms(1, 0, 0, 30 * 64).map((u) => 2 * u - 1), [30, ...shape]);
const source = () =>
  batchSource({ x1: images(), condition: tensor(labels) }, {
    size: 64,
    values: () => new Float32Array(),
    labels: (examples) => examples.map((n) => labels[n]),
  });

/** A flow map whose step embedding is not zero any more. */
function flowMap(seed = 2): Model {
  const map = createModel({ ...small, flowMap: true }, seed);
  const last = namedParameters(map).get("step_mlp.2.weight")!;
  last.write(uniforms(seed, 0, 1, last.size).map((u) => 0.4 * (u - 0.5)));
  return map;
}

function distillation(
  student: Model,
  teacher: Model | { velocity: Model["velocity"] } = createModel(small, 1),
) {
  return { student, teacher, source: source(), batchSize: 6 };
}

const examples = Uint32Array.of(0, 4, 8, 9, 13, 17);

async function valueOf(loss: StepLoss, student: Model, step = 0): Promise<number> {
  loss.write(examples, 7, step);
  return (await loss.loss(namedParameters(student)).read())[0];
}

/** The mean rule for steps of length 0 only. */
class StillLoss extends MeanMapLoss {
  protected override lengths(t: Tensor): Tensor {
    return zeros(t.shape);
  }
}

/** Flow matching on the teacher's velocity, at the points of the mean rule. */
class VelocityLoss extends TaughtLoss {
  override loss(): Tensor {
    const { xt, t, condition, v } = this.points();
    return meanSquaredError(this.student.velocity(xt, t, condition), v);
  }
}

testOnDevices(
  "MeanMapLoss() of steps of length 0 has the loss and gradients of flow matching, to the bit",
  async () => {
    const map = flowMap();
    const parameters = namedParameters(map);
    const of = (loss: StepLoss) => {
      loss.write(examples, 7, 0);
      const value = loss.loss(parameters);
      return Promise.all([value, ...gradients(value, [...parameters.values()])].map((each) => each.read()));
    };
    const how = distillation(map);
    assert.deepEqual(await of(new StillLoss(how)), await of(new VelocityLoss(how, 0.25)));
  },
);

testOnDevices("alongFlow() is the derivative along (v, 1, -1)", async () => {
  const closed = {
    velocity: (x: Tensor) => x,
    meanVelocity: (x: Tensor, t: Tensor, d: Tensor) =>
      sin(add(multiply(x, 2), reshape(add(multiply(t, 3), multiply(d, 5)), [x.shape[0], 1]))),
  };
  const [x, v, t, d] = [[0.1, -0.5, 0.9, 0.3], [1, -2, 0.5, 0], [0, 0.2, 0.5, 0.7], [1, 0.5, 0, 0.3]];
  const [u, slope] = alongFlow(closed, tensor(x, [4, 1]), tensor(t), tensor(d), tensor(v, [4, 1]));
  const angles = x.map((_, i) => 2 * x[i] + 3 * t[i] + 5 * d[i]);
  assertClose(await u.read(), angles.map(Math.sin), 1e-6);
  assertClose(await slope.read(), angles.map((angle, i) => Math.cos(angle) * (2 * v[i] + 3 - 5)), 1e-6);
});

testOnDevices("alongFlow() of a network agrees with reverse-mode derivatives", async () => {
  const map = flowMap();
  const [x, v, label] = [noise(1, [3, ...shape]), noise(2, [3, ...shape]), tensor(Uint32Array.of(0, 1, 3))];
  const [t, d] = [tensor([0, 0.3, 0.6]), tensor([1, 0.5, 0.2])];
  const [, along] = alongFlow(map, x, t, d, v, label);
  // <a, J (v, 1, -1)> = <J^T a, (v, 1, -1)> for a = the derivative, and for other directions
  for (const a of [along, noise(3, x.shape), noise(4, x.shape)]) {
    const u = map.meanVelocity!(x, t, d, label);
    const [dx, dt, dd] = gradients(sum(multiply(u, a)), [x, t, d]);
    const exact = (await sum(multiply(dx, v)).read())[0] + (await sum(dt).read())[0] -
      (await sum(dd).read())[0];
    const estimate = (await sum(multiply(a, along)).read())[0];
    const size = Math.sqrt(
      (await sum(multiply(a, a)).read())[0] * (await sum(multiply(along, along)).read())[0],
    );
    assert.ok(Math.abs(estimate - exact) <= 1e-5 * size, `${estimate} instead of ${exact}, of ${size}`);
  }
});

testOnDevices("BakeLoss() is 0 for the teacher itself, and learns its guidance", async () => {
  const map = flowMap();
  assert.equal(await valueOf(new BakeLoss(distillation(map, map)), map), 0);
  const teacher = guided(map, { scale: 3, none: 3 });
  assert.ok(await valueOf(new BakeLoss(distillation(map, teacher)), map) > 0);
});

/** Fields of dx/dt = slope t. */
testOnCpu(
  "MeanMapLoss() and ShortcutMapLoss() are 0 for the exact flow map, and positive for others",
  async () => {
    const flow = (slope: number) => ({
      velocity: (x: Tensor, t: Tensor) => add(multiply(x, 0), reshape(multiply(t, slope), [t.size, 1, 1, 1])),
      // X(t + d) - X(t) = slope (t d + d^2 / 2)
      meanVelocity: (x: Tensor, t: Tensor, d: Tensor) =>
        add(multiply(x, 0), reshape(multiply(add(t, multiply(d, 0.5)), slope), [t.size, 1, 1, 1])),
    });
    const [exact, other] = [flow(2), flow(3)] as unknown as Model[];
    for (const Loss of [MeanMapLoss, ShortcutMapLoss]) {
      const of = (student: Model) => {
        const loss = new Loss({ ...distillation(student, exact) });
        loss.write(examples, 7, 0);
        return loss.loss(new Map()).read();
      };
      assert.ok((await of(exact))[0] < 1e-5, `${Loss.name} of the exact map`);
      assert.ok((await of(other))[0] > 0.01, `${Loss.name} of another map`);
    }
  },
);

testOnCpu("the losses of a map with guidance as an input teach it every scale of its teacher", async () => {
  const byClass = (condition: Tensor, x: Tensor) =>
    reshape(gatherRows(tensor([1, 2, 3, 0.5], [4, 1]), condition), [x.shape[0], 1, 1, 1]);
  const teacher = { velocity: (x: Tensor, _t: Tensor, y?: Tensor) => add(multiply(x, 0), byClass(y!, x)) };
  const student = (slope: number) =>
    ({
      ...{ classes: 3, maxGuidance: 2.5 },
      velocity: (x: Tensor, _t: Tensor, y?: Tensor) => add(multiply(x, 0), byClass(y!, x)),
      meanVelocity(x: Tensor, _t: Tensor, _d: Tensor, y?: Tensor, w?: Tensor) {
        const beyond = multiply(
          subtract(byClass(y!, x), 0.5),
          reshape(subtract(w!, 1), [x.shape[0], 1, 1, 1]),
        );
        return add(add(multiply(x, 0), byClass(y!, x)), multiply(beyond, slope));
      },
    }) as unknown as Model;
  for (const Loss of [BakeLoss, MeanMapLoss, ShortcutMapLoss]) {
    const of = (slope: number) => valueOf(new Loss(distillation(student(slope), teacher)), student(slope));
    assert.ok(await of(1) < 1e-9, `${Loss.name} of the teacher's own guidance`);
    assert.ok(await of(0.5) > 0.01, `${Loss.name} of too little`);
  }
});

testOnCpu("ReflowLoss() straightens the teacher's flow, and learns its images in one step", async () => {
  const teacher = createModel(small, 5);
  const last = namedParameters(teacher).get("last.weight")!;
  last.write((await last.read()).map((w) => 8 * w)); // bends the flow
  const student = createModel({ ...small, flowMap: true }, 5);
  const parameters = namedParameters(student);
  for (const [name, { data }] of await stateOf(teacher)) parameters.get(name)!.write(data);
  const [x0, condition] = [
    noise(9, [48, ...shape]),
    tensor(Uint32Array.from({ length: 48 }, (_, i) => i % 3)),
  ];
  const x1 = sample(teacher, { x0, condition, steps: 10 });
  const pairs = batchSource({ x0, x1, condition });
  const loss = new ReflowLoss({ student, batchSize: 12 }, pairs, { count: 48, whole: 0.5 });
  const how = { batchSize: 12, seed: 1, learningRate: 5e-3 };
  const trainer = new Trainer(student, pairs, { ...how, stages: [{ steps: 80, losses: [loss] }] });
  const bend = async (field: Model) => {
    const { straightness } = await flowGeometry(field, x0, { steps: 6, condition });
    return straightness.reduce((a, b) => a + b) / 48;
  };
  const miss = async () =>
    (await meanSquaredError(sample(student, { x0, condition, solver: "map" }), x1).read())[0];
  const before = [await bend(student), await miss()];
  for (let step = 0; step < 80; step++) trainer.queueStep(examples, 5e-3);
  const after = [await bend(student), await miss()];
  assert.ok(after[0] < 0.7 * before[0], `straightness ${before[0]} to ${after[0]}`);
  assert.ok(after[1] < 0.7 * before[1], `distance of one step ${before[1]} to ${after[1]}`);
});

testOnCpu(
  "DriftLoss() moves noise to images of its class that differ as much as real ones",
  async () => {
    const pattern = (label: number, i: number) => Math.sin((label + 1) * i / 5);
    const classes = Uint32Array.from({ length: 60 }, (_, i) => i % 3);
    const strengths = uniforms(3, 0, 0, 60).map((u) => 0.5 + u);
    const values = Float32Array.from({ length: 60 * 64 }, (_, at) => {
      const n = Math.floor(at / 64);
      return strengths[n] * pattern(classes[n], at % 64);
    });
    const real = batchSource({ x1: tensor(values, [60, ...shape]), condition: tensor(classes) }, {
      size: 64,
      values: () => new Float32Array(),
      labels: (examples) => examples.map((n) => classes[n]),
    });
    const student = flowMap();
    const loss = new DriftLoss({ student, teacher: student, source: real, batchSize: 32 }, {
      encode: () => [],
      references: Uint32Array.from({ length: 60 }, (_, i) => i),
      others: 0.2,
      push: 0,
      classes: 3,
      evaluations: 1,
    });
    const trainer = new Trainer(student, real, {
      ...{ batchSize: 32, seed: 1, learningRate: 1e-2, clip: 1 },
      stages: [{ steps: 180, losses: [loss] }],
    });
    for (let step = 0; step < 180; step++) trainer.queueStep(examples, step < 140 ? 1e-2 : 2e-3);
    const drawing = { x0: noise(5, [60, ...shape]), condition: tensor(classes), solver: "map" } as const;
    const drawn = await sample(student, drawing).read();
    const product = (n: number, label: number) =>
      drawn.subarray(64 * n, 64 * n + 64).reduce((sum, x, i) => sum + x * pattern(label, i), 0) /
      Array.from({ length: 64 }, (_, i) => pattern(label, i) ** 2).reduce((a, b) => a + b);
    const own = Array.from(classes, (label, n) => product(n, label));
    const foreign = Array.from(classes, (label, n) => Math.abs(product(n, (label + 1) % 3)));
    const mean = (x: readonly number[]) => x.reduce((a, b) => a + b) / x.length;
    const deviation = Math.sqrt(mean(own.map((x) => (x - mean(own)) ** 2)));
    assert.ok(Math.abs(mean(own) - 1) < 0.2, `mean strength ${mean(own)} of the own class (real: 1)`);
    assert.ok(deviation > 0.15 && deviation < 0.5, `deviation ${deviation} (real: 0.29)`);
    assert.ok(mean(foreign) < 0.3, `mean strength ${mean(foreign)} of another class (real: 0)`);
  },
);

testOnCpu("DriftLoss() reads the real images of a file, and draws only classes that it has", async () => {
  const all = await images().read();
  const inMemory = source();
  const inFile = {
    ...inMemory,
    batch: (indices: Tensor) => ({ x1: zeros([indices.size, ...shape]) }), // for planning
    stage(batchSize: number) {
      const x1 = zeros([batchSize, ...shape]);
      const write = (examples: Uint32Array) =>
        x1.write(
          Float32Array.from({ length: x1.size }, (_, i) => all[64 * examples[Math.floor(i / 64)] + i % 64]),
        );
      return { write, batch: () => ({ x1 }) };
    },
  };
  const references = Uint32Array.from(labels.keys()).filter((n) => labels[n] > 0).reverse();
  const valueFrom = (source: BatchSource) => {
    const options = { encode: () => [], references, others: 0.2, push: 0, classes: 3, evaluations: 1 };
    const student = flowMap();
    return valueOf(new DriftLoss({ ...distillation(student), source }, options), student);
  };
  assert.equal(await valueFrom(inFile), await valueFrom(inMemory));
});
