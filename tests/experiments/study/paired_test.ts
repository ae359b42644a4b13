import { normalizationTo } from "../../../experiments/cli/training.ts";
import assert from "node:assert/strict";
import { init } from "../../../kernels/mod.ts";
import { BatchOrder, blankInitialiser, createModel, Trainer } from "../../../models/mod.ts";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import { sourceOf } from "../../../experiments/data/image_source.ts";
import { splitImages } from "../../../experiments/data/dataset.ts";
import { objectiveOf } from "../../../experiments/cli/training_config.ts";
import { type CellSettings, configOf, readPlan } from "../../../experiments/study/plan.ts";
import { modelOptions } from "../../../experiments/training/network.ts";
import { testInFolder } from "../../folder.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";

const plan = readPlan({
  name: "paired",
  // On this path the loss of a network of zeros depends on images, noise and times.
  fixed: { path: "cosine", batchSize: 8, tEmb: 8, groups: 4, conditional: true },
}, "a test");

testInFolder(
  "cells of one seed see the same images, noise and times, regardless of their network",
  async (folder) => {
    await writeTinyIdx(`${folder}/data`, { train: 60, test: 8 });
    const data = await loadDataset(`${folder}/data`);
    const device = await init({ device: "cpu", threads: 1 });
    /** Losses of the first steps of a network whose weights stay zero. */
    const lossesOf = async (settings: CellSettings, seed: number) => {
      const config = configOf(plan, { asked: settings, id: "a cell", seed, steps: 3 });
      const normalization = normalizationTo(config.normalize);
      const source = sourceOf(data, "train", { conditional: true, normalization });
      const model = createModel(modelOptions(config, source.shape, data.classes), blankInitialiser);
      const { batchSize, labelDropout } = config;
      const trainer = new Trainer(model, source, {
        ...{ batchSize, seed, labelDropout, learningRate: 1, objective: objectiveOf(config) },
      });
      const order = new BatchOrder(splitImages(data.train.count, config).train, batchSize, seed);
      for (let step = 0; step < 3; step++) trainer.queueStep(order.batch(step), 0);
      return await trainer.losses();
    };
    const expected = await lossesOf({ model: "base", filters: "8,16" }, 1);
    assert.equal(new Set(expected).size, 3, "each step sees other data");
    const cells: CellSettings[] = [
      { model: "residual", filters: "8,16" },
      { model: "base", filters: "9,24", attn: true },
      { model: "residual", filters: "4,8,12", prediction: "velocity" },
    ];
    for (const settings of cells) {
      assert.deepEqual(
        await lossesOf(settings, 1),
        expected,
        JSON.stringify(settings),
      );
    }
    assert.notDeepEqual(await lossesOf({ model: "base", filters: "8,16" }, 2), expected, "another seed");
    const other = await lossesOf({ model: "base", filters: "8,16", times: "uniform" }, 1);
    assert.notDeepEqual(other, expected, "other times would change the losses");
    device.close();
  },
);
