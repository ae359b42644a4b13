import type { ChosenBy, KernelChoice, TuneOptions } from "../choice.ts";
import type { KernelCall } from "../device.ts";
import { type Choices, nameOfCall } from "./choices.ts";
import type { Dispatch } from "./command_queue.ts";
import type { Dispatches } from "./dispatches.ts";
import { type Fastest, fastest, first, type TimeCandidates } from "./fastest.ts";
import { type KernelTimer, kernelTimer } from "./kernel_timer.ts";
import { onScratch } from "./scratch.ts";
import { digestsOf, scratchBytes, type Subject, subjectsOf } from "./subjects.ts";
import type { Workspace } from "./workspace.ts";

/** What tuning uses of a device. */
export interface TunedDevice {
  readonly device: GPUDevice;
  /** Identifies the device; see `ChoiceKey`. */
  readonly adapter: string;
  readonly choices: Choices;
  readonly dispatches: Dispatches;
  readonly workspace: Workspace;
}

/** Chooses how calls run: as a store says, else as was chosen before, else by measuring, else by the table. */
export async function tuneCalls(
  calls: readonly KernelCall[],
  tuned: TunedDevice,
  { store, seconds = 5, progress = () => {}, signal }: TuneOptions,
): Promise<KernelChoice[]> {
  const { choices } = tuned;
  const digest = digestsOf(choices);
  const found = new Map<Subject, KernelChoice>();
  for (const subject of subjectsOf(calls, choices)) {
    const { call, candidates } = subject;
    const key = { adapter: tuned.adapter, call: nameOfCall(call), candidates: digest(subject) };
    const stored = store?.get(key);
    const [chosen, by]: [string | undefined, ChosenBy] = stored !== undefined && candidates.includes(stored)
      ? [stored, "store"]
      : [choices.chosen(call), "memory"];
    const choice = { key, calls: subject.calls, candidates, milliseconds: {} };
    if (chosen === undefined) found.set(subject, { ...choice, chosen: candidates[0], by: "table" });
    else found.set(subject, { ...choice, chosen, by });
    if (by === "store") choices.choose(call, stored!);
  }
  const open = [...found].filter(([, { by }]) => by === "table").map(([subject]) => subject);
  if (seconds > 0 && open.length > 0) {
    const endMs = performance.now() + 1000 * seconds;
    const isOver = () => performance.now() >= endMs || signal?.aborted === true;
    for await (const [subject, measured] of measure(open, tuned, isOver, progress)) {
      const choice: KernelChoice = { ...found.get(subject)!, ...measured, by: "measurement" };
      found.set(subject, choice);
      choices.choose(subject.call, choice.chosen);
      store?.set(choice.key, choice.chosen);
    }
  }
  return [...found.values()];
}

/**
 * Share of the time of all calls below which one is not worth more than a look: with a hundred of them a few are 1 %.
 */
const negligible = 0.0002;

/** Measures calls, first those that take most of the step, each after its parts, until it is over. */
async function* measure(
  subjects: readonly Subject[],
  tuned: TunedDevice,
  isOver: () => boolean,
  progress: (done: number, all: number) => void,
): AsyncGenerator<[Subject, Fastest]> {
  using timer = await kernelTimer(tuned.device);
  const byTable = new Map<Subject, Fastest>();
  for (const subject of subjects) {
    const table = { ...subject, candidates: subject.candidates.slice(0, 1) };
    const found = await timed(table, first, tuned, timer, isOver);
    if (found) byTable.set(subject, found);
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
    const found = costOf(subject) < negligible * total
      ? byTable.get(subject)
      : await timed(subject, fastest, tuned, timer, isOver);
    if (found) yield [subject, found];
    progress(i + 1, open.length);
  }
}

/** Times the candidates of a call that compile here; undefined where memory or time does not suffice. */
async function timed(
  subject: Subject,
  search: (candidates: readonly string[], time: TimeCandidates, leastMs: number) => Promise<Fastest>,
  { device, choices, dispatches, workspace }: TunedDevice,
  timer: KernelTimer,
  isOver: () => boolean,
): Promise<Fastest | undefined> {
  if (isOver()) return undefined;
  const { call, candidates } = subject;
  const scratch = await onScratch(device, call, scratchBytes(subject, choices));
  if (!scratch) return undefined;
  try {
    const { pipelines } = dispatches;
    const working = new Map<string, readonly Dispatch[]>();
    for (const candidate of candidates) {
      const ways = workspace.expand([{ ...scratch.call, candidate }]);
      let failed = false;
      for (const way of pipelines.missing(ways)) {
        if (isOver()) return undefined;
        failed ||= await pipelines.compile(way) !== undefined;
      }
      if (!failed) working.set(candidate, ways.map((way) => dispatches.make(way)));
    }
    if (!working.has(candidates[0])) return undefined;
    const time: TimeCandidates = (passes) =>
      timer.time(passes.map(({ candidate, repeats }) => ({ dispatches: working.get(candidate)!, repeats })));
    return await search([...working.keys()], time, timer.leastMs);
  } finally {
    scratch.free();
  }
}
