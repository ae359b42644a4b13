/** What the losses of a distillation draw and compute; the drift also against its formula in plain loops. */

import assert from "node:assert/strict";
import * as k from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { hostRows } from "../../../models/train/batches.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { drawGroups } from "../../../models/distill/drift.ts";
import { alongFlow } from "../../../models/distill/mean_map.ts";
import { streams } from "../../../models/random.ts";

type Tensor = k.Tensor;
const { add, gradients, meanSquaredError, multiply, reshape, subtract, sum, tensor, zeros } = k;
const { batchSource, DriftStage, MeanMapLoss, namedParameters, noise, PairsLoss } = models;

const total = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);
const mean = (values: ArrayLike<number>) => total(Array.from(values)) / values.length;
const shape = [1, 8, 8];
const small = { type: "UNet_FM_Residuals", filters: [4, 8], tEmb: 8, groups: 4, classes: 3 } as const;
const labels = Uint32Array.from(upTo(30), (i) => i % 3);
const examples = Uint32Array.of(0, 4, 8, 9, 13, 17);
/** Values f32[N] next to images. */
const each = (t: Tensor) => reshape(t, [t.size, 1, 1, 1]);

function source(): models.BatchSource {
  const x1 = tensor(k.uniforms(1, 0, 0, 30 * 64).map((u) => 2 * u - 1), [30, ...shape]);
  return batchSource({ x1, condition: tensor(labels) }, {
    ...{ size: 64, values: () => new Float32Array() },
    labels: (examples) => examples.map((n) => labels[n]),
  });
}

/** A flow map whose step embedding is not zero any more. */
function flowMap(seed = 2): models.Model {
  const map = models.createModel({ ...small, flowMap: true }, seed);
  const last = namedParameters(map).get("step_mlp.2.weight")!;
  last.write(k.uniforms(seed, 0, 1, last.size).map((u) => 0.4 * (u - 0.5)));
  return map;
}

const distillation = (student: unknown, teacher: models.VelocityField = models.createModel(small, 1)) => ({
  ...{ student: student as models.Model, teacher, source: source(), batchSize: 6 },
});

async function valueOf(loss: models.StepLoss, averaged: models.NamedTensors = new Map()): Promise<number> {
  loss.write(examples, 7, 0);
  return (await loss.loss(averaged).read())[0];
}

/** The mean rule for steps of length 0 only. */
class StillLoss extends MeanMapLoss {
  protected override lengths(t: Tensor): Tensor {
    return zeros(t.shape);
  }
}
/** Flow matching on the teacher's velocity, at the points of the mean rule. */
class VelocityLoss extends MeanMapLoss {
  override loss(): Tensor {
    const { xt, t, condition, v, map } = this.points();
    return meanSquaredError(map.velocity(xt, t, condition), v);
  }
}
/** Gives what the loss draws: times, lengths, and the teacher's velocity. */
class Draws extends MeanMapLoss {
  drawn() {
    const { t, v } = this.points();
    return [t, this.lengths(t), v] as const;
  }
}

testOnCpu("MeanMapLoss() of steps of length 0 is flow matching, to the bit, with its gradients", async () => {
  const map = flowMap(), parameters = namedParameters(map), how = distillation(map);
  const of = (loss: models.StepLoss) => {
    loss.write(examples, 7, 0);
    const value = loss.loss(parameters);
    return Promise.all([value, ...gradients(value, [...parameters.values()])].map((each) => each.read()));
  };
  assert.deepEqual(await of(new StillLoss(how)), await of(new VelocityLoss(how)));
});

testOnCpu("alongFlow() is the derivative along (v, 1, -1), also if t is given as d", async () => {
  const closed = {
    velocity: (x: Tensor) => x,
    meanVelocity: (x: Tensor, t: Tensor, d: Tensor) =>
      k.sin(add(multiply(x, 2), reshape(add(multiply(t, 3), multiply(d, 5)), [x.shape[0], 1]))),
  };
  const [x, v, t, d] = [[0.1, -0.5, 0.9, 0.3], [1, -2, 0.5, 0], [0, 0.2, 0.5, 0.7], [1, 0.5, 0, 0.3]];
  const time = tensor(t);
  for (const [lengths, given] of [[d, tensor(d)], [t, time]] as const) {
    const [u, slope] = alongFlow(closed, tensor(x, [4, 1]), time, given, tensor(v, [4, 1]));
    const angles = x.map((_, i) => 2 * x[i] + 3 * t[i] + 5 * lengths[i]);
    assertClose(await u.read(), angles.map(Math.sin), 1e-6);
    assertClose(await slope.read(), angles.map((angle, i) => Math.cos(angle) * (2 * v[i] + 3 - 5)), 1e-6);
  }
});

testOnCpu("alongFlow() of a network agrees with reverse-mode derivatives", async () => {
  const map = flowMap();
  const [x, v, label] = [noise(1, [3, ...shape]), noise(2, [3, ...shape]), tensor(Uint32Array.of(0, 1, 3))];
  const [t, d] = [tensor([0, 0.3, 0.6]), tensor([1, 0.5, 0.2])];
  const dot = async (a: Tensor, b: Tensor) => (await sum(multiply(a, b)).read())[0];
  const [, along] = alongFlow(map, x, t, d, v, label);
  // <a, J (v, 1, -1)> = <J^T a, (v, 1, -1)> for a = the derivative, and for other directions
  for (const a of [along, noise(3, x.shape), noise(4, x.shape)]) {
    const [dx, dt, dd] = gradients(sum(multiply(map.meanVelocity!(x, t, d, label), a)), [x, t, d]);
    const exact = await dot(dx, v) + await dot(subtract(dt, dd), tensor([1, 1, 1]));
    const size = Math.sqrt(await dot(a, a) * await dot(along, along));
    assertClose([await dot(a, along) / size], [exact / size], 1e-5);
  }
});

/** The flow map of dx/dt = slope t, with X(t + d) - X(t) = slope (t d + d^2 / 2). */
class Quadratic extends models.Module {
  readonly slope = tensor([0]);
  constructor(slope: number) {
    super();
    this.slope.write(Float32Array.of(slope));
  }
  velocity = (x: Tensor, t: Tensor) => add(multiply(x, 0), each(multiply(t, this.slope)));
  meanVelocity = (x: Tensor, t: Tensor, d: Tensor) => this.velocity(x, add(t, multiply(d, 0.5)));
}

testOnCpu("MeanMapLoss() is 0 for the exact flow map, and positive for others", async () => {
  const of = (student: Quadratic) => valueOf(new MeanMapLoss(distillation(student, new Quadratic(2))));
  assert.ok(await of(new Quadratic(2)) < 1e-5);
  assert.ok(await of(new Quadratic(3)) > 0.01);
});

/** A teacher that knows classes, and a student that adds `slope` of its guidance. */
const byClass = (x: Tensor, y?: Tensor) =>
  add(multiply(x, 0), reshape(k.gatherRows(tensor([1, 2, 3, 0.5], [4, 1]), y!), [x.shape[0], 1, 1, 1]));
const classes = { velocity: (x: Tensor, _t: Tensor, y?: Tensor) => byClass(x, y) };
const guidedBy = (slope: number) => ({
  ...{ ...classes, classes: 3, maxGuidance: 2.5 },
  meanVelocity: (x: Tensor, _t: Tensor, _d: Tensor, y?: Tensor, w?: Tensor) =>
    add(byClass(x, y), multiply(multiply(subtract(byClass(x, y), 0.5), each(subtract(w!, 1))), slope)),
});

testOnCpu("MeanMapLoss() of a map with guidance as an input teaches it every scale", async () => {
  const of = (slope: number) => valueOf(new MeanMapLoss(distillation(guidedBy(slope), classes)));
  assert.ok(await of(1) < 1e-9);
  assert.ok(await of(0.5) > 0.01, "too little");
});

testOnCpu("MeanMapLoss() draws points, lengths and guidance anew at each step", async () => {
  const N = 4000;
  const one = batchSource({ x1: zeros([1, 1, 1, 1]), condition: tensor(Uint32Array.of(0)) });
  const how = { ...distillation(guidedBy(1), classes), source: one, batchSize: N };
  const draws = new Draws(how);
  const at = async (seed: number, step: number) => {
    draws.write(new Uint32Array(N), seed, step);
    const [t, d, v] = await Promise.all(draws.drawn().map((each) => each.read()));
    return [t, d, v.map((v) => 1 + (v - 1) / 0.5)]; // v = 1 + (w - 1) (1 - 0.5)
  };
  const first = await at(3, 0), [t, d, w] = first;
  assert.deepEqual(await at(3, 0), first);
  for (const others of [await at(3, 1), await at(4, 0)]) {
    for (const [i, other] of others.entries()) {
      const [one, two] = [first, others].map((drawn) =>
        i === 1 ? drawn[1].map((d) => Math.sign(d)) : drawn[i]
      );
      assert.ok(one.length === other.length && one.some((value, n) => value !== two[n]), `draw ${i}`);
    }
  }
  const share = (fits: (i: number) => boolean) => upTo(N).filter(fits).length / N;
  assertClose([share((i) => t[i] === 0)], [0.25], 0.03);
  const moved = upTo(N).filter((i) => t[i] > 0);
  assertClose([mean(moved.map((i) => t[i]))], [0.5], 0.03);
  // The times of the middle are logistic functions of normal numbers, of which 9.5 % are beyond 1.67.
  const normal = moved.filter((i) => i % 2 === 0).map((i) => Math.log(t[i] / (1 - t[i])));
  assertClose([normal.filter((z) => Math.abs(z) > 1.67).length / normal.length], [0.095], 0.025);
  const [uniform, middle] = [1, 0].map((odd) =>
    mean(moved.filter((i) => i % 2 === odd).map((i) => (t[i] - 0.5) ** 2))
  );
  assertClose([uniform], [1 / 12], 0.01);
  assert.ok(middle < 0.05, `${middle} around the middle`);
  const part = (i: number) => d[i] / (1 - t[i]);
  assertClose([share((i) => d[i] === 0), share((i) => part(i) > 0.999)], [0.5, 0.15], 0.03);
  const between = upTo(N).filter((i) => part(i) > 0 && part(i) < 0.999).map(part);
  for (const [values, least, most] of [[between, 0, 1], [[...w], 1, 2.5]] as const) {
    assert.ok(values.every((value) => value >= least - 1e-5 && value <= most + 1e-5));
    for (const tenth of upTo(10)) {
      const inside = values.filter((value) => Math.floor(10 * (value - least) / (most - least)) === tenth);
      assertClose([inside.length / values.length], [0.1], 0.03);
    }
  }
});

testOnCpu("PairsLoss() learns each pair once per epoch, in a new order each time", async () => {
  const [count, batchSize] = [12, 4];
  const x1 = tensor(upTo(count).map((m) => 2 ** (m / 2)), [count, 1, 1, 1]); // the sum of squares identifies them
  const { student } = distillation({
    velocity: (x: Tensor) => x,
    meanVelocity: (x: Tensor) => multiply(x, 0),
  });
  const pairs = batchSource({ x0: zeros([count, 1, 1, 1]), x1 });
  const loss = new PairsLoss({ student, batchSize }, pairs, { count, whole: 0.5 });
  const batches: number[] = [];
  for (const step of upTo(6)) {
    loss.write(new Uint32Array(), 1, step);
    batches.push(Math.round(batchSize * (await loss.loss(new Map()).read())[0]));
  }
  assert.deepEqual([total(batches.slice(0, 3)), total(batches.slice(3))], [2 ** count - 1, 2 ** count - 1]);
  assert.notDeepEqual(batches.slice(0, 3), batches.slice(3));
});

testOnCpu("PairsLoss() learns steps of every length on straight lines, a share of them whole", async () => {
  const N = 4000;
  const [x0, x1] = [1, 4].map((value) => tensor(new Float32Array(N).fill(value), [N, 1, 1, 1]));
  let seen: readonly Tensor[] = [];
  const { student } = distillation({
    velocity: (x: Tensor) => x,
    meanVelocity(x: Tensor, t: Tensor, d: Tensor) {
      seen = [t, d];
      return add(subtract(x, each(add(1, multiply(t, 3)))), 3); // 3 on the line
    },
  });
  const loss = new PairsLoss({ student, batchSize: N }, batchSource({ x0, x1 }), { count: N, whole: 0.25 });
  const at = async (seed: number, step: number) => {
    loss.write(new Uint32Array(), seed, step);
    assertClose(await loss.loss(new Map()).read(), [0], 1e-9);
    const [t, d] = await Promise.all(seen.map((values) => values.read()));
    return [t, d.map((d, i) => t[i] < 1 ? d / (1 - t[i]) : 0)]; // lengths as shares of what is left
  };
  const [t, d] = await at(7, 0);
  assert.deepEqual(await at(7, 0), [t, d]);
  for (const others of [await at(7, 1), await at(8, 0)]) {
    others.forEach((values, i) => {
      assert.ok(mean(values.map((value, n) => Math.abs(value - [t, d][i][n]))) > 0.1);
    });
  }
  const wholes = N / 4;
  assert.ok(t.every((t, i) => i < wholes ? t === 0 && d[i] === 1 : t > 0 && d[i] <= 1 + 1e-6));
  for (const values of [t.slice(wholes), d.slice(wholes)]) {
    assertClose([mean(values), mean(values.map((value) => (value - 0.5) ** 2))], [0.5, 1 / 12], 0.02);
  }
});

/** Moves each image by its label, its time and a bias. */
class Shift extends models.Module {
  readonly bias = tensor([0]);
  velocity = (x: Tensor) => x;
  meanVelocity = (x: Tensor, t: Tensor, d: Tensor, label?: Tensor) => {
    const own = add(k.gatherRows(tensor([0, 1, 2], [3, 1]), label!), reshape(subtract(t, d), [t.size, 1]));
    return add(add(multiply(x, 0.1), each(own)), each(this.bias));
  };
}
const [P, n, D, others, push] = [128, 3, 4, 0.3, 0.2];

/**
 * The mean square of the drift V of groups of generated images x, each with real ones of two kinds, and the derivative
 * of the loss |x + S V - y|^2 / S^2 by a shift of all y = x.
 */
function driftOf(
  groups: readonly Record<"x" | "own" | "other", number[][]>[],
  others: number,
): [number, number] {
  const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((v, k) => v - b[k]));
  const all = groups.map(({ x, own, other }) => [...own, ...other, ...x]);
  const M = P + 2 * n;
  const distances = groups.map(({ x }, g) => x.map((row) => all[g].map((to) => distance(row, to))));
  const scale = total(distances.flat(2)) / (groups.length * n * (M - 1)); // that to itself is 0
  const drift = groups.map(({ x }) => x.map((row) => row.map(() => 0)));
  for (const tau of [0.02, 0.05, 0.2]) {
    const moves = groups.map(({ x }, g) => {
      const weight = (i: number, m: number) =>
        m === P + n + i
          ? 0
          : Math.exp(-distances[g][i][m] / scale / tau) * (m >= P && m < P + n ? others : 1);
      const shares = x.map((_, i) => {
        const A = upTo(M).map((m) => {
          const { own } = groups[g], isOther = m >= P && m < P + n;
          const near = own.map((from) => others * Math.exp(-distance(from, all[g][m]) / scale / tau));
          const column = total(upTo(n).map((k) => weight(k, m))) + (isOther ? n / P * total(near) : 0);
          return weight(i, m) / column ** (m < P ? 0.75 : 0.5);
        });
        const [toward, away] = [total(A.slice(0, P)), total(A.slice(P))];
        return A.map((a, m) => m < P ? a / toward : -(1 + push) * a / away);
      });
      // What other classes push all samples alike is replaced by a push from zero.
      const alike = upTo(M).map((m) => m >= P && m < P + n ? mean(shares.map((weights) => weights[m])) : 0);
      return shares.map((weights, i) =>
        upTo(D).map((k) =>
          total(weights.map((w, m) => (w - alike[m]) * (all[g][m][k] - x[i][k]))) - total(alike) * x[i][k]
        )
      );
    });
    const size = Math.sqrt(mean(moves.flat(2).map((v) => v * v)));
    moves.forEach((rows, g) => rows.forEach((row, i) => row.forEach((v, k) => drift[g][i][k] += v / size)));
  }
  const V = drift.flat(2);
  return [mean(V.map((v) => v * v)), -2 * mean(V) / (scale / Math.sqrt(D))];
}

/** The times of one evaluation. */
const whole = [[0, 1]];

testOnCpu(
  "DriftStage trains the drift that its source defines, and its gradients lead there",
  async () => {
    const images = [[1, 0.5, 0, -1], [-0.5, 1, 0.5, 2]]; // one per class
    const labels = Uint32Array.of(0, 0, 1, 0, 1);
    const x1 = tensor(Array.from(labels, (label) => images[label]).flat(), [5, 1, 2, 2]);
    const host = {
      size: D,
      values: () => new Float32Array(),
      labels: (rows: Uint32Array) => rows.map((m) => labels[m]),
    };
    const student = new Shift(), real = batchSource({ x1, condition: tensor(labels) }, host);
    const grids = [[0, 1], [0, 1 / 2], [0, 1 / 2, 1], [0, 1 / 2, 5 / 8, 7 / 8]];
    const stage = new DriftStage({ ...distillation(student), source: real, batchSize: 2 * n }, {
      encode: (x, r) => [multiply(x, 1 + r)], // the same drift
      ...{ references: Uint32Array.from(upTo(5)), others, push, classes: 2 },
    }, grids);
    await stage.encode();
    const { losses } = stage;
    const drawn = (stream: number, rows: number) =>
      k.randomNormal(tensor(Uint32Array.of(7, stream, 3)), [rows, D]).read();
    const start = await drawn(models.streams.noise, 2 * n);
    const noise = await drawn(models.streams.driftNoise, 2 * (P + n));
    /** Images of a class at time r, with rows of the noise from `first` on. */
    const noisy = (r: number, first: number, count: number, label: number) =>
      upTo(count).map((m) => images[label].map((v, k) => r * v + (1 - r) * noise[(first + m) * D + k]));
    for (const [g, times] of grids.entries()) {
      const steps = times.slice(1).map((r, i) => ({ t: times[i], d: r - times[i], r }));
      const { d, r } = steps.at(-1)!;
      const made = (x: number, label: number) =>
        steps.reduce((x, { t, d }) => x + d * (0.1 * x + label + t - d), x);
      losses[g].write(new Uint32Array(), 7, 3);
      const value = losses[g].loss(new Map());
      const found = await Promise.all(
        [value, ...gradients(value, [student.bias])].map((each) => each.read()),
      );
      const expected = [[0, 1], [1, 0]].map((order) =>
        // of the classes
        driftOf(
          order.map((label, g) => ({
            x: upTo(n).map((i) => upTo(D).map((k) => made(start[(g * n + i) * D + k], label))),
            own: noisy(r, g * (P + n), P, label),
            other: noisy(r, g * (P + n) + P, n, 1 - label),
          })),
          d === 1 ? others : others / 2,
        )
      );
      const [near] = expected.toSorted((a, b) => Math.abs(a[0] - found[0][0]) - Math.abs(b[0] - found[0][0]));
      assertClose([found[0][0], found[1][0]], [near[0], near[1] * d], 5e-5);
    }
  },
);

testOnCpu("DriftStage reads the real images of a file, and draws only classes that it has", async () => {
  const inMemory = source(), staged = inMemory.stage(30);
  staged.write(Uint32Array.from(upTo(30)), { seed: 0, step: 0 });
  const all = await staged.batch().x1.read();
  const inFile: models.BatchSource = {
    ...inMemory,
    stage(batchSize: number) {
      const x1 = zeros([batchSize, ...shape]);
      const write = (examples: Uint32Array) =>
        x1.write(Float32Array.from(upTo(x1.size), (i) => all[64 * examples[Math.floor(i / 64)] + i % 64]));
      return { write, batch: () => ({ x1 }) };
    },
  };
  const references = Uint32Array.from(labels.keys()).filter((n) => labels[n] > 0).reverse();
  const options = { encode: () => [], references, others, push, classes: 3 };
  const valueFrom = async (source: models.BatchSource) => {
    const stage = new DriftStage({ ...distillation(flowMap()), source }, options, whole);
    const done: number[][] = [];
    await stage.encode((...given) => void done.push(given));
    assert.deepEqual(done, [[references.length, references.length]]);
    return valueOf(stage.losses[0]);
  };
  assert.equal(await valueFrom(inFile), await valueFrom(inMemory));
});

testOnCpu("DriftStage draws real images at random, not the first ones", async () => {
  const valueOfImages = async (last: number) => {
    const values = Float32Array.from(upTo(2 * P * 4), (i) => (i % 4) + (i < P * 4 ? 0 : last));
    const source = batchSource(tensor(values, [2 * P, 1, 2, 2]), hostRows(values, 4));
    const options = { encode: () => [], references: Uint32Array.from(upTo(2 * P)), classes: 0 };
    const student = { velocity: (x: Tensor) => x, meanVelocity: (x: Tensor) => multiply(x, 0.1) };
    const stage = new DriftStage({ ...distillation(student), source }, { ...options, others, push }, whole);
    await stage.encode();
    const [{ rows, lengths }] = stage.features;
    assert.deepEqual(await rows.read(), values);
    const squares = (m: number) => total(upTo(4).map((k) => values[4 * m + k] ** 2));
    assert.deepEqual([...await lengths.read()], upTo(2 * P).map(squares));
    return valueOf(stage.losses[0]);
  };
  assert.notEqual(await valueOfImages(2), await valueOfImages(0));
});

Deno.test("drawGroups() draws classes, images of them and of others independently, anew in each step", () => {
  const N = 400;
  const rows = (label: number) => Uint32Array.from(upTo(N), (i) => N * label + i);
  const rest = (label: number) =>
    Uint32Array.from([0, 1, 2].filter((other) => other !== label).flatMap((other) => [...rows(other)]));
  const byClass = new Map([0, 1, 2].map((label) => [label, { own: rows(label), rest: rest(label) }]));
  const drawn = [0, 1].flatMap((step) => drawGroups(byClass, 2, P, 7, step));
  assert.notEqual(drawn[0].label, drawn[1].label);
  assert.notEqual(drawn[2].label, drawn[3].label);
  for (const { label, own, others } of drawn) {
    assert.ok(
      new Set(own).size === P && own.every((row) => Math.floor(row / N) === label),
      "each once, of the class",
    );
    assert.ok(others.every((row) => Math.floor(row / N) !== label) && new Set(others).size > 0.8 * P);
  }
  // Where the draws of two groups or purposes shared a key, one would follow from the other.
  const shares = drawn.flatMap(({ label, own, others }) => [
    own.map((row) => row % N / N),
    others.map((row) => rest(label).indexOf(row) / (2 * N)),
    // A permutation sorts random numbers: the place of i shows the i-th one.
    upTo(P).map((i) => own.indexOf(N * label + i)).map((place) => place < 0 ? 1 : place / P),
  ]);
  for (const [i, a] of shares.entries()) {
    for (const b of shares.slice(i + 1)) {
      assert.ok(Math.abs(correlation(a, b)) < 0.4, `${i}: ${correlation(a, b)}`);
    }
  }
  // A permutation takes its numbers from the last to the first, which no correlation shows: classes and own images use
  // the counters 0, 1 and 2 of a step.
  for (const [i, { label, others }] of drawn.entries()) {
    for (const counter of [0, 1, 2].map((purpose) => 8 * Math.floor(i / 2) + purpose)) {
      const used = [...k.uniforms(7, streams.references, counter, P)].map((u) =>
        rest(label)[Math.floor(u * 2 * N)]
      );
      assert.notDeepEqual(others, used);
    }
  }
});

function correlation(a: readonly number[], b: readonly number[]): number {
  const about = (values: readonly number[]) => values.map((value) => value - mean(values));
  const dot = (x: readonly number[], y: readonly number[]) => total(x.map((value, i) => value * y[i]));
  const [x, y] = [about(a), about(b)];
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}
