/**
 * `deno run tests/bench/host.ts [--json] [--device auto|webgpu|cpu] [--repetitions N] [--steps 200] [--batch 8]`: host
 * time of a recorded training step of the residual U-Net, latency of a read, memory over many steps, and time of
 * sampling beyond its forward passes.
 */
import { type Device, full } from "../../kernels/mod.ts";
import { commonFlags, count, deviceChoice, flagValues, openDevice, titleOf } from "./flags.ts";
import { type Case, forwardPass, nameOf, sampling, training } from "./networks.ts";
import { Reporter } from "./report.ts";
import { measurement, median, queued, timeInTurn } from "./timing.ts";

/** Number of timed bursts. */
const hostBursts = 25;
/** Steps queued without waiting, as in training. On a software adapter the second submit makes the host wait. */
const burstSteps = 4;
/** Steps before the first measurement of memory, until pools and heap have settled. */
const warmUpSteps = 20;
/** Steps between two reads of the losses, as in training. */
const stepsBetweenReads = 50;
/** Euler steps of a batch of samples. */
const samplingSteps = 10;

/** Host time in milliseconds per step to queue and submit a burst on an idle device, for each of many bursts. */
async function hostTimes(device: Device, step: () => void, burst: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < hostBursts; i++) {
    await device.finished();
    const started = performance.now();
    for (let k = 0; k < burst; k++) step();
    await Promise.resolve(); // queued work is submitted in a microtask
    times.push((performance.now() - started) / burst);
  }
  return times;
}

/** Submits and writes per step of a WebGPU queue during a burst; undefined on other devices. */
async function queueCalls(
  device: Device,
  step: () => void,
): Promise<Record<"submit" | "writeBuffer", number>> {
  const counts = { submit: 0, writeBuffer: 0 };
  if (device.kind !== "webgpu") return counts;
  await device.finished();
  const prototype = GPUQueue.prototype;
  const { submit, writeBuffer } = prototype;
  prototype.submit = function (...given) {
    counts.submit += 1 / burstSteps;
    return submit.apply(this, given);
  };
  prototype.writeBuffer = function (...given) {
    counts.writeBuffer += 1 / burstSteps;
    return writeBuffer.apply(this, given);
  };
  for (let k = 0; k < burstSteps; k++) step();
  await Promise.resolve();
  Object.assign(prototype, { submit, writeBuffer });
  return counts;
}

/** Milliseconds to read a number that is already computed. */
async function readTime(): Promise<number> {
  const x = full([1], 1);
  const times: number[] = [];
  for (let i = 0; i < hostBursts; i++) {
    const started = performance.now();
    await x.read();
    times.push(performance.now() - started);
  }
  return median(times);
}

/** Host time per step and per dispatch, and memory over many steps. */
async function benchTraining(device: Device, c: Case, steps: number, reporter: Reporter): Promise<void> {
  const { trainer, step } = training(c);
  const { calls, bytes } = trainer.plan(c.batchSize);
  const run = async (count: number) => {
    for (let i = 1; i <= count; i++) {
      step();
      if (i % stepsBetweenReads === 0) await trainer.losses();
    }
    await trainer.losses();
  };
  await run(warmUpSteps);

  const hostTime = async (name: string, burst: number) => {
    const milliseconds = median(await hostTimes(device, step, burst));
    const whole = `${name}, ${nameOf(c)}`;
    reporter.add(measurement({ name: whole, amount: 1, unit: "steps/s" }, milliseconds));
    return milliseconds;
  };
  await hostTime("host, a single recorded step", 1);
  const milliseconds = await hostTime(`host, a recorded step of ${burstSteps}`, burstSteps);
  reporter.fact("dispatches per step", calls, "dispatches");
  reporter.fact("host time per dispatch", milliseconds / calls * 1000, "microseconds");
  const { submit, writeBuffer } = await queueCalls(device, step);
  reporter.fact("submits per step", submit, "submits");
  reporter.fact("queue writes per step", writeBuffer, "writes");
  reporter.fact("allowed: 1 ms plus 5 microseconds per dispatch", 1 + 0.005 * calls, "ms per step");

  await trainer.losses();
  reporter.fact("reading one number", await readTime(), "ms");
  const before = [device.allocatedBytes, Deno.memoryUsage().rss];
  await run(steps);
  const after = [device.allocatedBytes, Deno.memoryUsage().rss];
  reporter.fact("memory planned for a step", bytes / 2 ** 20, "MiB");
  for (const [i, kind] of ["device memory", "resident memory of the process"].entries()) {
    reporter.fact(`${kind} before`, before[i] / 2 ** 20, "MiB");
    reporter.fact(`${kind}, growth over ${steps} steps`, (after[i] - before[i]) / 2 ** 20, "MiB");
  }
}

/** Time of sampling compared with its forward passes. */
async function benchSampling(
  device: Device,
  c: Case,
  repetitions: number,
  reporter: Reporter,
): Promise<void> {
  const work = (name: string, step: () => void) =>
    queued(device, `${name} ${nameOf(c)}`, c.batchSize, "images/s", step);
  const measurements = await timeInTurn(
    [
      work("forward", forwardPass(c)),
      work(`sample, ${samplingSteps} Euler steps,`, sampling(c, samplingSteps)),
    ],
    repetitions,
  );
  measurements.forEach(reporter.add);
  const [once, all] = measurements.map(({ milliseconds }) => milliseconds);
  reporter.fact("sampling relative to its forward passes", all / (samplingSteps * once), "times");
}

const values = flagValues({
  ...commonFlags,
  steps: { type: "string", default: "200" },
  batch: { type: "string", default: "8" },
});
const steps = count("steps", values.steps);
const repetitions = count("repetitions", values.repetitions);
const batchSize = count("batch", values.batch);
const device = await openDevice(deviceChoice(values.device), values.threads);
const reporter = new Reporter(await titleOf(device), values.json);
const network: Case = { model: "residual", filters: [16, 32, 64], tEmb: 64, batchSize };
await benchTraining(device, network, steps, reporter);
await benchSampling(device, network, repetitions, reporter);
reporter.end();
device.close();
