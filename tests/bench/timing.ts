import { type Device, record } from "../../kernels/mod.ts";

/** The result of timing some work. */
export interface Measurement {
  readonly name: string;
  /** Median over repetitions, milliseconds. */
  readonly milliseconds: number;
  /** Amount of work per second, in the unit. */
  readonly rate: number;
  readonly unit: "GFLOP/s" | "GB/s" | "images/s" | "steps/s";
}

/** Work to time. */
export interface Work {
  readonly name: string;
  /** Amount of work in a step, in FLOP, bytes, images or steps. */
  readonly amount: number;
  readonly unit: Measurement["unit"];
  /** Runs some steps and waits for them. */
  run(count: number): Promise<void>;
}

/** Default number of repetitions. */
export const defaultRepetitions = 5;
/** Minimum time of a repetition, which makes the final wait negligible. */
const leastMs = 200;

/**
 * The middle value, or the mean of the two middle ones.
 *
 * @throws {RangeError} if there are no values
 */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("Cannot take a median: there are no values");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A measurement from the time of a step. */
export function measurement(
  { name, amount, unit }: Pick<Work, "name" | "amount" | "unit">,
  milliseconds: number,
): Measurement {
  const perSecond = amount / milliseconds * 1000;
  return { name, milliseconds, rate: unit.startsWith("G") ? perSecond / 1e9 : perSecond, unit };
}

/**
 * Times several works alternately (a, b, a, b, ...), so that other load affects all of them alike. After a warm-up,
 * takes the median of several repetitions, each long enough to make the final wait negligible.
 */
export async function timeInTurn(
  works: readonly Work[],
  repetitions: number = defaultRepetitions,
): Promise<Measurement[]> {
  const counts: number[] = [];
  for (const work of works) {
    await work.run(1);
    counts.push(Math.ceil(leastMs / Math.max(await time(work, 1), 0.1)));
  }
  const times = works.map((): number[] => []);
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const [i, work] of works.entries()) times[i].push(await time(work, counts[i]) / counts[i]);
  }
  return works.map((work, i) => measurement(work, median(times[i])));
}

async function time(work: Work, count: number): Promise<number> {
  const started = performance.now();
  await work.run(count);
  return performance.now() - started;
}

/** Work made of one function that queues a step on the device. */
export function queued(
  device: Device,
  name: string,
  amount: number,
  unit: Measurement["unit"],
  step: () => void,
): Work {
  const run = async (count: number) => {
    for (let i = 0; i < count; i++) step();
    await device.finished();
  };
  return { name, amount, unit, run };
}

/** Times a function that queues a step on the device. */
export async function timeRuns(...work: Parameters<typeof queued>): Promise<Measurement> {
  const [found] = await timeInTurn([queued(...work)]);
  return found;
}

/** Records a step and times it. */
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
