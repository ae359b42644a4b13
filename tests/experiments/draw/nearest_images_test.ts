import assert from "node:assert/strict";
import { NearestImages } from "../../../experiments/draw/nearest_images.ts";
import { uniforms } from "../../../kernels/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";
import { EigenvalueDecomposition, Matrix } from "npm:ml-matrix@6.15.1";
import { principalComponents, project } from "../../../experiments/draw/principal_components.ts";

testOnDevices("NearestImages classifies distinct classes, and scores itself on held-out images", async () => {
  const P = 16;
  const draw = (count: number, seed: number) => {
    const noise = uniforms(seed, 0, 0, count * P);
    const labels = Uint8Array.from({ length: count }, (_, n) => n % 3);
    const images = Uint8Array.from(
      noise,
      (value, i) => 40 * value + (i % P === labels[Math.floor(i / P)] ? 200 : 0),
    );
    return { images, labels, count };
  };
  const nearest = new NearestImages(draw(60, 1), P);
  assert.deepEqual(await nearest.tryOn(draw(30, 2), P), { right: 30, tried: 30 });
  const wrong = draw(30, 2);
  assert.deepEqual(
    await nearest.tryOn({ ...wrong, labels: wrong.labels.map((label) => label === 0 ? 9 : label) }, P),
    {
      right: 20,
      tried: 30,
    },
  );
});

testOnDevices("NearestImages chooses the most frequent class, and the nearest one in a tie", async () => {
  const images = Uint8Array.of(0, 10, 20, 200, 255);
  const classOf = async (labels: number[], pixel: number, count = 5) => {
    const nearest = new NearestImages({ images, labels: Uint8Array.from(labels), count }, 1);
    return (await nearest.classify(Float32Array.of(pixel)))![0];
  };
  assert.equal(await classOf([7, 7, 7, 3, 3], 1), 7);
  assert.deepEqual([await classOf([7, 7, 3, 3], 0, 4), await classOf([7, 7, 3, 3], 0.78, 4)], [7, 3]);
});

testOnDevices("NearestImages classifies nothing without labels", async () => {
  const images = Uint8Array.of(0, 10, 20, 200, 255);
  const bare = new NearestImages({ images, count: 5 }, 1);
  assert.deepEqual([bare.labels, await bare.classify(Float32Array.of(1))], [undefined, undefined]);
  assert.equal(await bare.tryOn({ images, count: 5 }, 1), undefined);
});

testOnDevices("NearestImages learns all classes of images that are sorted by class", async () => {
  const [count, P] = [2500, 3];
  const labels = Uint8Array.from({ length: count }, (_, n) => n < 2100 ? Math.floor(n / 1050) : 2);
  const images = Uint8Array.from(
    { length: count * P },
    (_, i) => i % P === labels[Math.floor(i / P)] ? 255 : 0,
  );
  const nearest = new NearestImages({ images, labels, count }, P);
  assert.equal(nearest.count, 2000);
  assert.deepEqual([...(await nearest.classify(Float32Array.of(0, 0, 1, 0, 1, 0)))!], [2, 1]);
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
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(
    centred.transpose().mmul(centred),
    { assumeSymmetric: true },
  );
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

Deno.test("principalComponents() are finite for one-pixel, few, equal and large images", () => {
  const pixel = principalComponents(Float32Array.of(1, 3), 1, 2);
  assert.deepEqual([...pixel.components, ...pixel.share], [1, 0, 1, 0]);
  const few = principalComponents(images(3, 10), 10, 8);
  assert.ok(few.components.every(Number.isFinite));
  assertClose([few.share[0] + few.share[1], few.share[2]], [1, 0], 1e-5);
  assert.deepEqual([...principalComponents(new Float32Array(20).fill(0.3), 10, 2).share], [0, 0]);
  const P = 140_000; // more values than a call takes arguments
  const x = Float32Array.from({ length: 2 * P }, (_, i) => i % P === 7 ? i / P : 0);
  const { components, share } = principalComponents(x, P, 1);
  assertClose([components[7], components[8], share[0]], [1, 0, 1], 1e-6);
});

Deno.test("project() returns coordinates that reconstruct the images", () => {
  const [N, P] = [20, 6];
  const x = images(N, P);
  const pca = principalComponents(x, P, P);
  const y = project(x, pca, P);
  const again = x.map((_, i) => {
    const [n, p] = [Math.floor(i / P), i % P];
    return pca.mean[p] +
      pca.components.filter((_, j) => j % P === p).reduce((sum, c, k) => sum + c * y[n * P + k], 0);
  });
  assertClose(again, x, 1e-5);
  assertClose(project(x, pca, 2, false), project(x.map((value, i) => value + pca.mean[i % P]), pca, 2), 1e-5);
});
