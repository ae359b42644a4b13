/**
 * `deno run tests/bench/tuning.ts [--json] [--repetitions N] [--filters N,N,...] [--batch N] [--seconds N]`: times a
 * training step of the residual network with default kernels and with tuned kernels, alternating. On a software adapter
 * it adds two cases: tuned from the GPU defaults, which are wrong there, and recorded as for a GPU. The latter fixes
 * the number of partial sums in weight gradients, which tuning cannot change.
 */
import { type Device, withDevice } from "../../kernels/mod.ts";
import { WebGpuDevice } from "../../kernels/devices/webgpu/webgpu_device.ts";
import { commonFlags, count, flagValues, openDevice } from "./flags.ts";
import { nameOf, training } from "./networks.ts";
import { Reporter } from "./report.ts";
import { queued, timeInTurn, type Work } from "./timing.ts";

const values = flagValues({
  json: commonFlags.json,
  repetitions: commonFlags.repetitions,
  filters: { type: "string", default: "16,32,64" },
  batch: { type: "string", default: "64" },
  seconds: { type: "string", default: "600" },
});
const step = {
  model: "residual",
  filters: values.filters.split(",").map((channels) => count("filters", channels)),
  tEmb: 64,
  batchSize: count("batch", values.batch),
} as const;
const seconds = count("seconds", values.seconds);
const repetitions = count("repetitions", values.repetitions);

const table = await openDevice("webgpu");
const reporter = new Reporter(table.description, values.json);
const devices: [string, Device][] = [["table", table], ["tuned", await WebGpuDevice.open()]];
if (table.tuning.software) {
  devices.push(["tuned from the kernels for GPUs", await WebGpuDevice.open({ software: false })]);
}
const works: Work[] = [];
for (const [name, device] of devices) {
  await withDevice(device, async () => {
    const { trainer, step: queue } = training(step);
    if (device !== table) {
      const startMs = performance.now();
      const choices = await trainer.tune({ seconds });
      const measured = choices.filter(({ by }) => by === "measurement");
      reporter.fact(`${name}: time of tuning`, (performance.now() - startMs) / 1000, "s");
      reporter.fact(`${name}: calls measured of ${choices.length}`, measured.length, "");
      for (const { key, chosen, milliseconds } of measured) {
        const times = Object.entries(milliseconds).map(([name, ms]) => `${name} ${ms.toFixed(3)}`);
        reporter.note(`${key.call}: ${chosen}, of ${times.join(", ")} ms`);
      }
      const changed = measured.filter(({ chosen, candidates }) => chosen !== candidates[0]);
      reporter.fact(`${name}: calls that differ from the defaults`, changed.length, "");
    }
    works.push(queued(device, `train ${nameOf(step)}, ${name}`, step.batchSize, "images/s", queue));
  });
}
const [byTable, ...tuned] = await timeInTurn(works, repetitions);
reporter.add(byTable);
for (const measurement of tuned) {
  reporter.add(measurement);
  reporter.fact(
    `time of ${measurement.name} over the default`,
    100 * measurement.milliseconds / byTable.milliseconds,
    "%",
  );
}
reporter.end();
for (const [, device] of devices) device.close();
