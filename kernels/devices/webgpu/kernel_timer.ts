import { DeviceError } from "../device.ts";
import type { Dispatch } from "./commands.ts";
import { readBack } from "./health.ts";

/** Dispatches to run several times in a row. */
export interface TimedPass {
  readonly dispatches: readonly Dispatch[];
  readonly repeats: number;
}

/** Times dispatches. @throws {DeviceError} if the device is lost */
export interface KernelTimer {
  /** Minimum milliseconds of a pass, given the clock's resolution. */
  readonly leastMs: number;
  /** Runs passes one after another and returns the milliseconds of each. */
  time(passes: readonly TimedPass[]): Promise<number[]>;
  /** Frees its memory on the device. */
  close(): void;
}

const passesPerSubmit = 64;
/** Milliseconds between the two readings that calibrate the device's clock. */
const checkMs = 50;

/** Uses the device's own clock if it has a working one, else the host's. */
export async function kernelTimer(device: GPUDevice): Promise<KernelTimer> {
  if (!device.features.has("timestamp-query")) return hostTimer(device);
  const timer = new DeviceTimer(device);
  if (await timer.runs()) return timer;
  timer.close();
  return hostTimer(device);
}

function encode(pass: GPUComputePassEncoder, { dispatches, repeats }: TimedPass): void {
  for (let i = 0; i < repeats; i++) {
    for (const { pipeline, bindGroup, x, y } of dispatches) {
      pass.setPipeline(pipeline.handle);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(x, y);
    }
  }
  pass.end();
}

/** Times by timestamps, reading many at a time. */
class DeviceTimer implements KernelTimer {
  readonly leastMs = 2;
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  #nanoseconds = 1;

  constructor(device: GPUDevice) {
    const count = 2 * passesPerSubmit;
    this.#device = device;
    this.#queries = device.createQuerySet({ type: "timestamp", count });
    const { COPY_SRC, QUERY_RESOLVE } = GPUBufferUsage;
    this.#resolved = device.createBuffer({ size: 8 * count, usage: QUERY_RESOLVE | COPY_SRC });
  }

  /**
   * Whether the clock runs. Timestamps should be nanoseconds; some platforms return clock ticks, whose length is
   * measured here.
   */
  async runs(): Promise<boolean> {
    const startMs = performance.now();
    const [, start] = await this.#stamps([undefined]);
    await new Promise((resolve) => setTimeout(resolve, checkMs));
    const [, end] = await this.#stamps([undefined]);
    const ticks = Number(end - start);
    if (!(ticks > 0)) return false;
    const tick = (performance.now() - startMs) * 1e6 / ticks; // slightly too long: it includes waiting for the answers
    if (tick < 0.5 || tick > 10) this.#nanoseconds = tick;
    return true;
  }

  close(): void {
    this.#queries.destroy();
    this.#resolved.destroy();
  }

  async time(passes: readonly TimedPass[]): Promise<number[]> {
    const times: number[] = [];
    for (let first = 0; first < passes.length; first += passesPerSubmit) {
      const batch = passes.slice(first, first + passesPerSubmit);
      const stamps = await this.#stamps(batch);
      for (const i of batch.keys()) {
        times.push(Number(stamps[2 * i + 1] - stamps[2 * i]) * this.#nanoseconds / 1e6);
      }
    }
    return times;
  }

  /** Timestamps at the start and end of passes, some of which are empty. */
  async #stamps(passes: readonly (TimedPass | undefined)[]): Promise<BigUint64Array> {
    const encoder = this.#device.createCommandEncoder();
    for (const [i, work] of passes.entries()) {
      const timestampWrites = {
        querySet: this.#queries,
        beginningOfPassWriteIndex: 2 * i,
        endOfPassWriteIndex: 2 * i + 1,
      };
      const pass = encoder.beginComputePass({ timestampWrites });
      if (work) encode(pass, work);
      else pass.end();
    }
    encoder.resolveQuerySet(this.#queries, 0, 2 * passes.length, this.#resolved, 0);
    const bytes = 16 * passes.length;
    const stamps = await readBack(this.#device, bytes, (to) => {
      encoder.copyBufferToBuffer(this.#resolved, 0, to, 0, bytes);
      this.#device.queue.submit([encoder.finish()]);
    }).catch((cause) => {
      throw new DeviceError(`Cannot time kernels on the device: ${cause}`, { cause });
    });
    return new BigUint64Array(stamps);
  }
}

/** Times from submit to completion on the host's clock. */
const hostTimer = (device: GPUDevice): KernelTimer => ({
  leastMs: 20,
  close() {},
  async time(passes) {
    const times: number[] = [];
    for (const work of passes) {
      const encoder = device.createCommandEncoder();
      encode(encoder.beginComputePass(), work);
      let startMs = 0;
      await readBack(device, 4, (to) => {
        encoder.clearBuffer(to); // the read waits for it, and so for the work before
        startMs = performance.now();
        device.queue.submit([encoder.finish()]);
      });
      times.push(performance.now() - startMs);
    }
    return times;
  },
});

/** Runs a pass of several runs of each candidate and returns the milliseconds of each pass. */
export type TimeCandidates = (
  passes: readonly { readonly candidate: string; readonly repeats: number }[],
) => Promise<readonly number[]>;

/** Result of a measurement: milliseconds per run of each candidate, and the one to use. */
export interface Fastest {
  readonly chosen: string;
  readonly milliseconds: Readonly<Record<string, number>>;
}

/** Candidates this many times slower than the fastest are dropped: after one run, and after several. */
const hopeless = { once: 3, often: 1.5 } as const;
/** Time in milliseconds and maximum number of rounds for ruling out candidates after their first run. */
const sifting = { milliseconds: 30, rounds: 3 } as const;
/** Time in milliseconds and maximum number of rounds for timing the remaining candidates; at least three rounds. */
const timing = { milliseconds: 500, rounds: 7 } as const;
/** Maximum number of runs in a row. */
const maxRepeats = 256;
/** Required gain: half of a candidate's times must beat the best time of the first candidate by this share. */
const gain = 0.02;

/** Number of rounds of this length that fit the time. */
const roundsIn = (allowed: { milliseconds: number; rounds: number }, taken: number, least: number) =>
  Math.min(allowed.rounds, Math.max(least, Math.floor(allowed.milliseconds / taken)));

/**
 * Finds the fastest candidate. Candidates alternate, so that other work on the device disturbs all alike. The shortest
 * of several times counts, because other work only adds. If noise dominates, the first candidate is kept.
 *
 * @param candidates the first is kept unless half the times of another beat its best time by 2 %
 * @param leastMs minimum milliseconds of a measurement
 */
export async function fastest(
  candidates: readonly string[],
  time: TimeCandidates,
  leastMs: number,
): Promise<Fastest> {
  const milliseconds: Record<string, number> = {};
  const typical: Record<string, number> = {};
  const timeRounds = async (some: readonly string[], rounds: number, repeatsOf: (name: string) => number) => {
    const round = some.map((candidate) => ({ candidate, repeats: repeatsOf(candidate) }));
    const times = await time(Array.from({ length: rounds }, () => round).flat());
    for (const [i, { candidate, repeats }] of round.entries()) {
      const ofCandidate = Array.from({ length: rounds }, (_, k) => times[k * round.length + i] / repeats);
      ofCandidate.sort((a, b) => a - b);
      milliseconds[candidate] = ofCandidate[0];
      typical[candidate] = ofCandidate[rounds >> 1];
    }
    return times.reduce((sum, ms) => sum + ms, 0);
  };
  const warmUpMs = await timeRounds(candidates, 1, () => 1); // may include compiling and clearing memory
  const siftingRounds = roundsIn(sifting, warmUpMs, 1);
  await timeRounds(candidates, siftingRounds, () => 1);
  const least = Math.min(...Object.values(milliseconds));
  const most = (siftingRounds > 1 ? hopeless.often : hopeless.once) * least;
  const remaining = candidates.filter((candidate, i) => i === 0 || !(milliseconds[candidate] > most));
  if (remaining.length > 1) {
    const repeats = (candidate: string) =>
      Math.min(Math.max(Math.ceil(leastMs / milliseconds[candidate]), 1), maxRepeats);
    const roundMs = remaining.reduce((sum, name) => sum + repeats(name) * milliseconds[name], 0);
    await timeRounds(remaining, roundsIn(timing, roundMs, 3), repeats);
  }
  const best = remaining.reduce((best, candidate) =>
    milliseconds[candidate] < milliseconds[best] ? candidate : best
  );
  const isBetter = typical[best] < (1 - gain) * milliseconds[candidates[0]];
  return { chosen: isBetter ? best : candidates[0], milliseconds };
}

/** Takes the first candidate and times it roughly, run by run. */
export async function first([candidate]: readonly string[], time: TimeCandidates): Promise<Fastest> {
  const [, ms] = await time([0, 1].map(() => ({ candidate, repeats: 1 })));
  return { chosen: candidate, milliseconds: { [candidate]: ms } };
}
