import assert from "node:assert/strict";
import { join } from "node:path";
import {
  encodeTrajectory,
  findTrajectories,
  followTrajectories,
  readTrajectories,
  type TrajectorySource,
  writeTrajectories,
} from "../../../experiments/draw/trajectories.ts";
import { multiply, type Tensor } from "../../../kernels/mod.ts";
import { createModel, decodeSafetensors, encodeSafetensors, type Model } from "../../../models/mod.ts";
import type { Trajectory } from "../../../viz/mod.ts";
import { testInFolder } from "../../folder.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

const source: TrajectorySource = { modelType: "UNet_FM", seed: 7, solver: "euler", steps: 2 };
const shape = [3, 2, 1] as const;

function trajectory(from: number): Trajectory {
  return {
    t: Float32Array.of(0, 0.5, 1),
    image: Float32Array.from({ length: 6 }, (_, i) => Math.sin(from + i)),
    velocity: Float32Array.from({ length: 4 }, (_, i) => Math.cos(from + i)),
    shape,
  };
}

testInFolder("readTrajectories() reads what writeTrajectories() wrote, in order", async (run) => {
  const trajectories = Array.from({ length: 11 }, (_, n) => trajectory(n));
  const paths = await writeTrajectories(run, trajectories, source);
  assert.equal(paths[10], join(run, "flow", "sample_11.safetensors"));
  assert.deepEqual(
    await readTrajectories(run),
    trajectories.map((trajectory, n) => ({ ...source, k: n + 1, trajectory })),
  );
});

testInFolder("writeTrajectories() makes no folder for no trajectories", async (run) => {
  assert.deepEqual(await writeTrajectories(run, [], source), []);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(run)), []);
});

testInFolder("readTrajectories() says what is missing, and how it is made", async (run) => {
  const message = new RegExp(
    `Cannot find trajectories of .*: there is no .*sample_<k>.safetensors \\(a training run writes them at its end`,
  );
  await assert.rejects(readTrajectories(run), { name: "RunError", message });
  await writeTrajectories(run, [trajectory(0)], source);
  const file = join(run, "flow", "sample_1.safetensors");
  const bytes = await Deno.readFile(file);
  await Deno.writeFile(file, bytes.subarray(0, -1));
  await assert.rejects(readTrajectories(run), { name: "SafetensorsError" });
  await Deno.writeFile(
    file,
    encodeSafetensors(new Map([["t", { shape: [1], data: Float32Array.of(0) }]])),
  );
  await assert.rejects(readTrajectories(run), /sample_1.safetensors: image is missing/);
  const { tensors } = decodeSafetensors(bytes, "a file");
  await Deno.writeFile(file, encodeSafetensors(tensors, { solver: "euler" }));
  await assert.rejects(
    readTrajectories(run),
    /its metadata are {"solver":"euler"} \(expected model_type/,
  );
});

Deno.test("encodeTrajectory() refuses arrays that do not fit", () => {
  const wrong = { ...trajectory(0), velocity: new Float32Array(6) };
  assert.throws(() => encodeTrajectory({ ...source, k: 1, trajectory: wrong }), {
    name: "RangeError",
    message: "Cannot store trajectory: velocity holds 6 values (expected 4 for [M, H, W] = [3,2,1])",
  });
  const back = { ...trajectory(0), t: Float32Array.of(0, 0.5, 0.5) };
  assert.throws(() => encodeTrajectory({ ...source, k: 1, trajectory: back }), /t of snapshot 2 is 0.5/);
});

/** v(x, t) = -x: stands in for a network. */
const decay = { velocity: (x: Tensor) => multiply(x, -1) } as unknown as Model;

testOnDevices("followTrajectories() is the flow in pixels, with the velocity at each t", async () => {
  const drawable = { model: decay, normalization: { scale: 2, shift: -1 }, shape: [1, 3, 2] as const };
  const [first, second] = await followTrajectories(drawable, {
    count: 2,
    seed: 5,
    steps: 4,
    solver: "euler",
  });
  for (const { t, image, velocity, shape } of [first, second]) {
    assert.deepEqual(shape, [5, 3, 2]);
    assert.deepEqual([...t], [0, 0.25, 0.5, 0.75, 1]);
    // In pixels p the network's x is 2 p - 1, so dp/dt = -(2 p - 1) / 2.
    assertClose(velocity, image.subarray(0, 24).map((p) => -(2 * p - 1) / 2), 1e-6);
    assertClose(image.subarray(6), image.subarray(0, 24).map((p, i) => p + velocity[i] / 4), 1e-6);
  }
  assert.notDeepEqual(first.image, second.image);
});

testOnDevices(
  "followTrajectories() starts from the same noise whatever the model and the count",
  async () => {
    const noiseOf = async (model: Model, count: number) => {
      const drawable = { model, normalization: { scale: 1, shift: 0 }, shape: [1, 8, 8] as const };
      const all = await followTrajectories(drawable, { count, seed: 46020, steps: 1, solver: "euler" });
      return all.map(({ image }) => image.subarray(0, 64));
    };
    const network = createModel({ type: "UNet_FM", filters: [4, 8], tEmb: 8 }, 1);
    const [a, b] = [await noiseOf(decay, 1), await noiseOf(network, 3)];
    assert.deepEqual(a[0], b[0]);
    assert.equal(b.length, 3);
  },
);

testInFolder("writeTrajectories() keeps three channels, and times at any spacing", async (run) => {
  const colour: Trajectory = {
    t: Float32Array.of(0, 0.1, 1),
    image: Float32Array.from({ length: 18 }, (_, i) => i),
    velocity: Float32Array.from({ length: 12 }, (_, i) => -i),
    shape: [3, 3, 2, 1],
  };
  const [path] = await writeTrajectories(run, [colour], source);
  const { tensors } = decodeSafetensors(await Deno.readFile(path), path);
  assert.deepEqual(tensors.get("image")!.shape, [3, 3, 2, 1]);
  assert.deepEqual(tensors.get("velocity")!.shape, [2, 3, 2, 1]);
  assert.deepEqual((await readTrajectories(run)).map(({ trajectory }) => trajectory), [colour]);
});

testInFolder("findTrajectories() finds none only where none are stored", async (run) => {
  assert.deepEqual(await findTrajectories(run), []);
  await Deno.mkdir(join(run, "flow"));
  assert.deepEqual(await findTrajectories(run), []);
  await Deno.symlink("sample_1.safetensors", join(run, "flow", "sample_1.safetensors"));
  const message = /^Cannot read .*sample_1.safetensors: /;
  await assert.rejects(findTrajectories(run), { name: "RunError", message });
});

Deno.test("encodeTrajectory() refuses images that are neither grey nor red, green and blue", () => {
  const two = { ...trajectory(0), shape: [3, 2, 1, 1] as const };
  assert.throws(() => encodeTrajectory({ ...source, k: 1, trajectory: two }), {
    name: "RangeError",
    message: "Cannot store trajectory: images have 2 channels (expected 1, grey, or 3: red, green and blue)",
  });
});

testOnDevices("followTrajectories() takes the channels from the network", async () => {
  const drawable = { model: decay, normalization: { scale: 1, shift: 0 }, shape: [3, 2, 2] as const };
  const trajectories = await followTrajectories(drawable, { count: 2, seed: 5, steps: 4, solver: "euler" });
  for (const { image, velocity, shape } of trajectories) {
    assert.deepEqual(shape, [5, 3, 2, 2]);
    assertClose(velocity, image.subarray(0, 48).map((x) => -x), 1e-6);
  }
});
