/**
 * `deno run --allow-read tests/bench/profile.ts [flags of train, e.g. --model residual --filters 16,32,64]`: the time
 * of a training step by op. Each op of the recorded step is timed separately, many times.
 */
import { init } from "../../kernels/mod.ts";
import { main, task } from "../../experiments/cli/task.ts";
import { normalizationTo, presets, training, type TrainingConfig } from "../../experiments/cli/training.ts";
import { type GivenSettings, trainingConfig } from "../../experiments/cli/training_config.ts";
import { ImageSource } from "../../experiments/data/image_source.ts";
import { makeNetwork } from "../../experiments/training/network.ts";
import { sharesOf } from "./shares.ts";
import { timeRuns } from "./timing.ts";

await main(task({
  name: "train",
  about: "Print the time of each op of a training step",
  settings: training,
  resolve: (given: GivenSettings) => trainingConfig({ model: "residual", ...given }),
  preset: () => Promise.resolve(presets.quick),
  run: profile,
}));

async function profile(config: TrainingConfig): Promise<void> {
  const device = await init(config);
  const pixels = Uint8Array.from({ length: config.batchSize * 784 }, (_, i) => (i * 2654435761) >>> 24);
  const source = new ImageSource(
    pixels,
    { channels: 1, height: 28, width: 28 },
    normalizationTo(config.normalize),
  );
  const { trainer } = makeNetwork(config, source);
  const images = Uint32Array.from({ length: config.batchSize }, (_, i) => i);
  const step = () => trainer.queueStep(images, 1e-4);

  const shares = await sharesOf(device, step);
  const total = await timeRuns(device, "step", config.batchSize, "images/s", step);
  const dispatches = shares.reduce((sum, { calls }) => sum + calls, 0);
  console.log(`${config.model} [${config.filters}], batch ${config.batchSize}, on ${device.description}`);
  console.log(
    `a step: ${total.milliseconds.toFixed(1)} ms, ${
      total.rate.toFixed(1)
    } images/s, ${dispatches} dispatches`,
  );
  for (const { name, calls, milliseconds, share } of shares) {
    const time = milliseconds.toFixed(2).padStart(9), percent = (100 * share).toFixed(1).padStart(5);
    console.log(`${name.padEnd(30)} ${String(calls).padStart(4)} calls ${time} ms ${percent} %`);
  }
  device.close();
}
