import {
  type ChosenBy,
  type DeviceBuffer,
  DeviceError,
  type KernelCall,
  type KernelChoice,
  type TuneOptions,
} from "../device.ts";
import { type Dispatch, type Dispatches, GpuBuffer } from "./commands.ts";
import { callOfPass, type PassWorkspace } from "./workspace.ts";
import { type Choices, nameOfCall, shaderOf } from "./pipelines.ts";
import { readBack } from "./health.ts";

/** A digest of texts, 16 hexadecimal digits; not for secrets. Source: Fowler, Noll, Vo: FNV-1a */
function digestOf(texts: readonly string[]): string {
  let low = 0x811c9dc5;
  let high = 0x01000193;
  for (const text of texts) {
    for (let i = 0; i <= text.length; i++) {
      const code = i < text.length ? text.charCodeAt(i) : 0xffff; // marks the end of a text
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul(high ^ code ^ low >>> 15, 0x5bd1e995);
    }
  }
  return [low, high].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

/** Buffers of zeros; undefined if there is no memory for them. */
async function buffersOf(device: GPUDevice, sizes: readonly number[]): Promise<GpuBuffer[] | undefined> {
  device.pushErrorScope("out-of-memory");
  const { STORAGE: usage } = GPUBufferUsage;
  const buffers = sizes.map((size) => new GpuBuffer(device.createBuffer({ size, usage }), size));
  if (!await device.popErrorScope()) return buffers;
  free(buffers);
}

function free(buffers: readonly GpuBuffer[]): void {
  for (const { handle } of buffers) handle.destroy();
}

/** A call with several candidates. */
export interface Subject {
  readonly call: KernelCall;
  readonly candidates: readonly string[];
  /** Number of times that a step makes the call, directly or as a part of another candidate. */
  calls: number;
  /** Calls with several candidates that this call's candidates consist of; they are tuned first. */
  readonly parts: readonly Subject[];
}

/** Placeholder for the scratch memory of passes; only the lengths of ranges matter here. */
const nowhere: DeviceBuffer = { bytes: 0 };

/** The distinct calls with several candidates, in the order of the step, each after its parts. */
function subjectsOf(calls: readonly KernelCall[], choices: Choices): Subject[] {
  const subjects = new Map<string, Subject>();
  const add = (call: KernelCall): Subject[] => {
    const candidates = call.kernel.candidates?.(call.dims, choices.table) ?? [];
    if (candidates.length < 2) return [];
    const parts = partsOf(call, candidates, choices).flatMap(add);
    const name = nameOfCall(call);
    const subject = subjects.get(name) ?? { call, candidates, calls: 0, parts };
    subject.calls++;
    subjects.set(name, subject);
    return [subject];
  };
  calls.forEach(add);
  return [...subjects.values()];
}

/** The calls that a call's candidates consist of. */
function partsOf(call: KernelCall, candidates: readonly string[], choices: Choices): KernelCall[] {
  return candidates.flatMap((candidate) =>
    call.kernel.passes?.(call.dims, choices.of({ ...call, candidate })) ?? []
  ).map((pass) => callOfPass(pass, call, () => nowhere));
}

/** Digests of the names and shaders of a call's candidates. Cached, because many calls share shaders. */
function digestsOf(choices: Choices): (subject: Subject) => string {
  const cache = new Map<string, string>();
  const digestOfShader = (call: KernelCall) => {
    const { kernel, dims, half = [], candidate } = call;
    const tuning = candidate === undefined ? choices.table : choices.of(call); // parts use their own choice
    const key = JSON.stringify([kernel.name, Object.keys(dims), half, kernel.specialise(dims, tuning)]);
    const digest = cache.get(key) ?? digestOf([shaderOf(call, tuning)]);
    cache.set(key, digest);
    return digest;
  };
  return ({ call, candidates }) =>
    digestOf(candidates.flatMap((candidate) => {
      const way = { ...call, candidate };
      const parts = partsOf(call, [candidate], choices);
      return [candidate, ...(parts.length > 0 ? parts : [way]).map(digestOfShader)];
    }));
}

interface TunedDevice {
  readonly device: GPUDevice;
  /** Identifies the device; see `ChoiceKey`. */
  readonly adapter: string;
  readonly choices: Choices;
  readonly dispatches: Dispatches;
  readonly workspace: PassWorkspace;
}

/** Chooses how calls run: by the store, else by earlier choices, else by measuring, else by the table. */
export async function tuneCalls(
  calls: readonly KernelCall[],
  tuned: TunedDevice,
  { store, seconds = 5, progress = () => {}, signal }: TuneOptions,
): Promise<KernelChoice[]> {
  const { choices } = tuned;
  const digest = digestsOf(choices);
  const tunedChoices = new Map<Subject, KernelChoice>();
  for (const subject of subjectsOf(calls, choices)) {
    const { call, candidates } = subject;
    const key = { adapter: tuned.adapter, call: nameOfCall(call), candidates: digest(subject) };
    const stored = store?.get(key);
    const earlier = choices.chosen(call);
    let chosen = candidates[0];
    let by: ChosenBy = "table";
    if (stored !== undefined && candidates.includes(stored)) {
      chosen = stored;
      by = "store";
      choices.choose(call, stored);
    } else if (earlier !== undefined) {
      chosen = earlier;
      by = "memory";
    }
    tunedChoices.set(subject, { key, calls: subject.calls, candidates, milliseconds: {}, chosen, by });
  }
  const open = [...tunedChoices].filter(([, { by }]) => by === "table").map(([subject]) => subject);
  if (seconds > 0 && open.length > 0) {
    const time = new TuningTime(seconds, signal);
    const timer = await kernelTimer(tuned.device);
    try {
      for await (const [subject, measured] of measure(open, tuned, timer, time, progress)) {
        const choice: KernelChoice = { ...tunedChoices.get(subject)!, ...measured, by: "measurement" };
        tunedChoices.set(subject, choice);
        choices.choose(subject.call, choice.chosen);
        store?.set(choice.key, choice.chosen);
      }
    } finally {
      timer.close();
    }
  }
  return [...tunedChoices.values()];
}

/** Compiling may take this many times as long as measuring. */
const compileShare = 10;

/** The time for measuring; compiling, which a driver does once and then remembers, has its own. */
class TuningTime {
  readonly #startMs = performance.now();
  compilingMs = 0;

  constructor(readonly seconds: number, readonly signal: AbortSignal | undefined) {}

  /** The share of the time that has passed. */
  get passed(): number {
    const limit = 1000 * this.seconds;
    const apart = Math.min(this.compilingMs, compileShare * limit);
    return (performance.now() - apart - this.#startMs) / limit;
  }

  get isOver(): boolean {
    return this.passed >= 1 || this.signal?.aborted === true;
  }
}

/** Share of the time after which no further call is timed by the table: each start must measure something. */
const tableShare = 0.5;

/** A call that takes a smaller share of the step is timed only roughly; a hundred of them are 2 %. */
const negligible = 0.0002;

/** Measures calls until time is up: those with the largest share of the step first, each after its parts. */
async function* measure(
  subjects: readonly Subject[],
  tuned: TunedDevice,
  timer: KernelTimer,
  time: TuningTime,
  progress: (done: number, all: number) => void,
): AsyncGenerator<[Subject, Fastest]> {
  const byTable = new Map<Subject, Fastest>();
  for (const subject of subjects) {
    if (time.passed > tableShare && byTable.size > 0) break;
    const table = { ...subject, candidates: subject.candidates.slice(0, 1) };
    const result = await timed(table, first, tuned, timer, time);
    if (result) byTable.set(subject, result);
  }
  const costOf = (subject: Subject) => {
    const { chosen, milliseconds } = byTable.get(subject)!;
    return subject.calls * milliseconds[chosen];
  };
  const measured = [...byTable.keys()].sort((a, b) => costOf(b) - costOf(a));
  const total = measured.reduce((sum, subject) => sum + costOf(subject), 0);
  const order = new Set(measured.flatMap((subject) => [...subject.parts, subject]));
  const open = [...order].filter((subject) => byTable.has(subject));
  for (const [i, subject] of open.entries()) {
    const result = costOf(subject) < negligible * total
      ? byTable.get(subject)
      : await timed(subject, fastest, tuned, timer, time);
    if (result) yield [subject, result];
    progress(i + 1, open.length);
  }
}

/** Times the candidates of a call that compile here; undefined if memory or time runs out. */
async function timed(
  subject: Subject,
  search: (candidates: readonly string[], time: TimeCandidates, leastMs: number) => Promise<Fastest>,
  { device, dispatches, workspace }: TunedDevice,
  timer: KernelTimer,
  time: TuningTime,
): Promise<Fastest | undefined> {
  if (time.isOver) return undefined;
  const { call, candidates } = subject;
  // On memory of its own, so that no value changes.
  const scratch = await buffersOf(device, call.ranges.map(({ length }) => Math.max(4 * length, 4)));
  if (!scratch) return undefined;
  const ranges = scratch.map((buffer, i) => ({ buffer, offset: 0, length: call.ranges[i].length }));
  try {
    const { pipelines } = dispatches;
    const working = new Map<string, readonly Dispatch[]>();
    for (const candidate of candidates) {
      const way = { ...call, ranges, candidate };
      const passes = await buffersOf(device, workspace.sizesOf([way]));
      if (!passes) continue;
      free(passes);
      const ways = workspace.expand([way]);
      let failed = false;
      for (const way of pipelines.missing(ways)) {
        if (time.isOver) return undefined;
        const started = performance.now();
        failed ||= await pipelines.compile(way) !== undefined;
        time.compilingMs += performance.now() - started;
      }
      if (!failed) working.set(candidate, ways.map((way) => dispatches.make(way)));
    }
    if (!working.has(candidates[0])) return undefined;
    const timePasses: TimeCandidates = (passes) =>
      timer.time(passes.map(({ candidate, repeats }) => ({ dispatches: working.get(candidate)!, repeats })));
    return await search([...working.keys()], timePasses, timer.leastMs);
  } finally {
    free(scratch);
  }
}

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
