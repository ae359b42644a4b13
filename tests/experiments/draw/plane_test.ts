import assert from "node:assert/strict";
import {
  followInPlane,
  planeOf,
  principalComponents,
  project,
  readPlaneTrajectories,
  writePlaneTrajectories,
} from "../../../experiments/draw/plane.ts";
import { add, init, multiply, tanh, uniforms, withDevice } from "../../../kernels/mod.ts";
import { assertClose } from "../../testing.ts";
import { EigenvalueDecomposition, Matrix } from "npm:ml-matrix@6.15.1";
import { join } from "node:path";
import type { Dataset } from "../../../experiments/data/dataset.ts";
import { timeBins } from "../../../experiments/evaluation/evaluation.ts";
import { binByTime } from "../../../experiments/evaluation/measures.ts";
import { decodeSafetensors, encodeSafetensors, type Model, noise } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";

Deno.test("planeOf() finds components from all classes of images that are sorted by class, and shows 500", () => {
  const [count, P] = [2500, 3];
  const labels = Uint8Array.from({ length: count }, (_, n) => n < 2100 ? Math.floor(n / 1050) : 2);
  const valueAt = (i: number) => i % P === labels[Math.floor(i / P)] ? 255 : 0;
  const images = Uint8Array.from({ length: count * P }, (_, i) => valueAt(i));
  const { pca, real } = planeOf({ images, labels, count }, P);
  assert.ok(pca.share[1] > 0.3, `with only two classes, one component would have all variance: ${pca.share}`);
  const classes = Array.from(real.classes!);
  assert.deepEqual([classes.length, new Set(classes).size, real.position.length], [500, 3, 1000]);
  const oneHot = Float32Array.from({ length: 9 }, (_, i) => i % 4 === 0 ? 1 : 0);
  const places = project(oneHot, pca, 2);
  const expected = classes.flatMap((c) => [...places.subarray(2 * c, 2 * c + 2)]);
  assertClose(real.position, expected, 1e-6, "each image lies where its class does");
  const bare = planeOf({ images: images.subarray(0, 4 * P), count: 4 }, P);
  assert.deepEqual([bare.real.classes, bare.real.position.length], [undefined, 8]);
});

/** N images of P pixels that vary in every direction, with falling variance. */
function images(N: number, P: number): Float32Array {
  const bits = uniforms(7, 0, 0, N * P);
  return bits.map((value, i) => (value - 0.5) / (1 + i % P) + (i % P) / P);
}

Deno.test("principalComponents() are the eigenvectors of the covariance", () => {
  const [N, P, K] = [200, 30, 4];
  const x = images(N, P);
  const { mean, components, share } = principalComponents(x, P, K);
  const rows = Matrix.from1DArray(N, P, x);
  const means = rows.mean("column");
  assertClose(mean, means, 1e-6);
  const centred = rows.subRowVector(means);
  const covariance = centred.transpose().mmul(centred);
  const solved = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  const { realEigenvalues, eigenvectorMatrix } = solved;
  const order = realEigenvalues.map((_, i) => i).sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
  const total = realEigenvalues.reduce((sum, value) => sum + value);
  assertClose(share, order.slice(0, K).map((i) => realEigenvalues[i] / total), 1e-6);
  for (let k = 0; k < K; k++) {
    const mine = [...components.subarray(k * P, (k + 1) * P)];
    const theirs = eigenvectorMatrix.getColumn(order[k]);
    const largest = mine.reduce((best, value) => Math.abs(value) > Math.abs(best) ? value : best, 0);
    assert.ok(largest > 0, "the sign is fixed");
    const sign = Math.sign(mine.reduce((sum, value, p) => sum + value * theirs[p], 0));
    assertClose(mine, theirs.map((value) => sign * value), 1e-4);
  }
});

Deno.test("principalComponents() are finite for one-pixel, few and equal images", () => {
  const pixel = principalComponents(Float32Array.of(1, 3), 1, 2);
  assert.deepEqual([...pixel.components, ...pixel.share], [1, 0, 1, 0]);
  const few = principalComponents(images(3, 10), 10, 8);
  assert.ok(few.components.every(Number.isFinite));
  assertClose([few.share[0] + few.share[1], few.share[2]], [1, 0], 1e-5);
  assert.deepEqual([...principalComponents(new Float32Array(20).fill(0.3), 10, 2).share], [0, 0]);
});

Deno.test("project() returns coordinates that reconstruct the images", () => {
  const [N, P] = [20, 6];
  const x = images(N, P);
  const pca = principalComponents(x, P, P);
  const y = project(x, pca, P);
  const again = x.map((_, i) => {
    const along = (k: number) => pca.components[k * P + i % P] * y[Math.floor(i / P) * P + k];
    return [0, 1, 2, 3, 4, 5].reduce((sum, k) => sum + along(k), pca.mean[i % P]);
  });
  assertClose(again, x, 1e-5);
  assertClose(project(x, pca, 2, false), project(x.map((value, i) => value + pca.mean[i % P]), pca, 2), 1e-5);
});

const [H, W, P] = [3, 4, 12];
const split = (count: number) => ({
  count,
  labels: Uint8Array.from({ length: count }, (_, n) => n % 10),
  images: Uint8Array.from({ length: count * P }, (_, i) => (i * 37 + Math.floor(i / P) * i) % 256),
});
const data: Pick<Dataset, "train"> = { train: split(40) };
const device = await init({ device: "cpu" });

/** Trajectories of a made-up velocity: of grey images in network values twice the range of pixels, or in colour. */
const follow = (velocity: Model["velocity"], count: number, batch: number, how: object = {}, of = data) =>
  withDevice(device, () => {
    const grey = { normalization: { scale: 2, shift: -1 }, shape: [1, H, W] as const };
    return followInPlane({ model: { velocity } as Model, ...grey, ...how }, of, {
      count,
      seed: 5,
      steps: 4,
      batch,
    });
  });

Deno.test("followInPlane() draws a straight flow as lines of constant speed", async () => {
  const straight = await follow((x) => add(multiply(x, 0), 3), 5, 2);
  const { position, velocity, speed, straightness, image, shape } = straight;
  assert.deepEqual(shape, [5, 5, H, W]);
  assertClose(speed, speed.map(() => 1.5), 1e-6); // 3 in pixels of -1 to 1 is 1.5 in pixels of 0 to 1
  assertClose(straightness, straightness.map(() => 1), 1e-6);
  const x0 = await withDevice(device, () => noise(5, [5, 1, H, W])).read();
  assertClose(image, x0.map((x) => (x + 3 + 1) / 2), 1e-5);
  const pixels = Float32Array.from(data.train.images, (v) => v / 255);
  const { mean, components } = principalComponents(pixels, P, P);
  const along = (image: Float32Array, k: number) =>
    image.reduce((sum, value, p) => sum + ((value + 1) / 2 - mean[p]) * components[k * P + p], 0);
  for (let n = 0; n < 5; n++) {
    for (const k of [0, 1]) {
      const [start, rise] = [position[n * 2 + k], velocity[n * 2 + k]];
      assert.ok(Math.abs(start - along(x0.subarray(n * P, (n + 1) * P), k)) < 1e-4);
      for (let m = 1; m < 5; m++) {
        assert.ok(Math.abs(position[(m * 5 + n) * 2 + k] - start - m / 4 * rise) < 1e-4);
      }
    }
  }
});

Deno.test("followInPlane() measures the curvature of a bent flow", async () => {
  const { straightness } = await follow((x) => tanh(multiply(x, 3)), 5, 2);
  assert.ok(straightness.some((value) => value < 0.999));
  assert.ok(straightness.every((value) => value >= -1.000001 && value <= 1.000001));
});

testInFolder("readPlaneTrajectories() reads what writePlaneTrajectories() wrote", async (run) => {
  assert.equal(await readPlaneTrajectories(run), undefined);
  const inColour = { normalization: { scale: 1, shift: 0 }, shape: [3, 2, 2] };
  const rising = (of = data) => follow((x) => add(multiply(x, 0), 1), 3, 2, inColour, of);
  const grey = await follow((x) => x, 3, 3), colour = await rising();
  assert.deepEqual([colour.shape, ...colour.t], [[5, 3, 3, 2, 2], 0, 0.25, 0.5, 0.75, 1]);
  const x0 = await withDevice(device, () => noise(5, [3, 3, 2, 2])).read();
  assertClose(colour.image, x0.map((x) => x + 1), 1e-5);
  assertClose(colour.speed, colour.speed.map(() => 1), 1e-6);
  const { images, count } = data.train;
  const unlabelled = await rising({ train: { images, count } });
  assert.deepEqual([unlabelled.real.classes, unlabelled.conditioning], [undefined, undefined]);
  assert.deepEqual(unlabelled.position, colour.position);
  for (const found of [grey, { ...grey, shape: [5, 3, W, H] as const }, colour, unlabelled]) {
    await writePlaneTrajectories(run, found);
    assert.deepEqual(await readPlaneTrajectories(run), found);
  }

  // A file of version 1.0 also has classes by a vote.
  const path = join(run, "flow", "paths.safetensors");
  const { tensors, metadata } = decodeSafetensors(await Deno.readFile(path), path);
  tensors.set("classes", { shape: [3], data: Float32Array.of(0, 1, 0.5) });
  await Deno.writeFile(path, encodeSafetensors(tensors, { ...metadata, classifier: "[1]" }));
  assert.deepEqual(await readPlaneTrajectories(run), unlabelled);
});

testInFolder("readPlaneTrajectories() refuses damage in one line", async (run) => {
  await writePlaneTrajectories(run, await follow((x) => x, 3, 3));
  const path = join(run, "flow", "paths.safetensors");
  const { tensors, metadata } = decodeSafetensors(await Deno.readFile(path), path);
  const speed = { shape: [4, 3], data: new Float32Array(12).fill(NaN) };
  const damages: [name: string, tensor: typeof speed, problem: string][] = [
    ["speed", speed, "speed holds NaN or infinities"],
    ["speed", { shape: [12], data: new Float32Array(12) }, "speed is f32[12] (expected f32[4,3])"],
    ["real_classes", { shape: [40], data: new Float32Array(40).fill(0.5) }, "real_classes is not a list of"],
    ["image", { shape: [36], data: new Float32Array(36) }, "image is f32[36] (expected f32[N, H, W] or"],
  ];
  const refused = (problem: string) => {
    const message = RegExp(`^${RegExp.escape(`Cannot read ${path}: ${problem}`)}`);
    return assert.rejects(readPlaneTrajectories(run), { name: "RunError", message });
  };
  for (const [name, tensor, problem] of damages) {
    await Deno.writeFile(path, encodeSafetensors(new Map(tensors).set(name, tensor), metadata));
    await refused(problem);
  }
  await Deno.writeFile(path, encodeSafetensors(tensors, { ...metadata, share: "[1]" }));
  await refused("its metadata has no share (expected ");
});

Deno.test("binByTime() averages over the images of each bin", () => {
  const losses = { t: Float32Array.of(0, 0.49, 0.5, 0.999), loss: Float32Array.of(1, 3, 4, 6) };
  const bins = [1, 3, 4, 6].map((loss, i) => ({ from: i / 4, to: (i + 1) / 4, images: 1, loss }));
  assert.deepEqual(binByTime(losses, 4), bins);
  const half = binByTime({ t: Float32Array.of(0.1), loss: Float32Array.of(1) }, 2);
  assert.deepEqual([half[1].loss, timeBins.accepts(half)], [null, true]);
});
