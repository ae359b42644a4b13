import assert from "node:assert/strict";
import { NearestImages } from "../../../experiments/draw/nearest_images.ts";
import { uniforms } from "../../../kernels/mod.ts";
import { testOnDevices } from "../../testing.ts";

testOnDevices("NearestImages tells apart what is apart, and says how often it is right", async () => {
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

testOnDevices("NearestImages knows classes of any number, and none without labels", async () => {
  const P = 4;
  const images = Uint8Array.from({ length: 40 * P }, (_, i) => i % P === Math.floor(i / P) % 4 ? 255 : 0);
  const labels = Uint32Array.from({ length: 40 }, (_, n) => 1000 * (n % 4));
  const labelled = new NearestImages({ images, labels, count: 40 }, P);
  assert.deepEqual([...(await labelled.classify(Float32Array.of(0, 0, 1, 0, 0, 0, 0, 1)))!], [2000, 3000]);
  const bare = new NearestImages({ images, count: 40 }, P);
  assert.equal(bare.labels, undefined);
  assert.equal(await bare.classify(new Float32Array(P)), undefined);
  assert.equal(await bare.tryOn({ images, count: 40 }, P), undefined);
  assert.deepEqual(bare.coordinates, labelled.coordinates);
});

testOnDevices("NearestImages knows all classes of images that stand class by class", async () => {
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
