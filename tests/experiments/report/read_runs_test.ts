import assert from "node:assert/strict";
import { join } from "node:path";
import { writeTrajectories } from "../../../experiments/draw/trajectories.ts";
import { countWeights } from "../../../experiments/report/facts.ts";
import { readReportRuns } from "../../../experiments/report/read_runs.ts";
import { findWeights } from "../../../experiments/run/layout.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { madeUpColourFlow, madeUpFlow } from "../../viz/flow/made_up_flow.ts";

const files = { read: true, write: true } as const;
const source = { modelType: "UNet_FM", seed: 7, solver: "heun", steps: 4 } as const;

/** Calls back with the folders of runs that hold settings alone. */
async function withRuns(names: string[], test: (...runs: string[]) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const runs = names.map((name) => join(folder, name));
    for (const run of runs) {
      await Deno.mkdir(run);
      await Deno.writeTextFile(join(run, "config.json"), "{}");
    }
    await test(...runs);
  });
}

/** A file that is there and cannot be read, not even by root. */
const unreadable = (run: string, name: string) => Deno.symlink(name, join(run, name));

testNeeding(
  files,
  "readReportRuns() says how flows were solved, with times where steps are not equal",
  () =>
    withRuns(["run"], async (run) => {
      const even = madeUpFlow(1, 5, [4, 4]);
      await writeTrajectories(run, [even], source);
      assert.deepEqual((await readReportRuns([run]))[0].solved, {
        seed: 7,
        solver: "heun",
        steps: 4,
        evaluations: 8,
      });
      const t = Float32Array.of(0, 0.1, 0.3, 0.6, 1);
      await writeTrajectories(run, [{ ...even, t }], source);
      const [{ solved, trajectories }] = await readReportRuns([run]);
      assert.deepEqual(solved, { seed: 7, solver: "heun", steps: 4, times: [...t], evaluations: 8 });
      assert.deepEqual(trajectories[0].t, t);
    }),
);

testNeeding(
  files,
  "readReportRuns() takes only missing files for none stored",
  () =>
    withRuns(["run"], async (run) => {
      assert.deepEqual((await readReportRuns([run]))[0].trajectories, []);
      await Deno.mkdir(join(run, "flow"));
      await unreadable(join(run, "flow"), "sample_1.safetensors");
      const message = /^Cannot read .*sample_1.safetensors: /;
      await assert.rejects(readReportRuns([run]), { name: "RunError", message });
    }),
);

testNeeding(
  files,
  "findWeights() and countWeights() take only missing files for none",
  () =>
    withRuns(["run"], async (run) => {
      assert.equal(findWeights(run), undefined);
      assert.equal(await countWeights(join(run, "last.safetensors")), undefined);
      await unreadable(run, "last.safetensors");
      assert.throws(() => findWeights(run), {
        name: "RunError",
        message: /^Cannot read .*last.safetensors: /,
      });
      await assert.rejects(countWeights(join(run, "last.safetensors")), { name: "RunError" });
      await Deno.writeTextFile(join(run, "ema.safetensors"), "damaged");
      assert.equal(await countWeights(join(run, "ema.safetensors")), undefined);
    }),
);

testNeeding(
  files,
  "readReportRuns() refuses grey and colour in one report",
  () =>
    withRuns(["grey", "colour"], async (grey, colour) => {
      await writeTrajectories(grey, [madeUpFlow(1, 5, [4, 4])], source);
      await writeTrajectories(colour, [madeUpColourFlow(1, 5, [4, 4])], source);
      assert.equal((await readReportRuns([colour]))[0].trajectories[0].shape.length, 4);
      await assert.rejects(readReportRuns([grey, colour]), {
        name: "RunError",
        message:
          "Cannot report grey and colour together: their images are 4 x 4 and 3 x 4 x 4 (expected one size)",
      });
    }),
);
