import { type Device, record } from "../../kernels/mod.ts";

/** A measured piece of work. */
export interface Measurement {
  readonly name: string;
  /** Median over repetitions, milliseconds. */
  readonly milliseconds: number;
  /** What was done a second, and in which unit: GFLOP/s, GB/s or images/s. */
  readonly rate: number;
  readonly unit: "GFLOP/s" | "GB/s" | "images/s";
}

/** Runs of a measurement, and the least time each of them takes, so that the wait for the device's answer is small. */
const repetitions = 5;
const leastMs = 200;

/**
 * Times a step: recorded, warmed up, then the median of several runs, each of enough steps to drown the wait at the end.
 *
 * @param amount what one step does: FLOP, bytes or images
 */
export async function measure(
  device: Device,
  name: string,
  amount: number,
  unit: Measurement["unit"],
  step: () => unknown,
): Promise<Measurement> {
  const recorded = record(step);
  return await timeRuns(device, name, amount, unit, () => recorded.run());
}

/** Times a function that queues work. */
export async function timeRuns(
  device: Device,
  name: string,
  amount: number,
  unit: Measurement["unit"],
  run: () => void,
): Promise<Measurement> {
  const time = async (count: number) => {
    const started = performance.now();
    for (let i = 0; i < count; i++) run();
    await device.finished();
    return performance.now() - started;
  };
  await time(1);
  const count = Math.ceil(leastMs / Math.max(await time(1), 0.1));
  const times: number[] = [];
  for (let i = 0; i < repetitions; i++) times.push(await time(count) / count);
  const milliseconds = times.sort((a, b) => a - b)[repetitions >> 1];
  const perSecond = amount / milliseconds * 1000;
  return { name, milliseconds, rate: unit === "images/s" ? perSecond : perSecond / 1e9, unit };
}
