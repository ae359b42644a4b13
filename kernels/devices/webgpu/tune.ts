import type { ChosenBy, KernelChoice, TuneOptions } from "../choice.ts";
import type { KernelCall } from "../device.ts";
import { type Choices, nameOfCall } from "./choices.ts";
import type { Dispatch } from "./command_queue.ts";
import type { Dispatches } from "./dispatches.ts";
import { fastest, type TimeCandidates } from "./fastest.ts";
import { type KernelTimer, kernelTimer } from "./kernel_timer.ts";
import { onScratch } from "./scratch.ts";
import { digestsOf, type Subject, subjectsOf } from "./subjects.ts";
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
  { store, seconds = 5, progress = () => {} }: TuneOptions,
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
    for await (const [subject, measured] of measure(open, tuned, seconds, progress)) {
      const choice: KernelChoice = { ...found.get(subject)!, ...measured, by: "measurement" };
      found.set(subject, choice);
      choices.choose(subject.call, choice.chosen);
      store?.set(choice.key, choice.chosen);
    }
  }
  return [...found.values()];
}

/** Measures calls, first those that take most of the step, each after its parts, until the time is over. */
async function* measure(
  subjects: readonly Subject[],
  tuned: TunedDevice,
  seconds: number,
  progress: (done: number, all: number) => void,
): AsyncGenerator<[Subject, Pick<KernelChoice, "chosen" | "milliseconds">]> {
  const endMs = performance.now() + 1000 * seconds;
  const isOver = () => performance.now() >= endMs;
  const timer = await kernelTimer(tuned.device);
  const costs = new Map<Subject, number>();
  for (const subject of subjects) {
    if (isOver()) break;
    const table = { ...subject, candidates: subject.candidates.slice(0, 1) };
    const times = await timed(table, tuned, timer, isOver);
    costs.set(subject, subject.calls * (times?.milliseconds[subject.candidates[0]] ?? 0));
  }
  const byCost = [...costs.keys()].sort((a, b) => costs.get(b)! - costs.get(a)!);
  const order = new Set(byCost.flatMap((subject) => [...subject.parts, subject]));
  const open = [...order].filter((subject) => costs.has(subject));
  for (const [i, subject] of open.entries()) {
    if (isOver()) return;
    const result = await timed(subject, tuned, timer, isOver);
    if (result) yield [subject, result];
    progress(i + 1, open.length);
  }
}

/** Times the candidates of a call that compile here; undefined where memory or time does not suffice. */
async function timed(
  { call, candidates }: Subject,
  { device, dispatches, workspace }: TunedDevice,
  timer: KernelTimer,
  isOver: () => boolean,
) {
  const scratch = await onScratch(device, call);
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
    return await fastest([...working.keys()], time, timer.leastMs);
  } finally {
    scratch.free();
  }
}
