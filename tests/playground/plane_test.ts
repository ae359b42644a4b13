import assert from "node:assert/strict";
import { ExactField, lossFloor } from "../../playground/exact_field.ts";
import { halfSide, planePoints, type Point } from "../../playground/plane_data.ts";
import { exactTeacher, openDevice, PlaneTraining } from "../../playground/plane_training.ts";
import { distanceFromData } from "../../playground/page/readings.ts";
import { heatSide, PlaneViews } from "../../playground/plane_views.ts";
import { settingsOf } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";

const { normals, paths, tensor } = flow;
const device = await openDevice(flow, 1);

/** A test on the device of this file. */
const test = (name: string, run: () => Promise<void>) => Deno.test(name, () => flow.withDevice(device, run));

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
      const [x, y] = await xt.read();
      assert.ok(Math.hypot(x - place[0], y - place[1]) < 1e-5, "a line goes through the place");
      const [a, b] = exact.between(start, exact.point(5), t);
      assert.ok(Math.hypot(a - place[0], b - place[1]) < 1e-9);
    }
  });
}

test("exactTeacher() computes the mean of ExactField with device ops", async () => {
  const points = planePoints({ data: "spiral", drawn: "" });
  const exact = new ExactField(points, "linear");
  const teacher = exactTeacher(flow, points);
  for (const [place, t] of probable(exact, 10)) {
    const [x, y] = await teacher.velocity(tensor([...place], [1, 2]), tensor([t])).read();
    const { mean } = exact.meeting(place, t);
    assert.ok(Math.hypot(x - mean[0], y - mean[1]) < 2e-3, `${[x, y]} instead of ${mean}`);
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
  const parts = lossFloor(flow, training);
  let part = await parts.next();
  while (!part.done) part = await parts.next();
  const loss = losses.slice(-400).reduce((sum, value) => sum + value, 0) / 400;
  assert.ok(part.value! < loss && loss < 1.07 * part.value!, `loss ${loss}, floor ${part.value}`);
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
