import assert from "node:assert/strict";
import { join } from "node:path";
import { compareModels, differences } from "../../../experiments/report/compare_models.ts";
import { init, tensor, withDevice } from "../../../kernels/mod.ts";
import { createModel, loadCheckpoint, saveCheckpoint } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { assertClose } from "../../testing.ts";

const device = await init({ device: "cpu", threads: 1 });

/** Defines a test with two runs, each with an untrained network of some channels and classes. */
function testRuns(name: string, networks: readonly object[], test: (runs: string[]) => Promise<void>): void {
  testInFolder(name, (folder) =>
    withDevice(device, async () => {
      const runs = ["a", "b"].map((run) => join(folder, run));
      for (const [i, run] of runs.entries()) {
        const config = { type: "UNet_FM", filters: [2, 4], tEmb: 4, ...networks[i] } as const;
        const info = { config, normalization: { scale: 2, shift: -1 }, imageSize: [4, 4] } as const;
        await Deno.mkdir(run);
        const bytes = await saveCheckpoint(createModel(config, i), info);
        await Deno.writeFile(join(run, "ema.safetensors"), bytes);
      }
      await test(runs);
    }));
}

Deno.test("differences() are root mean squares at each time", () => {
  const a = Float32Array.of(2, 2, 7, 7, 4, 2, 7, 7); // two samples at two times, two pixels each
  assert.deepEqual(differences(a, Float32Array.of(1, 1, 2, 2, 1, 1, 2, 2), [2, 2]), [1.73205, 5]);
});

const [grey, colour, labelled] = [{ channels: 1 }, { channels: 3 }, { channels: 1, classes: 3 }];

testRuns("compareModels() compares networks at the times of the solver", [colour, colour], async (runs) => {
  const { t, shape, points, velocities } = (await compareModels(runs))!;
  assert.deepEqual(shape, [5, 20, 3, 4, 4]);
  assert.deepEqual(t, Float32Array.from({ length: 20 }, (_, i) => i / 20));
  const lengths = [...points, ...velocities.flat()].map(({ length }) => length);
  assert.deepEqual(lengths, Array(6).fill(5 * 20 * 3 * 4 * 4));
  assert.notDeepEqual(velocities[0][0], velocities[0][1]);
  // A step of Euler's method leads to the next point.
  const at = (values: Float32Array, i: number) => values[i * 3 * 16 + 37];
  const off = at(points[1], 1) - at(points[1], 0) - at(velocities[1][1], 0) / 20;
  assert.ok(Math.abs(off) < 1e-5, "on its own trajectory");
});

testRuns("compareModels() refuses other sizes, and runs without weights", [grey, colour], async (runs) => {
  const sizes = /^Cannot compare .*a and .*b: their images are 4 x 4 and 3 x 4 x 4 \(expected one size\)$/;
  await assert.rejects(compareModels(runs), { name: "RunError", message: sizes });
  await Deno.remove(join(runs[0], "ema.safetensors"));
  const none = /^RunError: .*: it has no ema.safetensors or last.safetensors /;
  await assert.rejects(compareModels(runs), none);
});

testRuns("compareModels() draws class after class, or beside no classes", [labelled, grey], async (runs) => {
  const { labels, t, points, velocities, shape: [S, T] } = (await compareModels(runs))!;
  assert.deepEqual(labels, [0, 1, 2, 0, 1]);
  const path = join(runs[0], "ema.safetensors");
  const { model } = loadCheckpoint(await Deno.readFile(path), path);
  for (let s = 0; s < S; s++) {
    const at = (s * T + 7) * 16;
    const x = tensor(points[0].slice(at, at + 16).map((pixel) => 2 * pixel - 1), [1, 1, 4, 4]);
    const v = await model.velocity(x, tensor(Float32Array.of(t[7])), tensor(Uint32Array.of(s % 3))).read();
    assertClose(velocities[0][0].subarray(at, at + 16), v.map((v) => v / 2), 1e-5);
  }
  assert.equal((await compareModels(runs.toReversed()))!.labels?.length, S);
});
