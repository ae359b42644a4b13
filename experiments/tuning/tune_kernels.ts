import { dirname, join } from "node:path";
import type { ChoiceKey, ChoiceStore, Device, KernelChoice } from "../../kernels/mod.ts";
import type { Trainer } from "../../models/mod.ts";
import { stageProgress, type Terminal } from "../program/progress.ts";
import { reasonOf, RunError, writeAtomic, writeJson } from "../run/atomic_write.ts";
import { readFields } from "../run/contained.ts";
import { type Fields, fieldsOf, listOf, tableOf, textField } from "../run/field_checks.ts";
import { runFile } from "../run/files.ts";
import { startCommand } from "../run/program_files.ts";
import { isGpu } from "../settings/shared.ts";

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
  const left = untuned(choices);
  if (measures && left) {
    say(
      `Not tuned yet, of ${choices.length} kernels: ${left}; the next start goes on, or \`${
        startCommand("tune")
      }\``,
    );
  }
  const calls = Object.fromEntries(choices.map(({ key, chosen }) => [key.call, chosen]));
  await writeJson(path, { adapter, calls } satisfies RunKernels);
}

/** The calls that nothing was chosen for, by op: `5 conv2d, 2 matmul`; undefined if there are none. */
export function untuned(choices: readonly KernelChoice[]): string | undefined {
  const left = choices.filter(({ by }) => by === "table");
  const ops = Map.groupBy(left, ({ key }) => key.call.split(" ")[0]);
  const counts = Array.from(ops, ([op, { length }]) => [length, op] as const).sort(([a], [b]) => b - a);
  return counts.length > 0 ? counts.map((words) => words.join(" ")).join(", ") : undefined;
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
  try {
    return await trainer.tune({ store, seconds, progress: progress.update, ...signal && { signal } });
  } finally { // a device that fails takes no measurement with it
    progress.end();
    await cache.save(say);
  }
}

/** The choices noted for a run, on the adapter where they were chosen; they never change. */
function storeOf({ adapter, calls }: RunKernels): ChoiceStore {
  const chosen = new Map(Object.entries(calls));
  return { get: (key) => key.adapter === adapter ? chosen.get(key.call) : undefined, set() {} };
}

/** File of kernel choices, next to the runs because tasks may write nowhere else. */
const choiceCacheFile = "runs/.kernels.json";

/** Most choices kept; the oldest are dropped first. */
const maxChoices = 10_000;

interface Entry extends ChoiceKey {
  readonly chosen: string;
}

const cacheChecks = {
  choices: listOf(
    fieldsOf({ adapter: textField, call: textField, candidates: textField, chosen: textField }),
  ),
};

const placeOf = ({ adapter, call }: ChoiceKey) => JSON.stringify([adapter, call]);

/** Choices of kernels in a file, by adapter, kernel and sizes. A choice is void if the candidates have changed. */
export class ChoiceCache implements ChoiceStore {
  readonly #entries: Map<string, Entry>;
  readonly #measured = new Map<string, Entry>();

  private constructor(readonly path: string, entries: Map<string, Entry>) {
    this.#entries = entries;
  }

  /** Opens the choices in a file; starts empty if it is missing or, as `say` tells the user, unusable. */
  static async open(path: string, say: (message: string) => void): Promise<ChoiceCache> {
    return new ChoiceCache(path, await readEntries(path, say));
  }

  get(key: ChoiceKey): string | undefined {
    const entry = this.#entries.get(placeOf(key));
    return entry?.candidates === key.candidates ? entry.chosen : undefined;
  }

  set(key: ChoiceKey, chosen: string): void {
    const entry = { ...key, chosen };
    this.#entries.set(placeOf(key), entry);
    this.#measured.set(placeOf(key), entry);
  }

  /** Adds the measurements to the file, which other programs may have changed; `say` tells the user if it cannot. */
  async save(say: (message: string) => void): Promise<void> {
    if (this.#measured.size === 0) return;
    const entries = await readEntries(this.path, () => {});
    for (const [place, entry] of this.#measured) {
      entries.delete(place); // move to the end: newest last
      entries.set(place, entry);
    }
    const choices = [...entries.values()].slice(-maxChoices);
    try {
      await Deno.mkdir(dirname(this.path), { recursive: true });
      await writeAtomic(this.path, JSON.stringify({ choices }, null, 1) + "\n");
    } catch (error) {
      say(`Cannot save the choices of kernels for the next start: ${reasonOf(error)}`);
    }
  }
}

async function readEntries(path: string, say: (message: string) => void): Promise<Map<string, Entry>> {
  try {
    const { choices = [] } = await readFields(path, cacheChecks, "it will be written again") ?? {};
    return new Map(choices.map((entry) => [placeOf(entry), entry]));
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    say(`Choosing kernels again: ${error.message}`);
    return new Map();
  }
}
