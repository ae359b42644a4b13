import {
  type Device,
  matmul,
  multiply,
  randomNormal,
  record,
  tensor,
  withDevice,
} from "../../kernels/mod.ts";
import { isGpu } from "../../experiments/settings/run.ts";

/** The highest rates measured on a device. */
export interface Bounds {
  /** Bytes read and written per second when copying an array larger than caches. */
  readonly bytesPerSecond: number;
  /** Multiply-adds per second when multiplying large matrices. */
  readonly multiplyAddsPerSecond: number;
}

/** Elements of the copied array: 64 MiB, larger than most caches. */
const copied = 1 << 24;

/** Minimum milliseconds of a timing, which makes the final wait negligible. */
const leastMs = 100;

/** Measures, in a second or two, how fast a device copies and multiplies. */
export async function measureBounds(device: Device): Promise<Bounds> {
  const side = isGpu(device) ? 4096 : 1024;
  return await withDevice(device, async () => {
    const random = (...shape: number[]) => randomNormal(tensor(Uint32Array.of(1, 9, 0)), shape);
    const x = random(copied), a = random(side, side);
    const copy = await secondsOf(device, () => multiply(x, 2));
    const product = await secondsOf(device, () => matmul(a, a));
    return { bytesPerSecond: 2 * 4 * copied / copy, multiplyAddsPerSecond: side ** 3 / product };
  });
}

/** Seconds per step: the lowest of three timings. */
async function secondsOf(device: Device, step: () => unknown): Promise<number> {
  const recorded = record(step);
  const run = async (count: number) => {
    const started = performance.now();
    for (let i = 0; i < count; i++) recorded.run();
    await device.finished();
    return (performance.now() - started) / count;
  };
  await run(1);
  const count = Math.ceil(leastMs / Math.max(await run(1), 0.1));
  return Math.min(await run(count), await run(count), await run(count)) / 1000;
}
