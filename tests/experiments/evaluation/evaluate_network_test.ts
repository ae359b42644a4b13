import assert from "node:assert/strict";
import { firstIndices } from "../../../experiments/data/dataset.ts";
import { pixelsOf } from "../../../experiments/data/images.ts";
import { evaluateNetwork, expectedEvaluations } from "../../../experiments/evaluation/evaluate_network.ts";
import { aboutEvaluation } from "../../../experiments/evaluation/evaluation.ts";
import { imageSets, Monitor, type Watch } from "../../../experiments/evaluation/image_sets.ts";
import type { DataJudge } from "../../../experiments/evaluation/judges.ts";
import { type MeasurementInput, measurements } from "../../../experiments/evaluation/measurements.ts";
import { frechetDistance, kernelDistance } from "../../../experiments/evaluation/measures.ts";
import type { EvaluatedNetwork } from "../../../experiments/evaluation/evaluated_network.ts";
import { makeSolver } from "../../../experiments/cli/solver.ts";
import { add, init, multiply, reshape, tanh, type Tensor, tensor, withDevice } from "../../../kernels/mod.ts";
import { upTo } from "../../refusing.ts";
import { assertClose } from "../../testing.ts";
import { bitsPerDimension, type Model, type Points, type VelocityField } from "../../../models/mod.ts";
import { counted } from "../../../models/flow/field.ts";

const asked = { count: 4, seed: 0, guidance: 1, courseImages: 0, bitsImages: 4 };
const { how, description: words } = makeSolver("euler:steps=3");
const options = { ...asked, how, words };

const split = (count: number, from = 0, range = 256) => ({
  images: Uint8Array.from({ length: 9 * count }, (_, i) => (i + from) ** 2 * 37 % range),
  count,
});

/** A field on four images of 3x3 pixels, with eight test images: the same four, and others. */
function subjectOf(field: VelocityField, train = split(4), test = split(8)): EvaluatedNetwork {
  const data = { name: "made-up", train, test, channels: 1, height: 3, width: 3, digest: "", source: "" };
  return {
    drawable: { model: field as Model, normalization: { scale: 2, shift: -1 }, shape: [1, 3, 3] },
    ...{ data: { ...data, classes: 0 }, trained: firstIndices(train.count), classes: 0 },
    weights: { file: "", sha256: "" },
  };
}

const steep = { velocity: (x: Tensor) => tanh(multiply(x, 3)) };
const device = await init({ device: "cpu", threads: 1 });
const evaluate = (field: VelocityField, changes: Partial<typeof options> = {}, watch?: Watch) =>
  withDevice(device, () => evaluateNetwork(subjectOf(field), [], { ...options, ...changes }, watch));

Deno.test("evaluateNetwork() counts the cost of each figure, even with adaptive solvers", async () => {
  const { count } = asked;
  const field = counted(steep);
  const done: number[] = [];
  const watch = { onProgress: (evaluations: number) => void done.push(evaluations) };
  const { figures } = (await evaluate(field, {}, watch))!.evaluation;
  const { authentic, velocity_error, bits_per_dimension } = figures;
  assert.deepEqual([authentic!.evaluations, velocity_error!.evaluations], [3 * count, 2 * count]);
  assert.equal(authentic!.real, 0.75, "of the other test images, which are no copies");
  const ofBits = field.evaluations - 3 - 1; // all four images are solved at once
  assert.equal(bits_per_dimension!.evaluations, ofBits * count);
  assert.equal(done.at(-1), (3 + 2 + ofBits) * count);
  assert.deepEqual([authentic!.count, authentic!.realCount, velocity_error!.count], [4, 4, 8]);
  const expected = expectedEvaluations(subjectOf(field), [], options);
  assert.equal(expected, (3 + 2 + 50) * count, "an estimate, as the likelihood takes adaptive steps");
});

Deno.test("evaluateNetwork() reports its progress, and stops between steps and comparisons", async () => {
  const told: [done: number, most: number][] = [];
  await evaluate(steep, {}, { onCompared: (...pairs) => void told.push(pairs) });
  assert.ok(told.length >= 4, "reports on samples and other test images, and their neighbours");
  assert.deepEqual(told.map(([done]) => done), told.map(([done]) => done).toSorted((a, b) => a - b));
  assert.ok(told.every(([done, most]) => done <= most && most === 2 * 32), `${told.at(-1)}`);
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
    const { figures } = await measurements.at(-1)!.measure(input as unknown as MeasurementInput);
    const of = async (from: number, to: number) => {
      const x1 = tensor(values.slice(9 * from, 9 * to).map((pixel) => 2 * pixel - 1), [to - from, 1, 3, 3]);
      const { normalization } = subject.drawable;
      return (await bitsPerDimension(steep, x1, { normalization, rtol: 1e-2, seed: from })).bits;
    };
    const each = [...await of(0, 64), ...await of(64, 66)];
    assertClose([Object.values(figures)[0]!.value], [each.reduce((a, b) => a + b) / 66], 1e-6);
  });
});

Deno.test("imageSets() takes equal numbers of test images and of images to learn from", async () => {
  const subject = { ...subjectOf(steep), trained: Uint32Array.of(1, 3) };
  const request = { ...options, count: 2 };
  const { sets } = await withDevice(device, () => imageSets(subject, request, new Monitor({})));
  const rowsOf = ({ values, rows }: Points) => upTo(rows).map((n) => values.subarray(9 * n, 9 * (n + 1)));
  const imagesAt = (...indices: number[]) => indices.map((n) => pixelsOf(subject.data.train.images, [n], 9));
  assert.deepEqual(new Set(rowsOf(sets.train)), new Set(imagesAt(1, 3)));
  assert.deepEqual(rowsOf(sets.test), imagesAt(0, 1), "the first test images are the same");
  assert.deepEqual([sets.samples, sets.noise].map(({ rows }) => rows), [2, 2]);
});

Deno.test("judges compare samples, real images and noise with test images", async () => {
  /** A judge whose features are pixels, and whose probabilities follow the first pixel. */
  const judge = (name: "lenet" | "vgg", brightness: number) => ({
    ...{ name, classes: 2, digest: name, accuracy: 1, source: "stored" as const, bytes: new Uint8Array() },
    judge(values: Float32Array) {
      const rows = values.length / 9;
      const of = (i: number) => Math.abs(i % 2 - values[9 * (i >> 1)]);
      const probabilities = Float32Array.from({ length: 2 * rows }, (_, i) => of(i));
      return Promise.resolve({ features: scaled({ values, rows, width: 9 }, brightness), probabilities });
    },
  });
  const scaled = (points: Points, brightness: number) => ({
    ...points,
    values: points.values.map((value) => brightness * value),
  });
  const judges = [judge("lenet", 1), judge("vgg", 2)] as unknown as DataJudge[];
  const measured = async (tested: number) => {
    const subject = subjectOf(steep, split(200, 0, 251), split(tested, 5, 230));
    const request = { ...options, count: 180, bitsImages: 0 };
    return await withDevice(device, async () => {
      const { evaluation, live } = (await evaluateNetwork(subject, judges, request))!;
      return { evaluation, live, sets: (await imageSets(subject, request, new Monitor({}))).sets };
    });
  };
  const compared = ["samples", "train", "noise"] as const;
  const { evaluation, live, sets } = await measured(190);
  const { figures } = evaluation;
  for (const [key, brightness] of [["frechet", 1], ["vgg/frechet", 2]] as const) {
    const { value, real, noise, realCount } = figures[key]!;
    const test = scaled(sets.test, brightness);
    const expected = compared.map((set) => frechetDistance(test, scaled(sets[set], brightness)).value);
    assertClose([value, real!, noise!], expected, 1e-9);
    assert.equal(realCount, 180);
  }
  for (const key of ["precision", "recall", "coverage", "kernel", "vgg/kernel"] as const) {
    const { real, noise } = figures[key]!;
    assert.ok(real !== undefined && noise !== undefined, key);
  }
  const share = ({ values, rows }: Points) =>
    upTo(rows).filter((n) => Math.max(values[9 * n], 1 - values[9 * n]) >= 0.9).length / rows;
  const { value, real, noise } = figures.confident!;
  assertClose([value, real!, noise!], [sets.samples, sets.test, sets.noise].map(share), 1e-9);
  const first = upTo(180).filter((n) => sets.samples.values[9 * n] > 0.5).length;
  assert.deepEqual(evaluation.judges[0].classes, [first, 180 - first]);
  assert.equal(live!.reference.rows, 180);

  const few = await measured(167);
  const distances = Object.keys(few.evaluation.figures)
    .filter((key) => /frechet|kernel|precision|recall|coverage/.test(key));
  assert.deepEqual([distances, few.live], [["kernel", "vgg/kernel"], undefined]);
  assert.match(
    aboutEvaluation(few.evaluation),
    /\nFew test images: judges compare by kernel distance, less /,
  );
  assert.doesNotMatch(aboutEvaluation(evaluation), /Few test images/);
  const kernel = few.evaluation.figures.kernel!;
  await withDevice(device, async () => {
    const expected = compared.map((set) => kernelDistance(few.sets.test, few.sets[set]));
    const [own, real, noise] = (await Promise.all(expected)).map(({ value }) => value);
    assertClose([kernel.value, kernel.real!, kernel.noise!], [own - real, 0, noise - real], 1e-5);
  });
});
