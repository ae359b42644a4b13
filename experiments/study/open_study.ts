import { sha256 } from "../run/sha256.ts";
import { nameOfLeftover, reasonOf, RunError } from "../run/atomic_write.ts";
import { ConfigError } from "../settings/setting.ts";
import { lockPlan } from "./cell_lock.ts";
import type { Plan } from "./plan.ts";
import { planCells, type PlanningOptions } from "./plan_cells.ts";
import type { Cell, Study } from "./study.ts";
import { readStudy, studyFile, writeStudy } from "./study_file.ts";
import { checkFolders, makeStudyFolder, studyFolder } from "./study_folders.ts";

/** A study as its plan makes it now, and what is new in it. */
export interface PlannedStudy {
  readonly study: Study;
  /** Cells that an earlier plan did not have. */
  readonly added: readonly Cell[];
  /** Cells that the plan has no more; they stay in the study. */
  readonly dropped: readonly Cell[];
  /** The study that was there before. */
  readonly known: Study | undefined;
}

/**
 * The study of a plan in a folder: a new one, or the one that is there with what the plan adds. Writes nothing.
 *
 * @throws {ConfigError} if the plan cannot be used, or asks for other runs than those of the study that is there
 * @throws {RunError} if something else is in the folder, or the study there is damaged or has a link for a folder
 */
export async function planStudy(
  folder: string,
  plan: Plan,
  options: Omit<PlanningOptions, "earlier">,
): Promise<PlannedStudy> {
  const names = await namesIn(folder); // before it is read: another program may just begin the study
  const known = await readStudy(folder);
  if (known) checkComparable(known, plan);
  else checkIsNew(folder, names);
  const earlier = known?.cells ?? [];
  const { cells, dropped } = await planCells(plan, { ...options, earlier });
  const added = cells.filter(({ id }) => !earlier.some((cell) => cell.id === id));
  const now = new Map([...cells, ...dropped].map((cell) => [cell.id, cell]));
  const digest = await sha256(new TextEncoder().encode(JSON.stringify(plan)));
  const study = { folder, digest, plan, cells: [...earlier.map(({ id }) => now.get(id)!), ...added] };
  await checkFolders(study);
  return { study, added, dropped, known };
}

/**
 * Writes a planned study to its folder, which is made if there is none.
 *
 * @returns false if another program has changed the study since it was planned, or the signal stopped it; the study is
 * then as it was
 * @throws {RunError} if it cannot be written
 */
export async function saveStudy(
  { study, known }: Pick<PlannedStudy, "study" | "known">,
  options: Pick<PlanningOptions, "say" | "signal">,
): Promise<boolean> {
  const { folder } = study;
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch (error) {
    throw new RunError(`Cannot make the folder ${folder}: ${reasonOf(error)}`);
  }
  using lock = await lockPlan(study, options);
  if (!lock) return false;
  if (JSON.stringify(await readStudy(folder)) !== JSON.stringify(known)) return false;
  await writeStudy(study);
  await makeStudyFolder(study, "cells");
  return true;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new RunError(`Cannot use the folder ${folder}: ${reasonOf(error)}`);
  }
}

/** Checks that a folder holds nothing but what is there before `study.json`: results would be written over the rest. */
function checkIsNew(folder: string, names: readonly string[]): void {
  const other = names.find((name) => name !== studyFolder.locks && nameOfLeftover(name) !== studyFile);
  if (other === undefined) return;
  throw new RunError(
    `Cannot begin a study in ${folder}: it holds ${other}, and no ${studyFile} (expected a new or empty folder); give ` +
      "another one with --out DIR",
  );
}

/** Fields of a plan that all cells of a study have in common: with others, they could not be compared. */
const common = ["preset", "fixed", "budget", "evaluation"] as const;

function checkComparable({ folder, plan: known }: Study, plan: Plan): void {
  for (const field of common) {
    const [was, is] = [known[field], plan[field]].map((value) => JSON.stringify(sorted(value)));
    if (was === is) continue;
    throw new ConfigError(
      `Cannot change ${field} of the study ${folder} from ${was} to ${is}: its cells could not be compared ` +
        "(expected --out DIR of another study)",
    );
  }
}

function sorted(value: unknown): unknown {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
    : value;
}
