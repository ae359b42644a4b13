import { RunError, writeJson } from "../run/atomic_write.ts";
import type { ChoiceStore, Device, KernelChoice } from "../../kernels/mod.ts";
import type { Trainer } from "../../models/mod.ts";
import { stageProgress, type Terminal } from "../program/progress.ts";
import { isGpu } from "../settings/training.ts";
import { ChoiceCache, choiceCacheFile } from "./choice_cache.ts";
import { join } from "node:path";
import { fieldProblem, tableOf, textField } from "../run/field_checks.ts";
import { runFile } from "../run/layout.ts";
import { readJson } from "../run/contained.ts";

/** Seconds of measuring per start; the next start continues. */
const secondsPerStart = 5;

/** Options for choosing the kernels of a run. */
export interface Choosing {
  readonly device: Pick<Device, "kind" | "tuning">;
  /** Whether to measure; `auto` measures on GPUs. */
  readonly tune: boolean | "auto";
  /** The run's folder, where the choice is recorded. */
  readonly run: string;
  /** Whether an earlier session may have recorded one. */
  readonly resumed: boolean;
  readonly say: (message: string) => void;
  readonly terminal?: Terminal | undefined;
}

/**
 * Chooses the kernels of a training run and records them in its folder. A resumed run uses its earlier kernels, to
 * continue with the same bits; a new run uses the fastest, as measured now or on an earlier start.
 *
 * @throws {RunError} if the record is damaged or cannot be written
 */
export async function tuneKernels(trainer: Pick<Trainer, "tune">, choosing: Choosing): Promise<void> {
  const { device, run, resumed, say } = choosing;
  const noted = resumed ? await readRunKernels(run) : undefined;
  const before = await trainer.tune({ seconds: 0, ...noted && { store: notedChoices(noted) } });
  if (before.length === 0) return;
  const { adapter } = before[0].key;
  if (noted?.adapter === adapter) return;
  if (noted) say(`Choosing kernels again: those of the run are for ${noted.adapter}, and this is ${adapter}`);
  const isOld = resumed && !noted; // it trained with the default kernels
  const measures = !isOld && (choosing.tune === "auto" ? isGpu(device) : choosing.tune);
  await writeRunKernels(run, measures ? await measured(trainer, choosing) : before);
}

async function measured(
  trainer: Pick<Trainer, "tune">,
  { say, terminal }: Choosing,
): Promise<KernelChoice[]> {
  const cache = await ChoiceCache.open(choiceCacheFile, say);
  const progress = stageProgress("tuning kernels", terminal);
  const choices = await trainer.tune({
    store: cache,
    seconds: secondsPerStart,
    progress: progress.update,
  });
  progress.end();
  await cache.save(say);
  return choices;
}

/** The kernels of a run. */
export interface RunKernels {
  /** Adapter on which they were chosen. */
  readonly adapter: string;
  /** Candidate of each call, by kernel and sizes. */
  readonly calls: Readonly<Record<string, string>>;
}

const checks = { adapter: textField, calls: tableOf(textField) };

/** Records the kernels of a run, if its device has a choice. @throws {RunError} if they cannot be written */
export async function writeRunKernels(run: string, choices: readonly KernelChoice[]): Promise<void> {
  if (choices.length === 0) return;
  const calls = Object.fromEntries(choices.map(({ key, chosen }) => [key.call, chosen]));
  const kernels: RunKernels = { adapter: choices[0].key.adapter, calls };
  await writeJson(join(run, runFile.kernels), kernels);
}

/**
 * Reads the kernels of a run.
 *
 * @returns undefined if it has none, as on the CPU device
 * @throws {RunError} if the file is damaged
 */
export async function readRunKernels(run: string): Promise<RunKernels | undefined> {
  const path = join(run, runFile.kernels);
  const json = await readJson(path);
  if (json === undefined) return undefined;
  const problem = fieldProblem(json, checks);
  if (problem === undefined) return json as unknown as RunKernels;
  throw new RunError(`Cannot read ${path}: ${problem}; take the file from a backup`);
}

/** The kernels of a run as choices for their adapter. */
export function notedChoices(kernels: RunKernels): ChoiceStore {
  const calls = new Map(Object.entries(kernels.calls));
  return {
    get: ({ adapter, call }) => adapter === kernels.adapter ? calls.get(call) : undefined,
    set() {}, // the kernels of a run never change
  };
}
