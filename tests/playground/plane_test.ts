/** The numbers of the playground's plane: those with a closed form, and what its networks learn. */

import assert from "node:assert/strict";
import { classPoints, ExactField, GuidedField, lossFloor } from "../../playground/exact_field.ts";
import { halfSide, planePoints, type Point } from "../../playground/plane_data.ts";
import {
  batchOf,
  exactTeacher,
  openDevice,
  PlaneTraining,
  weightsDigest,
} from "../../playground/plane_training.ts";
import { distanceFromData } from "../../playground/page/readings.ts";
import { arrows, dotCount, heatSide, PlaneViews } from "../../playground/plane_views.ts";
import { defaults, settingsOf } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";
import { assertClose } from "../testing.ts";

const { normals, paths, streams, tensor } = flow;
const device = await openDevice(flow, 1);

/** A test on the device of this file. */
const test = (name: string, run: () => void | Promise<void>) =>
  Deno.test(name, () => flow.withDevice(device, run));

test("ExactField.meeting() leads to a single data point, with a bounded speed at the end", () => {
  const points = Float32Array.from({ length: 2048 }, (_, i) => [1.2, -0.5][i % 2]);
  const place = [0.4, 0.3] as const;
  for (const t of [0, 0.5, 0.998, 0.9995, 1]) {
    const { mean, spread } = new ExactField(points, "linear").meeting(place, t);
    const expected = [0, 1].map((axis) =>
      points[axis] - (place[axis] - t * points[axis]) / Math.max(1 - t, 1e-3)
    );
    assertClose([...mean, spread], [...expected, 0], 1e-6);
  }
});

test("ExactField.meeting() of two data points has logistic weights and the spread of two lines", () => {
  const exact = new ExactField(Float32Array.of(1, 0.5, -1, 0), "cosine");
  const [t, [x, y]] = [0.3, [0.2, 0.7]];
  const [sine, cosine] = [Math.sin(Math.PI / 2 * t), Math.cos(Math.PI / 2 * t)];
  const lines = [[1, 0.5], [-1, 0]].map(([a, b]) => {
    const noise = [(x - sine * a) / cosine, (y - sine * b) / cosine];
    const [u, v] = [a, b].map((end, axis) => Math.PI / 2 * (cosine * end - sine * noise[axis]));
    return { u, v, squares: noise[0] ** 2 + noise[1] ** 2 };
  });
  const [first, second] = lines;
  const p = 1 / (1 + Math.exp((first.squares - second.squares) / 2));
  const { weights, mean, spread } = exact.meeting([x, y], t);
  assertClose([...weights], [p, 1 - p], 1e-9);
  assertClose([...mean], [p * first.u + (1 - p) * second.u, p * first.v + (1 - p) * second.v], 1e-6);
  const between = (first.u - second.u) ** 2 + (first.v - second.v) ** 2;
  assertClose([spread], [p * (1 - p) * between / 2], 1e-6);
});

/** The centres of a grid's cells, rows upwards. */
const grid = (side: number) =>
  Array.from(
    { length: side * side },
    (_, i) => [i % side, Math.floor(i / side)].map((at) => halfSide * ((at + 0.5) / side * 2 - 1)),
  );

test("ExactField.density() is a mixture of normal densities that starts as noise", () => {
  const exact = new ExactField(Float32Array.of(1, 0.5, -1, 0), "linear");
  const [t, side] = [0.4, 9];
  const density = exact.density(halfSide, side, t);
  const normal = (x: number, y: number, s: number) =>
    Math.exp(-(x * x + y * y) / (2 * s * s)) / (2 * Math.PI * s * s);
  const places = grid(side);
  assertClose(
    [...density],
    places.map(([x, y]) => (normal(x - t, y - 0.5 * t, 0.6) + normal(x + t, y, 0.6)) / 2),
    1e-9,
  );
  assertClose([...exact.density(halfSide, side, 0)], places.map(([x, y]) => normal(x, y, 1)), 1e-9);
  assert.ok(exact.density(halfSide, side, 1).every(Number.isFinite), "points are softened");
});

test("GuidedField is the field of all data at 0, of the class at 1, and extrapolates beyond", () => {
  const points = planePoints({ data: "moons", drawn: "" });
  const [place, t] = [[0.3, -0.4] as const, 0.5];
  const [none, own, twice] = [0, 1, 2].map((scale) =>
    new GuidedField(points, { ...defaults, scale }).meeting(place, t)
  );
  assertClose(none.guided, new ExactField(points, "linear").meeting(place, t).mean, 1e-9);
  assertClose(own.guided, new ExactField(points.subarray(0, 1024), "linear").meeting(place, t).mean, 1e-9);
  assertClose(twice.guided, [0, 1].map((axis) => 2 * own.guided[axis] - none.guided[axis]), 1e-9);
});

test("classPoints() divides every data set in two", () => {
  for (const data of ["moons", "ring", "checkerboard", "spiral", "letters"] as const) {
    const points = planePoints({ data, drawn: "" });
    const sizes = (["first", "second"] as const).map((label) => classPoints(points, data, label).length / 2);
    assert.equal(sizes[0] + sizes[1], 1024);
    assert.ok(sizes[0] > 300 && sizes[1] > 300, `${data}: ${sizes}`);
  }
});

/** The result of work in parts. */
async function finished<Result>(work: AsyncGenerator<void, Result, void>): Promise<Result> {
  for (let part = await work.next();; part = await work.next()) if (part.done) return part.value;
}

test("lossFloor() is right for two places, one with three data points, for each distribution of t", async () => {
  const [d, draws, points] = [0.75, 8192, Float32Array.of(0.75, 0, 0.75, 0, 0.75, 0, -0.75, 0)];
  const floors: number[] = [];
  for (const times of ["uniform", "stratified", "logit_normal", "u_shaped"] as const) {
    const key = tensor(Uint32Array.of(1, streams.heldOutTime, 0));
    const all = flow.timeDistributions[times].make({ mean: 0, scale: 1, a: 4 }).draw(key, draws);
    const x0 = normals(1, streams.heldOutNoise, 0, 2 * draws);
    const sum = (await all.read()).reduce((sum, t, n) => {
      const x = t * points[2 * (n % 4)] + (1 - t) * x0[2 * n];
      const p = 1 / (1 + Math.exp(-2 * t * d * x / (1 - t) ** 2) / 3);
      return sum + 2 * d * d * p * (1 - p) / (1 - t) ** 2;
    }, 0);
    const found = await finished(lossFloor(flow, { points, settings: { ...defaults, times } }));
    assertClose([found!], [sum / draws], 1e-3);
    floors.push(found!);
  }
  assert.ok(floors[2] > 1.1 * floors[0] && floors[0] > 1.1 * floors[3], `${floors}`);
});

const [a, b, c] = [0.5, -0.3, 0.8];
/** v = (a x + c t, b y), whose flow has a closed form. */
const field = {
  velocity(x: flow.Tensor, t: flow.Tensor) {
    const drift = flow.concat([flow.multiply(flow.reshape(t, [t.size, 1]), c), flow.zeros([t.size, 1])], 1);
    return flow.add(flow.multiply(x, tensor([a, b], [1, 2])), drift);
  },
};
/** The place at time t of a dot that starts at a place. */
const flowed = ([x, y]: readonly number[], t: number) => [
  (x + c / a ** 2) * Math.exp(a * t) - c * t / a - c / a ** 2,
  y * Math.exp(b * t),
];
test("PlaneViews follow a known flow: dots by each solver, dropped dots, a velocity, arrows", async () => {
  const views = new PlaneViews(flow, { field });
  const x0 = await flow.noise(7, [dotCount, 2]).read();
  const starts = Array.from({ length: dotCount }, (_, n) => [x0[2 * n], x0[2 * n + 1]]);
  const one = await views.dots({ solver: "euler", moves: 1, seed: 7 });
  assertClose(one.places, [...x0, ...starts.flatMap(([x, y]) => [x + a * x, y + b * y])], 1e-5);
  for (const _ of [1, 2]) { // record, then replay
    const { times, places } = await views.dots({ solver: "rk4", moves: 4, seed: 7 });
    assertClose(times, [0, 0.25, 0.5, 0.75, 1], 1e-6);
    assertClose(places, [...times].flatMap((t) => starts.flatMap((start) => flowed(start, t))), 1e-4);
    assertClose((await views.dots({ solver: "euler", moves: 4, seed: 7 })).places.subarray(-2), [
      ...[0, 0.25, 0.5, 0.75].reduce(([x, y], t) => [x + (a * x + c * t) / 4, y + b * y / 4], starts.at(-1)!),
    ], 1e-5);
  }
  const quiet = await views.dots({ solver: "euler", moves: 4, seed: 7 }, 0);
  assertClose(quiet.places, (await views.dots({ solver: "euler", moves: 4, seed: 7 })).places, 1e-5);
  const noisy = await views.dots({ solver: "euler", moves: 4, seed: 7 }, 1);
  assertClose(noisy.places.subarray(0, 1024), x0, 0);
  assert.ok(noisy.places.subarray(-1024).every((value, i) => value !== quiet.places.at(i - 1024)));
  const drop = await views.drop([-1.1, 1.3]);
  assertClose(drop.places, [...drop.times].flatMap((t) => flowed([-1.1, 1.3], t)), 1e-4);
  assertClose([...await views.look([0.3, -2], 0.6)], [a * 0.3 + c * 0.6, b * -2], 1e-6);
  const { side, times } = arrows;
  const expected = Array.from(
    { length: times },
    (_, k) => grid(side).flatMap(([x, y]) => [a * x + c * k / (times - 1), b * y]),
  ).flat();
  assertClose(await views.arrows(), expected, 1e-6);
});

test("PlaneViews.likelihood() is a normal density stretched by a known flow, rows upwards", async () => {
  const views = new PlaneViews(flow, { field });
  const [moved] = flowed([0, 0], 1);
  const expected = grid(heatSide).map(([x, y]) =>
    -Math.log(2 * Math.PI) - a - b - (((x - moved) * Math.exp(-a)) ** 2 + (y * Math.exp(-b)) ** 2) / 2
  );
  assertClose(await views.likelihood(() => Promise.resolve()), expected, 1e-3);
});

test("PlaneTraining.pairs() are the first step's pairs, random or matched by distance", () => {
  for (const pairs of ["random", "nearest"] as const) {
    const settings = { ...defaults, pairs, seed: 3, batch: 48 };
    const training = new PlaneTraining(flow, settings);
    const { x0, x1 } = training.pairs();
    const N = batchOf(settings);
    assertClose(x0, normals(3, streams.noise, 0, 2 * N), 0);
    const all = new flow.BatchOrder(Uint32Array.from({ length: 1024 }, (_, i) => i), N, 3).batch(0);
    const ends = (values: Float32Array) =>
      Array.from({ length: values.length / 2 }, (_, n) => `${[values[2 * n], values[2 * n + 1]]}`);
    const batch = [...all].flatMap((i) => [...training.points.subarray(2 * i, 2 * i + 2)]);
    if (pairs === "random") assertClose(x1, batch, 0);
    assert.deepEqual(ends(x1).toSorted(), ends(Float32Array.from(batch)).toSorted());
    const way = (n: number, m: number) => (x0[2 * n] - x1[2 * m]) ** 2 + (x0[2 * n + 1] - x1[2 * m + 1]) ** 2;
    const crossed = Array.from({ length: N * N }, (_, i) => [Math.floor(i / N), i % N])
      .filter(([n, m]) => way(n, n) + way(m, m) > way(n, m) + way(m, n) + 1e-5).length;
    assert.equal(crossed > 0, pairs === "random", `${crossed} pairs of pairs are nearer if exchanged`);
  }
});

test("an address gives the same bits as in earlier versions, for any bursts, pauses and number of threads", async () => {
  const data = {
    moons: "46da326cbcfed58e",
    ring: "734c86fe127574c9",
    checkerboard: "ab2c790d49a2a2ed",
    spiral: "87608b57d3e57dbf",
    letters: "8137acf14d2576b3",
  };
  for (const [name, digest] of Object.entries(data)) {
    assert.equal(weightsDigest([planePoints(settingsOf(`#data=${name}`).settings)]), digest, name);
  }
  const trained = [
    ["#steps=40", "b3e8874ef4e809e7"],
    ["#steps=20&pairs=nearest&path=cosine&prediction=data&times=logit_normal&hidden=16", "a22e01716411502b"],
    ["#steps=8&objective=one_step&batch=32&times=u_shaped", "232dfe4aed8358ec"],
  ];
  for (const [address, digest] of trained) {
    for (const [threads, burst, steps] of [[1, 1000, 1e6], [1, 0, 5], [2, 5, 1e6]]) {
      await flow.withDevice(await openDevice(flow, threads), async () => {
        const { settings } = settingsOf(address);
        const training = new PlaneTraining(flow, { ...settings, steps: Math.min(steps, settings.steps) });
        while (!training.done) await training.train(burst);
        training.continueTo(settings.steps);
        while (!training.done) await training.train(burst);
        assert.equal(await training.digest(), digest, `${address}, ${threads} threads`);
      });
    }
  }
});

const train = async (address: string) => {
  const training = new PlaneTraining(flow, settingsOf(address).settings);
  const losses: number[] = [];
  while (!training.done) losses.push(...await training.train(1000));
  return { training, losses };
};

/** Places on lines from noise to data, and times. */
function probable(exact: ExactField, count: number): (readonly [place: Point, t: number])[] {
  const x0 = normals(7, 3, 0, 2 * count);
  return Array.from({ length: count }, (_, n) => {
    const t = [0.1, 0.3, 0.5, 0.7, 0.9][n % 5];
    return [exact.between([x0[2 * n], x0[2 * n + 1]], exact.point(37 * n % exact.size), t), t];
  });
}

for (const path of ["linear", "cosine"] as const) {
  test(`ExactField has the lines of the library's ${path} path`, async () => {
    const points = planePoints({ data: "moons", drawn: "" });
    const exact = new ExactField(points, path);
    for (const t of [0, 0.2, 0.5, 0.9]) {
      const place: Point = [0.4, -0.7];
      const start = exact.start(place, t, 5);
      const [x0, x1] = [tensor(Float32Array.from(start), [1, 2]), tensor([...exact.point(5)], [1, 2])];
      const { xt } = paths[path].make().at(x0, x1, tensor([t]));
      assertClose(await xt.read(), place, 1e-5); // a line goes through the place
      assertClose(exact.between(start, exact.point(5), t), place, 1e-9);
    }
  });
}

test("exactTeacher() computes the mean of ExactField with device ops", async () => {
  const points = planePoints({ data: "spiral", drawn: "" });
  const exact = new ExactField(points, "linear");
  const teacher = exactTeacher(flow, points);
  for (const [place, t] of probable(exact, 10)) {
    const velocity = await teacher.velocity(tensor([...place], [1, 2]), tensor([t])).read();
    assertClose(velocity, exact.meeting(place, t).mean, 2e-3);
  }
});

test("PlaneTraining learns the mean of all lines, and its loss ends just above the floor", async () => {
  const { training, losses } = await train("#steps=2000");
  const exact = new ExactField(training.points, "linear");
  const views = new PlaneViews(flow, training);
  let [error, size] = [0, 0];
  for (const [place, t] of probable(exact, 200)) {
    const [vx, vy] = await views.look(place, t);
    const { mean: [x, y] } = exact.meeting(place, t);
    error += (vx - x) ** 2 + (vy - y) ** 2;
    size += x ** 2 + y ** 2;
  }
  assert.ok(Math.sqrt(error / 200) < 0.35, `root mean square ${Math.sqrt(error / 200)}`);
  assert.ok(Math.sqrt(size / 200) > 1.2);
  const floor = (await finished(lossFloor(flow, training)))!;
  const loss = losses.slice(-400).reduce((sum, value) => sum + value, 0) / 400;
  assert.ok(floor < loss && loss < 1.07 * floor, `loss ${loss}, floor ${floor}`);
  const { times, places } = await views.dots({ solver: "euler", moves: 32, seed: 1 });
  assert.deepEqual([times.length, places.length], [33, 33 * 512 * 2]);
  const logp = await views.likelihood(() => Promise.resolve());
  const cell = (2 * halfSide / heatSide) ** 2;
  const mass = logp.reduce((sum, value) => sum + Math.exp(value) * cell, 0);
  assert.ok(Math.abs(mass - 1) < 0.05, `the likelihood integrates to ${mass}`);
  assert.ok(distanceFromData({ times, places }, exact) < 0.09, "dots end on the data");
});

test("lossFloor() is undefined without a closed form: near pairs, whole steps", async () => {
  for (const address of ["#pairs=nearest", "#objective=one_step"]) {
    const training = new PlaneTraining(flow, settingsOf(address).settings);
    assert.deepEqual(await lossFloor(flow, training).next(), { done: true, value: undefined });
  }
});

test("PlaneTraining learns whole steps, which take dots to the data in one evaluation", async () => {
  const { training } = await train("#objective=one_step&steps=400&batch=128");
  const views = new PlaneViews(flow, training);
  const dots = await views.dots({ solver: "euler", moves: 1, seed: 1 });
  const away = distanceFromData(dots, new ExactField(training.points, "linear"));
  assert.ok(away < 0.25, `${away}`); // 0.5 with one step along the velocity
});

test("PlaneTraining.train() reports the step at which the loss is no longer a number", async () => {
  class Failing extends flow.Trainer {
    override losses(): Promise<number[]> {
      return Promise.resolve([1, NaN, 1]);
    }
  }
  const training = new PlaneTraining({ ...flow, Trainer: Failing }, settingsOf("#rate=0.5").settings);
  await assert.rejects(
    () => training.train(0),
    /^PlaygroundError: The loss of step 2 is not a number: the learning rate of 0.5 is too large/,
  );
});
