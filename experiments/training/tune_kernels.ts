import { dirname, join } from "node:path";
import type { ChoiceKey, ChoiceStore, Device, KernelChoice } from "../../kernels/mod.ts";
import type { Trainer } from "../../models/mod.ts";
import { stageProgress, type Terminal } from "../cli/output.ts";
import { readFields, reasonOf, RunError, writeAtomic, writeJson } from "../run/run_folder.ts";
import { type Checked, type Fields, fieldsOf, listOf, tableOf, textField } from "../run/field_checks.ts";
import { runFile } from "../run/files.ts";
import { isGpu } from "../settings/run.ts";

/** Seconds of measurement per start; the next start continues. */
const secondsPerStart = 5;
/** The same with `--tune`. */
const secondsOnRequest = 60;

/** Options for choosing the kernels of a run. */
export interface Choosing {
  readonly device: Pick<Device, "kind" | "tuning">;
  /** Whether to measure; `auto` measures on GPUs. */
  readonly tune: boolean | "auto";
  readonly run: string;
  /** Whether an earlier session may have recorded a choice. */
  readonly resumed: boolean;
  readonly say: (message: string) => void;
  readonly terminal?: Terminal | undefined;
}

/** The kernels chosen for a run on an adapter: the candidate for each call, by kernel and sizes. */
const runKernels = { adapter: textField, calls: tableOf(textField) };
type RunKernels = Fields<typeof runKernels>;

/**
 * Chooses the kernels of a training run and records them in its folder. A resumed run uses its earlier kernels, to
 * continue with the same bits; a new run uses the fastest ones, measured now or on an earlier start.
 */
export async function tuneKernels(trainer: Pick<Trainer, "tune">, choosing: Choosing): Promise<void> {
  const { device, run, resumed, say } = choosing;
  const path = join(run, runFile.kernels);
  const recorded = resumed ? await readFields(path, runKernels, "restore the file from a backup") : undefined;
  const before = await trainer.tune({ seconds: 0, ...recorded && { store: storeOf(recorded) } });
  if (before.length === 0) return;
  const { adapter } = before[0].key;
  if (recorded?.adapter === adapter) return;
  if (recorded) {
    say(`Choosing kernels again: the run's kernels are for ${recorded.adapter}, but this is ${adapter}`);
  }
  const isOld = resumed && !recorded; // it trained with the default kernels
  const measures = !isOld && (choosing.tune === "auto" ? isGpu(device) : choosing.tune);
  const choices = measures ? await measureKernels(trainer, choosing) : before;
  const left = untuned(choices);
  if (measures && left) {
    say(`Not tuned yet, of ${choices.length} kernels: ${left}; the next start continues, or one with --tune`);
  }
  const calls = Object.fromEntries(choices.map(({ key, chosen }) => [key.call, chosen]));
  await writeJson(path, { adapter, calls } satisfies RunKernels);
}

/** The calls without a choice, by op: `5 conv2d, 2 matmul`; undefined if there are none. */
function untuned(choices: readonly KernelChoice[]): string | undefined {
  const left = choices.filter(({ by }) => by === "table");
  const ops = Map.groupBy(left, ({ key }) => key.call.split(" ")[0]);
  const counts = Array.from(ops, ([op, { length }]) => [length, op] as const).sort(([a], [b]) => b - a);
  return counts.length > 0 ? counts.map((words) => words.join(" ")).join(", ") : undefined;
}

/** Measures the kernels of a training step, and stores the results for later starts. */
async function measureKernels(trainer: Pick<Trainer, "tune">, { tune, say, terminal }: Choosing) {
  const seconds = tune === true ? secondsOnRequest : secondsPerStart;
  const store = await ChoiceCache.open(choiceCacheFile, say);
  const progress = stageProgress("tuning kernels", terminal);
  try {
    return await trainer.tune({ store, seconds, progress: progress.update });
  } finally { // keep the measurements even if the device fails
    progress.end();
    await store.save(say);
  }
}

/** The recorded choices of a run, for the adapter where they were made; they never change. */
function storeOf({ adapter, calls }: RunKernels): ChoiceStore {
  const chosen = new Map(Object.entries(calls));
  return { get: (key) => key.adapter === adapter ? chosen.get(key.call) : undefined, set() {} };
}

/** The file of kernel choices of all runs. */
const choiceCacheFile = "runs/.kernels.json";

/** Maximum number of stored choices; the oldest are dropped first. */
const maxChoices = 10_000;

const entry = fieldsOf({ adapter: textField, call: textField, candidates: textField, chosen: textField });
type Entry = Checked<typeof entry>;

const placeOf = ({ adapter, call }: ChoiceKey) => JSON.stringify([adapter, call]);

/** Kernel choices in a file, by adapter, kernel and sizes. A choice becomes invalid if the candidates change. */
export class ChoiceCache implements ChoiceStore {
  readonly #measured = new Map<string, Entry>();

  constructor(readonly path: string, readonly stored: ReadonlyMap<string, Entry>) {}

  /** Opens the choices in a file; starts empty if it is missing, or after a message to `say` if it is unusable. */
  static async open(path: string, say: (message: string) => void): Promise<ChoiceCache> {
    return new ChoiceCache(path, await readEntries(path, say));
  }

  get(key: ChoiceKey): string | undefined {
    const entry = this.#measured.get(placeOf(key)) ?? this.stored.get(placeOf(key));
    return entry?.candidates === key.candidates ? entry.chosen : undefined;
  }

  set(key: ChoiceKey, chosen: string): void {
    this.#measured.set(placeOf(key), { ...key, chosen });
  }

  /** Adds the measurements to the file, which other programs may have changed; reports to `say` if it cannot. */
  async save(say: (message: string) => void): Promise<void> {
    if (this.#measured.size === 0) return;
    const others = (await readEntries(this.path, () => {})).values();
    const kept = others.filter((entry) => !this.#measured.has(placeOf(entry)));
    const choices = [...kept, ...this.#measured.values()].slice(-maxChoices);
    try {
      await Deno.mkdir(dirname(this.path), { recursive: true });
      await writeAtomic(this.path, JSON.stringify({ choices }, null, 1) + "\n");
    } catch (error) {
      say(`Cannot save the kernel choices for the next start: ${reasonOf(error)}`);
    }
  }
}

async function readEntries(path: string, say: (message: string) => void): Promise<Map<string, Entry>> {
  try {
    const file = await readFields(path, { choices: listOf(entry) }, "it will be rewritten");
    return new Map(file?.choices.map((entry) => [placeOf(entry), entry]));
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    say(`Choosing kernels again: ${error.message}`);
    return new Map();
  }
}

/** Compiles the kernels of a training step; shows progress if that takes a while, as on a first start. */
export async function compileKernels(
  trainer: Pick<Trainer, "compile">,
  terminal: Terminal | undefined,
): Promise<void> {
  const progress = stageProgress("compiling kernels", terminal);
  await trainer.compile(progress.update);
  progress.end();
}
