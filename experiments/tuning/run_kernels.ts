import { join } from "node:path";
import type { ChoiceStore, KernelChoice } from "../../kernels/mod.ts";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import { fieldProblem, tableOf, text } from "../run/field_checks.ts";
import { runFile } from "../run/layout.ts";
import { readJson } from "../run/read_file.ts";

/** The kernels that a run trains with. */
export interface RunKernels {
  /** The adapter that they were chosen on. */
  readonly adapter: string;
  /** The candidate of each call, by kernel and sizes. */
  readonly calls: Readonly<Record<string, string>>;
}

const checks = { adapter: text, calls: tableOf(text) };

/** Notes the kernels of a run, if it has a choice. @throws {RunError} if they cannot be written */
export async function writeRunKernels(run: string, choices: readonly KernelChoice[]): Promise<void> {
  if (choices.length === 0) return;
  const calls = Object.fromEntries(choices.map(({ key, chosen }) => [key.call, chosen]));
  const kernels: RunKernels = { adapter: choices[0].key.adapter, calls };
  await writeAtomic(join(run, runFile.kernels), JSON.stringify(kernels, null, 2) + "\n");
}

/**
 * Reads the kernels of a run.
 *
 * @returns undefined if it has none, as a run on the CPU device, or one that is older than choices
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

/** The kernels of a run as choices, on the adapter that they were chosen on. */
export function storeOf(kernels: RunKernels): ChoiceStore {
  const calls = new Map(Object.entries(kernels.calls));
  return {
    get: ({ adapter, call }) => adapter === kernels.adapter ? calls.get(call) : undefined,
    set() {}, // a run keeps its kernels
  };
}
