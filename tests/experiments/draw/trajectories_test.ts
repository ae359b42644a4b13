import assert from "node:assert/strict";
import { join } from "node:path";
import {
  findTrajectories,
  followTrajectories,
  readTrajectories,
  type TrajectorySource,
  writeTrajectories,
} from "../../../experiments/draw/trajectories.ts";
import { multiply, type Tensor } from "../../../kernels/mod.ts";
import { decodeSafetensors, encodeSafetensors, type Model, noise } from "../../../models/mod.ts";
import type { Trajectory } from "../../../viz/mod.ts";
import { testInFolder } from "../../folder.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const source: TrajectorySource = { modelType: "UNet_FM", seed: 7, solver: "euler", steps: 2 };

const trajectory = (from: number, middle = 0.5, ...channels: number[]): Trajectory => {
  const values = (steps: number) =>
    Float32Array.from({ length: steps * 2 * (channels[0] ?? 1) }, (_, i) => from + i);
  const shape = [3, ...channels, 2, 1] as readonly number[] as Trajectory["shape"];
  return { t: Float32Array.of(0, middle, 1), image: values(3), velocity: values(2), shape };
};
const colour = trajectory(-3, 0.1, 3);

testInFolder("readTrajectories() reads what writeTrajectories() wrote, in order", async (run) => {
  assert.deepEqual(await writeTrajectories(run, [], source), []);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(run)), [], "no folder for no trajectories");
  const trajectories = [...Array.from({ length: 10 }, (_, n) => trajectory(n)), colour];
  const paths = await writeTrajectories(run, trajectories, source);
  assert.equal(paths[10], join(run, "flow", "sample_11.safetensors"));
  const expected = trajectories.map((trajectory, n) => ({ ...source, k: n + 1, trajectory }));
  assert.deepEqual(await readTrajectories(run), expected);
  const { tensors } = decodeSafetensors(await Deno.readFile(paths[10]), "a file");
  assert.deepEqual(tensors.get("t"), { shape: [3], data: colour.t });
  assert.deepEqual(tensors.get("image"), { shape: [3, 3, 2, 1], data: colour.image });
  assert.deepEqual(tensors.get("velocity"), { shape: [2, 3, 2, 1], data: colour.velocity });
});

testInFolder("readTrajectories() says in one line what is missing or damaged", async (run) => {
  assert.deepEqual(await findTrajectories(run), []);
  await assert.rejects(readTrajectories(run), {
    name: "RunError",
    message: /^Cannot find trajectories of .*: there is no .*sample_<k>.safetensors \(a training run writes/,
  });
  const [file] = await writeTrajectories(run, [trajectory(0)], source);
  const bytes = await Deno.readFile(file);
  const { tensors, metadata } = decodeSafetensors(bytes, file);
  const refused = async (content: Uint8Array, problem: string, name = "RunError") => {
    await Deno.writeFile(file, content);
    const message = RegExp(`^${RegExp.escape(`Cannot read ${file}: `)}.*${RegExp.escape(problem)}`);
    await assert.rejects(readTrajectories(run), { name, message });
  };
  await refused(bytes.subarray(0, -1), "", "SafetensorsError");
  const given = (changes: Record<string, string>) => encodeSafetensors(tensors, { ...metadata, ...changes });
  const incomplete = encodeSafetensors(tensors, { solver: "euler" });
  await refused(incomplete, 'its metadata is {"solver":"euler"} (expected');
  for (const label of ["-1", "1.5", "one"]) {
    await refused(given({ label, guidance: "2" }), `its label is ${label} at guidance 2 (expected a class`);
  }
  const withTensor = (name: string, change: (data: Float32Array) => Float32Array | undefined) => {
    const { shape, data } = tensors.get(name)!, changed = change(data);
    const rest = new Map([...tensors].filter(([known]) => known !== name));
    return encodeSafetensors(changed ? rest.set(name, { shape, data: changed }) : rest, metadata);
  };
  for (const name of ["t", "image", "velocity"]) {
    await refused(withTensor(name, () => undefined), `${name} is missing (expected f32[`);
  }
  for (const [name, bad] of [["velocity", Infinity], ["t", NaN]] as const) {
    const damaged = withTensor(name, (data) => data.with(-1, bad));
    await refused(damaged, `${name} holds NaN or infinities; delete it`);
  }
  await refused(withTensor("t", (data) => data.with(-1, 0.5)), "t of snapshot 2 is 0.5 after 0.5");
  await Deno.remove(file);
  await Deno.symlink("sample_1.safetensors", file);
  await assert.rejects(findTrajectories(run), { name: "RunError", message: /^Cannot read .*sample_1/ });
});

/** v(x, t) = -x, in place of a network. */
const decay = { velocity: (x: Tensor) => multiply(x, -1) } as unknown as Model;

testOnCpu("followTrajectories() follows the flow in pixels, with the velocity at each t", async () => {
  const how = { count: 2, seed: 5, steps: 4, solver: "euler" } as const;
  for (const shape of [[1, 3, 2], [3, 2, 2]] as const) {
    const P = shape[0] * shape[1] * shape[2];
    const drawable = { model: decay, normalization: { scale: 2, shift: -1 }, shape };
    const both = await followTrajectories(drawable, how);
    const x0 = await noise(5, [3, ...shape]).read(); // the same for any number of samples
    for (const { t, image, velocity, shape: [M, ...size] } of both) {
      assert.deepEqual([M, ...size], shape[0] === 1 ? [5, 3, 2] : [5, 3, 2, 2]);
      assert.deepEqual([...t], [0, 0.25, 0.5, 0.75, 1]);
      // A pixel p is x = 2 p - 1 in the network, so dp/dt = -(2 p - 1) / 2.
      assertClose(velocity, image.subarray(0, 4 * P).map((p) => -(2 * p - 1) / 2), 1e-6);
      assertClose(image.subarray(P), image.subarray(0, 4 * P).map((p, i) => p + velocity[i] / 4), 1e-6);
    }
    both.forEach(({ image }, n) =>
      assertSameNumbers(image.subarray(0, P), x0.subarray(n * P, (n + 1) * P).map((x) => (x + 1) / 2))
    );
  }
});
