import assert from "node:assert/strict";
import { init } from "../../../kernels/mod.ts";
import { runFile, weightsFile } from "../../../experiments/run/layout.ts";
import { trainingConfig } from "../../../experiments/settings/training_config.ts";
import { runTraining } from "../../../experiments/training/run_training.ts";
import { withFolder } from "../../folder.ts";
import { missingAdapter } from "../cli.ts";
import { testUnless } from "../../permissions.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";

/** Copies the files of a finished run. */
async function copyRun(from: string, to: string): Promise<string> {
  await Deno.mkdir(to);
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile && name !== runFile.lock) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
  return to;
}

/** Trains on a device of its own, with nothing chosen yet. */
async function train(values: Parameters<typeof trainingConfig>[0]): Promise<void> {
  const device = await init({ device: "webgpu" });
  await runTraining(trainingConfig(values), { device });
  device.close();
}

testUnless(await missingAdapter(), "a run resumes with the kernels that it notes, bit for bit", async () => {
  await withFolder(async (folder) => {
    await writeTinyIdx(`${folder}/data`);
    const first = `${folder}/first`;
    await train({
      ...{ model: "base", filters: [8], tEmb: 4, batchSize: 4, data: `${folder}/data`, trainLimit: 20 },
      ...{ device: "webgpu", tune: false, conditional: false, schedule: "constant", maxSteps: 1, ema: 0 },
      ...{ samples: 0, flowSamples: 0, pathSamples: 0, testBatches: 1, valFraction: 0, seed: 3, out: first },
    });
    const [plain, whole, parts] = await Promise.all(
      ["plain", "whole", "parts"].map((name) => copyRun(first, `${folder}/${name}`)),
    );
    for (const run of [whole, parts]) {
      const { adapter, calls } = JSON.parse(await Deno.readTextFile(`${run}/${runFile.kernels}`));
      const others = Object.keys(calls).map((call) =>
        call.startsWith("conv2dWeightGradient") ? [call, "workgroups 16x64x16"] : [call, calls[call]]
      );
      await Deno.writeTextFile(
        `${run}/${runFile.kernels}`,
        JSON.stringify({ adapter, calls: Object.fromEntries(others) }),
      );
    }
    for (const run of [plain, whole]) await train({ resume: run, maxSteps: 3 });
    for (const maxSteps of [2, 3]) await train({ resume: parts, maxSteps });
    const weights = (run: string) => Deno.readFile(`${run}/${weightsFile("last")}`);
    assert.deepEqual(await weights(parts), await weights(whole));
    assert.notDeepEqual(await weights(whole), await weights(plain)); // the others round differently
  });
});
