import assert from "node:assert/strict";
import { join } from "node:path";
import { compareModels, differences } from "../../../experiments/report/compare_models.ts";
import { init, tensor, withDevice } from "../../../kernels/mod.ts";
import { createModel, loadCheckpoint, saveCheckpoint } from "../../../models/mod.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { assertClose } from "../../testing.ts";

const device = await init({ device: "cpu" });

/** Calls `use` with a folder of runs, each with an untrained network of some channels and classes. */
async function withRuns(
  channels: Readonly<Record<string, number>>,
  test: (runs: string[]) => Promise<void>,
  classes: Readonly<Record<string, number>> = {},
): Promise<void> {
  await withFolder(async (folder) => {
    await withDevice(device, async () => {
      for (const [i, [name, count]] of Object.entries(channels).entries()) {
        const known = classes[name] ?? 0;
        const config = {
          type: "UNet_FM",
          filters: [2, 4],
          tEmb: 4,
          channels: count,
          classes: known,
        } as const;
        const info = { config, normalization: { scale: 2, shift: -1 }, imageSize: [4, 4] } as const;
        await Deno.mkdir(join(folder, name));
        await Deno.writeFile(
          join(folder, name, "ema.safetensors"),
          await saveCheckpoint(createModel(config, i), info),
        );
      }
    });
    await withDevice(device, () => test(Object.keys(channels).map((name) => join(folder, name))));
  });
}

const files = { read: true, write: true } as const;

Deno.test("differences() are root mean squares at each time", () => {
  const a = Float32Array.of(2, 2, 7, 7, 4, 2, 7, 7); // two samples at two times, two pixels each
  assert.deepEqual(differences(a, Float32Array.of(1, 1, 2, 2, 1, 1, 2, 2), [2, 2]), [1.73205, 5]);
});

testNeeding(
  files,
  "compareModels() compares networks of three channels at the times of the solver",
  () =>
    withRuns({ a: 3, b: 3 }, async (runs) => {
      const { t, shape, points, velocities } = (await compareModels(runs))!;
      assert.deepEqual(shape, [5, 20, 3, 4, 4]);
      assert.deepEqual(t, Float32Array.from({ length: 20 }, (_, i) => i / 20));
      const length = 5 * 20 * 3 * 4 * 4;
      assert.deepEqual(points.map((point) => point.length), [length, length]);
      assert.deepEqual(velocities.flat().map((velocity) => velocity.length), Array(4).fill(length));
      assert.notDeepEqual(velocities[0][0], velocities[0][1]);
      // A step of Euler's method leads to the next point.
      const at = (values: Float32Array, i: number) => values[i * 3 * 16 + 37];
      assert.ok(
        Math.abs(at(points[1], 1) - at(points[1], 0) - at(velocities[1][1], 0) / 20) < 1e-5,
        "on its own trajectory",
      );
    }),
);

testNeeding(
  files,
  "compareModels() rejects images of different sizes, and runs without weights",
  () =>
    withRuns({ grey: 1, colour: 3 }, async (runs) => {
      await assert.rejects(compareModels(runs), {
        name: "RunError",
        message:
          /^Cannot compare .*grey and .*colour: their images are 4 x 4 and 3 x 4 x 4 \(expected one size\)$/,
      });
      await Deno.remove(join(runs[0], "ema.safetensors"));
      await assert.rejects(compareModels(runs), {
        name: "RunError",
        message: /: it has no ema.safetensors or last.safetensors \(expected the weights of a run\)$/,
      });
    }),
);

testNeeding(
  files,
  "compareModels() draws class after class from conditional networks, beside one without classes",
  () =>
    withRuns({ labelled: 1, plain: 1 }, async (runs) => {
      const { labels, t, points, velocities, shape } = (await compareModels(runs))!;
      assert.deepEqual(labels, [0, 1, 2, 0, 1]);
      const path = join(runs[0], "ema.safetensors");
      const { model } = loadCheckpoint(await Deno.readFile(path), path);
      const P = 16;
      const [S, T] = shape;
      for (let s = 0; s < S; s++) {
        const at = (s * T + 7) * P;
        const x = tensor(points[0].slice(at, at + P).map((pixel) => 2 * pixel - 1), [1, 1, 4, 4]);
        const v = model.velocity(x, tensor(Float32Array.of(t[7])), tensor(Uint32Array.of(s % 3)));
        assertClose(velocities[0][0].subarray(at, at + P), (await v.read()).map((v) => v / 2), 1e-5);
      }
      assert.equal((await compareModels([runs[1], runs[0]]))!.labels?.length, S);
    }, { labelled: 3 }),
);
