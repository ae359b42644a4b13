import type { Device, KernelChoice } from "../../kernels/mod.ts";
import type { Trainer } from "../../models/mod.ts";
import { stageProgress, type Terminal } from "../program/progress.ts";
import { isGpu } from "../settings/training.ts";
import { ChoiceCache, choiceCacheFile } from "./choice_cache.ts";
import { readRunKernels, storeOf, writeRunKernels } from "./run_kernels.ts";

/** Seconds that a start may spend on measuring; the next one goes on from there. */
const secondsPerStart = 5;

/** What choosing needs to know. */
export interface Choosing {
  readonly device: Pick<Device, "kind" | "tuning">;
  /** Whether to measure; `auto` is on GPUs. */
  readonly tune: boolean | "auto";
  /** The run's folder, where its kernels are noted. */
  readonly run: string;
  /** Whether an earlier session may have noted them. */
  readonly resumed: boolean;
  readonly say: (message: string) => void;
  readonly terminal?: Terminal | undefined;
}

/**
 * Chooses the kernels of a training run, and notes them in its folder: those of its earlier sessions, so that it goes on
 * with the same bits; for a new run the fastest, as measured now or on an earlier start.
 *
 * @throws {RunError} if the notes are damaged, or cannot be written
 */
export async function tuneKernels(trainer: Pick<Trainer, "tune">, choosing: Choosing): Promise<void> {
  const { device, run, resumed, say } = choosing;
  const noted = resumed ? await readRunKernels(run) : undefined;
  const before = await trainer.tune({ seconds: 0, ...noted && { store: storeOf(noted) } });
  if (before.length === 0) return;
  const { adapter } = before[0].key;
  if (noted?.adapter === adapter) return;
  if (noted) say(`Choosing kernels anew: those of the run are for ${noted.adapter}, and this is ${adapter}`);
  const isOld = resumed && !noted; // it has trained with those of the table
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
    progress: (done, all) => progress.update(done, all),
  });
  progress.end();
  await cache.save(say);
  return choices;
}
