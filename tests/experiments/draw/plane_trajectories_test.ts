import assert from "node:assert/strict";
import { join } from "node:path";
import { binByTime, timeBins } from "../../../experiments/evaluation/loss_by_time.ts";
import {
  followInPlane,
  readPlaneTrajectories,
  writePlaneTrajectories,
} from "../../../experiments/draw/plane_trajectories.ts";
import { principalComponents } from "../../../experiments/draw/principal_components.ts";
import { add, init, multiply, tanh, withDevice } from "../../../kernels/mod.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  type Model,
  noise,
  type VelocityField,
} from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { assertClose } from "../../testing.ts";

const [H, W, P] = [3, 4, 12];
const split = (count: number) => ({
  count,
  labels: Uint8Array.from({ length: count }, (_, n) => n % 10),
  images: Uint8Array.from({ length: count * P }, (_, i) => (i * 37 + Math.floor(i / P) * i) % 256),
});
const data = { train: split(40), test: split(20) };
const device = await init({ device: "cpu" });

/** Trajectories of a made-up velocity, in network values, twice the range of pixels. */
const follow = (velocity: Model["velocity"], count: number, batch: number) => {
  return withDevice(device, () => {
    const model = { velocity } as Model;
    const drawable = { model, normalization: { scale: 2, shift: -1 }, shape: [1, H, W] as const };
    return followInPlane(drawable, data, { count, seed: 5, steps: 4, batch });
  });
};

/** Trajectories of images with three channels. */
const followColour = (data: Parameters<typeof followInPlane>[1]) =>
  withDevice(device, () => {
    const field: VelocityField = { velocity: (x) => add(multiply(x, 0), 1) };
    const model = field as Model;
    const drawable = { model, normalization: { scale: 1, shift: 0 }, shape: [3, 2, 2] as const };
    return followInPlane(drawable, data, { count: 3, seed: 5, steps: 2, batch: 2 });
  });

Deno.test("followInPlane() draws a straight flow as lines of constant speed", async () => {
  const { position, velocity, speed, straightness, image, shape } = await follow(
    (x) => add(multiply(x, 0), 3),
    5,
    2,
  );
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

Deno.test("followInPlane() measures the curvature of a bent flow, for any batch size", async () => {
  const bent: Model["velocity"] = (x) => tanh(multiply(x, 3));
  const [one, many] = [await follow(bent, 5, 5), await follow(bent, 5, 2)];
  assert.deepEqual(one, many);
  assert.ok(one.straightness.some((value) => value < 0.999));
  assert.ok(one.straightness.every((value) => value >= -1.000001 && value <= 1.000001));
});

testInFolder("readPlaneTrajectories() reads what writePlaneTrajectories() wrote", async (run) => {
  assert.equal(await readPlaneTrajectories(run), undefined);
  const bare = ({ images, count }: { images: Uint8Array; count: number }) => ({ images, count });
  const grey = await follow((x) => x, 3, 3);
  const colour = await followColour(data);
  assert.deepEqual(colour.shape, [3, 3, 3, 2, 2]);
  assert.deepEqual([...colour.t], [0, 0.5, 1]);
  const x0 = await withDevice(device, () => noise(5, [3, 3, 2, 2])).read();
  assertClose(colour.image, x0.map((x) => x + 1), 1e-5);
  assertClose(colour.speed, colour.speed.map(() => 1), 1e-6);
  const unlabelled = await followColour({ train: bare(data.train), test: bare(data.test) });
  assert.ok(!("classes" in unlabelled || "classes" in unlabelled.real || "classifier" in unlabelled));
  assert.deepEqual(unlabelled.position, colour.position);
  for (const found of [grey, { ...grey, shape: [5, 3, W, H] as const }, colour, unlabelled]) {
    await writePlaneTrajectories(run, found);
    assert.deepEqual(await readPlaneTrajectories(run), found);
  }
});

testInFolder("readPlaneTrajectories() refuses damage in one line", async (run) => {
  await writePlaneTrajectories(run, await follow((x) => x, 3, 3));
  const path = join(run, "flow", "paths.safetensors");
  const { tensors, metadata } = decodeSafetensors(await Deno.readFile(path), path);
  const speed = { shape: [4, 3], data: new Float32Array(12).fill(NaN) };
  const damages: [name: string, tensor: typeof speed, problem: string][] = [
    ["speed", speed, "speed holds NaN or infinities"],
    ["speed", { shape: [12], data: new Float32Array(12) }, "speed is f32[12] (expected f32[4,3])"],
    ["classes", { shape: [3], data: Float32Array.of(0, 1, 0.5) }, "classes is not a list of labels"],
    ["image", { shape: [36], data: new Float32Array(36) }, "image is f32[36] (expected f32[N, H, W] or"],
  ];
  const refused = (problem: string) =>
    assert.rejects(readPlaneTrajectories(run), (error: Error) => {
      assert.ok(error.message.startsWith(`Cannot read ${path}: ${problem}`), error.message);
      return error.name === "RunError";
    });
  for (const [name, tensor, problem] of damages) {
    await Deno.writeFile(path, encodeSafetensors(new Map(tensors).set(name, tensor), metadata));
    await refused(problem);
  }
  for (const name of ["share", "classifier"]) {
    await Deno.writeFile(path, encodeSafetensors(tensors, { ...metadata, [name]: "[1]" }));
    await refused(`its metadata has no ${name} (expected `);
  }
});

Deno.test("binByTime() averages over the images of each bin", () => {
  const losses = { t: Float32Array.of(0, 0.49, 0.5, 0.999), loss: Float32Array.of(1, 3, 4, 6) };
  assert.deepEqual(binByTime(losses, 4), [
    { from: 0, to: 0.25, images: 1, loss: 1 },
    { from: 0.25, to: 0.5, images: 1, loss: 3 },
    { from: 0.5, to: 0.75, images: 1, loss: 4 },
    { from: 0.75, to: 1, images: 1, loss: 6 },
  ]);
  const half = binByTime({ t: Float32Array.of(0.1), loss: Float32Array.of(1) }, 2);
  assert.deepEqual([half[1].loss, timeBins.accepts(half)], [null, true]);
});
