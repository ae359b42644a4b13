import assert from "node:assert/strict";
import { firstIndices } from "../../../experiments/data/dataset.ts";
import { pixelsOf } from "../../../experiments/data/images.ts";
import { evaluateNetwork, expectedEvaluations } from "../../../experiments/evaluation/evaluate_network.ts";
import { imagesAt, imageSets, realIndices } from "../../../experiments/evaluation/image_sets.ts";
import {
  type Measurement,
  type MeasurementInput,
  Monitor,
  type Watch,
} from "../../../experiments/evaluation/measurement.ts";
import { accuracyScore } from "../../../experiments/evaluation/accuracy_score.ts";
import { pixelDistance, shrunkLikeness } from "../../../experiments/evaluation/distance_to_training.ts";
import { bits } from "../../../experiments/evaluation/flow.ts";
import { classesSeen, likeness, recognition } from "../../../experiments/evaluation/judged.ts";
import type { EvaluatedNetwork } from "../../../experiments/evaluation/evaluated_network.ts";
import { makeSolver } from "../../../experiments/cli/solver.ts";
import { add, init, multiply, reshape, tanh, type Tensor, tensor, withDevice } from "../../../kernels/mod.ts";
import { upTo } from "../../refusing.ts";
import { assertClose } from "../../testing.ts";
import { bars } from "./bars.ts";
import {
  bitsPerDimension,
  CountedField,
  type Model,
  noise,
  pickPoints,
  type Points,
  type VelocityField,
} from "../../../models/mod.ts";

const asked = { count: 4, seed: 0, guidance: 1, courseImages: 0, bitsImages: 4, accuracySteps: 0 };
const { how, description: words } = makeSolver("euler:steps=3");
const options = { ...asked, how, words };

/** A field on four images of 3x3 pixels, with eight test images: the same four, and others. */
function subjectOf(field: VelocityField): EvaluatedNetwork {
  const { count } = asked;
  const split = (count: number) => ({
    images: Uint8Array.from({ length: 9 * count }, (_, i) => i * i * 37 % 256),
    count,
  });
  const data = { name: "made-up", train: split(count), test: split(2 * count), classes: 0 };
  return {
    drawable: { model: field as Model, normalization: { scale: 2, shift: -1 }, shape: [1, 3, 3] },
    data: { ...data, channels: 1, height: 3, width: 3, digest: "", source: "" },
    trained: Uint32Array.of(0, 1, 2, 3),
    weights: { file: "", sha256: "" },
    classes: 0,
  };
}

const steep = { velocity: (x: Tensor) => tanh(multiply(x, 3)) };
const device = await init({ device: "cpu", threads: 1 });
const evaluate = (field: VelocityField, changes: Partial<typeof options> = {}, watch?: Watch) =>
  withDevice(device, () => evaluateNetwork(subjectOf(field), [], { ...options, ...changes }, watch));

Deno.test("evaluateNetwork() counts the cost of each figure, even with adaptive solvers", async () => {
  const { count } = asked;
  const field = new CountedField(steep);
  const { authentic, copying, velocity_error, bits_per_dimension } =
    (await evaluate(field))!.evaluation.figures;
  assert.deepEqual([authentic!.evaluations, velocity_error!.evaluations], [3 * count, 2 * count]);
  assert.ok(copying!.real! > 0, "other test images are farther from the training images than copies are");
  const ofBits = field.evaluations - 3 - 1; // all four images are solved at once
  assert.equal(bits_per_dimension!.evaluations, ofBits * count);
  assert.deepEqual([authentic!.count, authentic!.realCount, velocity_error!.count], [4, 4, 8]);
  const expected = expectedEvaluations(subjectOf(field), [], options);
  assert.equal(expected, (3 + 2 + 50) * count, "an estimate, as the likelihood takes adaptive steps");
});

Deno.test("evaluateNetwork() reports its progress, and stops between steps and comparisons", async () => {
  const told: [done: number, most: number][] = [];
  await evaluate(steep, {}, { onCompared: (...pairs) => void told.push(pairs) });
  assert.ok(told.length >= 3, "reports on samples, their neighbours and test images");
  assert.deepEqual(told.map(([done]) => done), told.map(([done]) => done).toSorted((a, b) => a - b));
  assert.ok(told.every(([done, most]) => done <= most && most === 2 * 48), `${told.at(-1)}`);
  for (const name of ["onCompared", "onProgress"] as const) { // in the first comparison, in the first step
    const stop = new AbortController();
    let calls = 0;
    const onCall = () => (calls++, stop.abort());
    assert.equal(await evaluate(steep, {}, { signal: stop.signal, [name]: onCall }), undefined);
    assert.equal(calls, 1, name);
  }
});

Deno.test("evaluateNetwork() measures the trajectories of an accelerating flow", async () => {
  // v = 6 t; three steps of Euler move each value by (0 + 2 + 4) / 3 = 2.
  const field = {
    velocity: (x: Tensor, t: Tensor) => add(multiply(x, 0), multiply(reshape(t, [x.shape[0], 1, 1, 1]), 6)),
  };
  const { figures, course } = (await evaluate(field, { courseImages: 4, bitsImages: 0 }))!.evaluation;
  const { path_ratio, straightness, round_trip, bits_per_dimension } = figures;
  assert.equal(bits_per_dimension, undefined);
  // The velocity differs from the line's by 2, 0, 2 and 4; a trip back moves (6 + 4 + 2) / 3 = 4, half of it off, in pixels.
  assertClose([path_ratio!.value, straightness!.value, round_trip!.value], [1, 14 / 3, 1], 1e-5);
  assertClose(course!.t, [0, 1 / 3, 2 / 3], 1e-9);
  assertClose(course!.straightness, [4, 0, 4], 1e-5);
  assertClose(course!.curvature, [0, 0, 0], 1e-3);
  assert.equal(path_ratio!.evaluations, 4 * (4 + 2 * 3), "the geometry also needs the velocity at the end");
});

Deno.test("bits per dimension draw other random signs for each 64 images", async () => {
  const subject = subjectOf(steep);
  const values = Float32Array.from({ length: 66 * 9 }, (_, i) => i * i * 37 % 256 / 255);
  const test = { values, rows: 66, width: 9 };
  const input = {
    subject,
    sets: { test },
    options: { ...options, bitsImages: 66 },
    monitor: new Monitor({}),
  };
  await withDevice(device, async () => {
    const { figures } = await bits.measure(input as unknown as MeasurementInput);
    const of = async (from: number, to: number) => {
      const x1 = tensor(values.slice(9 * from, 9 * to).map((pixel) => 2 * pixel - 1), [to - from, 1, 3, 3]);
      const { normalization } = subject.drawable;
      return (await bitsPerDimension(steep, x1, { normalization, rtol: 1e-2, seed: from })).bits;
    };
    const each = [...await of(0, 64), ...await of(64, 66)];
    assertClose([figures.bits_per_dimension!.value], [each.reduce((a, b) => a + b) / 66], 1e-6);
  });
});

Deno.test("imageSets() takes equal numbers of test images and of images that the network learned from", async () => {
  const subject = { ...subjectOf(steep), trained: Uint32Array.of(1, 3) };
  const { sets } = await withDevice(device, () => {
    return imageSets(subject, { ...options, count: 2 }, new Monitor({}));
  });
  const rowsOf = ({ values, rows }: Points) =>
    Array.from({ length: rows }, (_, n) => values.subarray(9 * n, 9 * (n + 1)));
  const imagesAt = (...indices: number[]) => indices.map((n) => pixelsOf(subject.data.train.images, [n], 9));
  assert.deepEqual(new Set(rowsOf(sets.train)), new Set(imagesAt(1, 3)));
  assert.deepEqual(rowsOf(sets.test), imagesAt(0, 1), "the first test images are the same");
  assert.deepEqual([sets.samples, sets.noise].map(({ rows }) => rows), [2, 2]);
});

Deno.test("with few test images, samples are compared with training images, by judges and in pixels", async () => {
  const { data: { train, ...more }, ...rest } = subjectOf(steep);
  const images = (more.test.images as Uint8Array).toReversed(); // none is a training image
  const test = { ...more.test, images };
  const subject = { ...rest, data: { ...more, train, test } };
  const points = { train: imagesAt(train, subject.trained), test: imagesAt(test, firstIndices(8)) };
  const noise = { ...points.train, values: points.train.values.map((pixel) => 1 - pixel / 3) };
  const of = (features: Points) => ({ features, probabilities: new Float32Array() });
  const judge = {
    name: "lenet",
    judge: (values: Float32Array) => Promise.resolve(of({ values, rows: values.length / 9, width: 9 })),
  };
  const measure = async (measurement: Measurement, samples: Points, changes: object = {}) => {
    const sets = { ...points, samples, noise };
    const judged = [{ judge, samples: of(samples), test: of(points.test), noise: of(noise) }];
    const input = { subject: { ...subject, ...changes }, sets, judged, monitor: new Monitor({}) };
    return (await measurement.measure(input as unknown as MeasurementInput)).figures;
  };
  for (
    const [measurement, key] of [[shrunkLikeness, "frechet_shrunk"], [
      pixelDistance,
      "frechet_pixels",
    ]] as const
  ) {
    const copies = (await measure(measurement, points.train))[key]!;
    const others = (await measure(measurement, noise))[key]!;
    assert.ok(copies.value < 1e-6 && copies.value < copies.real! && copies.real! < copies.noise!, key);
    assertClose([others.value], [others.noise!], 1e-9);
  }
  assert.deepEqual(await measure(likeness, noise), {});
  // From 168 on, test images are enough for the Fréchet distance itself.
  for (const [count, figures] of [[167, ["frechet_shrunk"]], [168, []]] as const) {
    const data = { ...subject.data, test: { ...test, count } };
    assert.deepEqual(Object.keys(await measure(shrunkLikeness, noise, { data })), figures);
  }
});

Deno.test("distances to training images compare as many samples as test images at a time", async () => {
  const points = async (seed: number, rows: number, spread: number): Promise<Points> => {
    const normal = await withDevice(device, () => noise(seed, [rows, 9])).read();
    return { values: normal.map((x) => Math.min(1, Math.max(0, 0.5 + spread * x))), rows, width: 9 };
  };
  const { data, ...rest } = subjectOf(steep);
  const bytes = ({ values, rows }: Points) => ({
    images: Uint8Array.from(values, (value) => Math.round(255 * value)),
    count: rows,
  });
  const [train, test] = [await points(1, 240, 0.15), await points(2, 24, 0.15)];
  const subject = {
    ...rest,
    trained: firstIndices(240),
    data: { ...data, train: bytes(train), test: bytes(test) },
  };
  const sets = { samples: await points(3, 240, 0.18), test, noise: await points(4, 240, 0.4) };
  const distanceOf = async (samples: Points) => {
    const input = { subject, sets: { ...sets, samples }, monitor: new Monitor({}) };
    return (await pixelDistance.measure(input as unknown as MeasurementInput)).figures.frechet_pixels;
  };
  const found = await distanceOf(sets.samples);
  const groups = upTo(10).map((group) => upTo(24).map((n) => 24 * group + n));
  const each = await Promise.all(groups.map((rows) => distanceOf(pickPoints(sets.samples, rows))));
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / 10;
  const value = mean(each.map((one) => one!.value));
  const below = mean(each.map((one) => one!.value - one!.low)) / Math.sqrt(10);
  assertClose([found!.value, found!.low], [value, value - below], 1e-9);
  assert.deepEqual([found!.count, found!.realCount], [24, 24]);
  assert.ok(found!.value > found!.real!, `${found!.value}: worse than real images, ${found!.real}`);
  assert.ok(found!.low < found!.value && found!.value < found!.high && found!.high < found!.noise!);
});

Deno.test("recognition counts certain samples, classes, and samples of the requested class by each judge", async () => {
  const view = (...first: number[]) => ({
    features: { values: new Float32Array(), rows: 0, width: 0 },
    probabilities: Float32Array.from(first.flatMap((p) => [p, 1 - p])),
  });
  const samples = view(0.95, 0.01, 0.4, 0.3);
  const sets = { test: view(0.91, 0, 1, 0.02), train: view(), noise: view(0.5, 0.6, 0.7, 0.8) };
  assert.deepEqual(classesSeen(samples, { classes: 2 }), [1, 3]);
  const { figures } = await recognition.measure({
    labels: Uint32Array.of(0, 1, 0, 1),
    judged: [
      { judge: { name: "lenet", classes: 2 }, samples, ...sets },
      { judge: { name: "vgg", classes: 2 }, samples: view(1, 0, 1, 1), ...sets },
    ],
  } as unknown as MeasurementInput);
  assert.deepEqual([figures["vgg/confident"]!.value, figures["vgg/asked_class"]!.value], [1, 0.75]);
  const { confident, asked_class, class_entropy } = figures;
  assert.deepEqual([confident!.value, confident!.real, confident!.noise], [0.5, 1, 0]);
  assert.equal(asked_class!.value, 0.75);
  assertClose([class_entropy!.value], [-0.25 * Math.log2(0.25) - 0.75 * Math.log2(0.75)], 1e-9);
  assert.deepEqual([class_entropy!.real, class_entropy!.noise], [1, 0]);
});

Deno.test("the accuracy score is that of classifiers trained only on the samples and their classes", async () => {
  const data = await bars();
  const [count, accuracySteps, told] = [100, 40, [] as number[]];
  const subject = { data, trained: Uint32Array.from({ length: 200 }, (_, n) => n) };
  const indices = realIndices(subject, { count, seed: 0 });
  const train = imagesAt(data.train, indices);
  const labels = Uint32Array.from(indices, (n) => data.train.labels[n]);
  const scored = async (labels: Uint32Array | undefined, steps = accuracySteps) => {
    const { figures } = await accuracyScore.measure({
      ...{ subject, labels, sets: { samples: train, train }, judged: [{ judge: { name: "lenet" } }] },
      options: { ...options, count, accuracySteps: steps },
      monitor: new Monitor({ onTrained: (...steps) => void told.push(...steps) }),
    } as unknown as MeasurementInput);
    return figures.accuracy_score;
  };
  const [right, wrong] = await withDevice(device, async () => [
    (await scored(labels))!,
    (await scored(labels.map((label) => 1 - label)))!,
  ]);
  assert.ok(
    right.value > 0.9 && right.value === right.real,
    "samples that are the real images get their score",
  );
  assert.ok(wrong.value < 0.1 && wrong.real === right.real, "samples of other classes teach the wrong ones");
  assert.deepEqual(told.slice(0, 8), [20, 40, 60, 80].flatMap((done) => [done, 80]));
  assert.deepEqual([await scored(undefined), await scored(labels, 0)], [undefined, undefined]);
});
