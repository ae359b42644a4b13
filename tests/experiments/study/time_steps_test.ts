import assert from "node:assert/strict";
import { currentDevice, init } from "../../../kernels/mod.ts";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import { trainingConfig } from "../../../experiments/settings/training_config.ts";
import { timeSteps } from "../../../experiments/study/time_steps.ts";
import { testInFolder } from "../../folder.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";

testInFolder(
  "timeSteps() times networks in turns, and leaves the device in use as it was",
  async (folder) => {
    await writeTinyIdx(`${folder}/data`);
    const data = await loadDataset(`${folder}/data`);
    const device = await init({ device: "cpu", threads: 1 });
    const config = (filters: readonly number[], coupling: string) =>
      trainingConfig({
        model: "base",
        filters,
        coupling,
        tEmb: 8,
        batchSize: 8,
        maxSteps: 1,
        conditional: false,
      });
    const options = { device: "cpu", threads: 1, signal: new AbortController().signal } as const;
    const [small, large] = await timeSteps(
      [config([2, 4], "ot"), config([64, 128], "independent")],
      data,
      options,
    );
    // Hundreds of times the arithmetic, so that no other program turns this round.
    assert.ok(small > 0 && small < large, `${small} and ${large} seconds`);
    assert.equal(currentDevice(), device);
    device.close();
  },
);
