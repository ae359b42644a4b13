import { join } from "node:path";
import type { ChoiceStore, Device, KernelChoice } from "../../kernels/mod.ts";
import type { Trainer } from "../../models/mod.ts";
import { stageProgress, type Terminal } from "../program/progress.ts";
import { writeJson } from "../run/atomic_write.ts";
import { readFields } from "../run/contained.ts";
import { type Fields, tableOf, textField } from "../run/field_checks.ts";
import { runFile } from "../run/files.ts";
import { isGpu } from "../settings/training.ts";
import { ChoiceCache, choiceCacheFile } from "./choice_cache.ts";

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

const runKernels = {
  /** Adapter on which they were chosen. */
  adapter: textField,
  /** Candidate of each call, by kernel and sizes. */
  calls: tableOf(textField),
};

/** The kernels of a run. */
type RunKernels = Fields<typeof runKernels>;

/**
 * Chooses the kernels of a training run and records them in its folder. A resumed run uses its earlier kernels, to
 * continue with the same bits; a new run uses the fastest, as measured now or on an earlier start.
 *
 * @throws {RunError} if the record is damaged or cannot be written
 */
export async function tuneKernels(trainer: Pick<Trainer, "tune">, choosing: Choosing): Promise<void> {
  const { device, run, resumed, say } = choosing;
  const path = join(run, runFile.kernels);
  const noted = resumed ? await readFields(path, runKernels, "take the file from a backup") : undefined;
  const before = await trainer.tune({ seconds: 0, ...noted && { store: storeOf(noted) } });
  if (before.length === 0) return;
  const { adapter } = before[0].key;
  if (noted?.adapter === adapter) return;
  if (noted) say(`Choosing kernels again: those of the run are for ${noted.adapter}, and this is ${adapter}`);
  const isOld = resumed && !noted; // it trained with the default kernels
  const measures = !isOld && (choosing.tune === "auto" ? isGpu(device) : choosing.tune);
  const choices = measures
    ? await measureKernels(trainer, { ...choosing, seconds: secondsPerStart })
    : before;
  const calls = Object.fromEntries(choices.map(({ key, chosen }) => [key.call, chosen]));
  await writeJson(path, { adapter, calls } satisfies RunKernels);
}

/** How long to measure kernels, and whom to tell. */
export interface Measuring extends Pick<Choosing, "say" | "terminal"> {
  readonly seconds: number;
  /** Whether to measure again what earlier starts measured. */
  readonly remeasure?: boolean;
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

/** Measures the kernels of a training step, and keeps the results for later starts. */
export async function measureKernels(
  trainer: Pick<Trainer, "tune">,
  { seconds, remeasure = false, signal, say, terminal }: Measuring,
): Promise<KernelChoice[]> {
  const cache = await ChoiceCache.open(choiceCacheFile, say);
  const store: ChoiceStore = remeasure
    ? { get: () => undefined, set: (key, chosen) => cache.set(key, chosen) }
    : cache;
  const progress = stageProgress("tuning kernels", terminal);
  const choices = await trainer.tune({ store, seconds, progress: progress.update, ...signal && { signal } });
  progress.end();
  await cache.save(say);
  return choices;
}

/** The choices noted for a run, on the adapter where they were chosen; they never change. */
function storeOf({ adapter, calls }: RunKernels): ChoiceStore {
  const chosen = new Map(Object.entries(calls));
  return { get: (key) => key.adapter === adapter ? chosen.get(key.call) : undefined, set() {} };
}
