/**
 * `deno run --allow-read tests/bench/profile.ts [flags of train, e.g. --model residual --filters 16,32,64]`: where a
 * training step spends its time, op by op. Each op of the recorded step is timed alone, many times over.
 */
import { init } from "../../kernels/mod.ts";
import type { KernelCall } from "../../kernels/devices/device.ts";
import { parseTrainingFlags, resolveConfig } from "../../experiments/config.ts";
import { ImageSource, normalizationTo } from "../../experiments/image_source.ts";
import { Trainer } from "../../experiments/trainer.ts";
import { timeRuns } from "./timing.ts";

const flags = parseTrainingFlags(Deno.args);
const device = await init({ device: flags.values.device ?? "auto" });
const config = resolveConfig({ ...flags, values: { model: "residual", ...flags.values } }, "quick");
const pixels = Uint8Array.from({ length: config.batchSize * 784 }, (_, i) => (i * 2654435761) >>> 24);
const source = new ImageSource(pixels, { height: 28, width: 28 }, normalizationTo(config.normalize));
const trainer = new Trainer(config, source);

let calls: readonly KernelCall[] = [];
const prepare = device.prepare.bind(device);
device.prepare = (all) => prepare(calls = all);
const images = Uint32Array.from({ length: config.batchSize }, (_, i) => i);
const whole = await timeRuns(
  device,
  "step",
  config.batchSize,
  "images/s",
  () => trainer.queueStep(images, 1e-4),
);

const alike = Map.groupBy(calls, ({ kernel, dims }) => `${kernel.name} ${JSON.stringify(dims)}`);
const totals = new Map<string, { calls: number; milliseconds: number }>();
for (const group of alike.values()) {
  const { milliseconds } = await timeRuns(device, "", 1, "images/s", prepare(group));
  const { name } = group[0].kernel;
  const total = totals.get(name) ?? { calls: 0, milliseconds: 0 };
  totals.set(name, { calls: total.calls + group.length, milliseconds: total.milliseconds + milliseconds });
}
const sum = totals.values().reduce((all, { milliseconds }) => all + milliseconds, 0);
console.log(`${config.model} [${config.filters}], batch ${config.batchSize}, on ${device.description}`);
console.log(
  `a step: ${whole.milliseconds.toFixed(1)} ms, ${
    whole.rate.toFixed(1)
  } images/s, ${calls.length} dispatches`,
);
for (const [name, total] of [...totals].sort(([, a], [, b]) => b.milliseconds - a.milliseconds)) {
  const share = (100 * total.milliseconds / sum).toFixed(1);
  console.log(
    `${name.padEnd(30)} ${String(total.calls).padStart(4)} calls ${
      total.milliseconds.toFixed(2).padStart(9)
    } ms ${share.padStart(5)} %`,
  );
}
device.close();
