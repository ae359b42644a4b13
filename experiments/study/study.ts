import { join } from "node:path";
import { makeFolder, readFields, RunError, writeJson } from "../run/run_folder.ts";
import {
  anyOf,
  check,
  type Checked,
  count,
  fieldsOf,
  finiteNumber,
  ifGiven,
  listOf,
  textField,
} from "../run/field_checks.ts";
import { runFile, runFolder } from "../run/files.ts";
import { fileName } from "../cli/kinds.ts";
import { ConfigError } from "../cli/setting.ts";
import { presets, training, type TrainingConfig } from "../cli/training.ts";
import { trainingConfig } from "../cli/training_config.ts";
import { runsRoot } from "../tracking/find_run.ts";
import { type CellSettings, ownSettings, type Plan, readPlan, settingOf, settingsField } from "./plan.ts";

const cellFields = fieldsOf({
  /** The name of its folder, e.g. `residual-attention-off-s1`. */
  id: fileName,
  /** The settings that the plan varies, as written in the plan. */
  asked: settingsField,
  /** All settings that the plan names; with `match`, the filters are the matched ones. */
  settings: settingsField,
  seed: count,
  steps: count,
  parameters: count,
  /** Multiply-adds of one forward pass of one image. */
  multiplyAdds: count,
  /** Digest of the program of a custom network. */
  network: ifGiven(textField),
  /** Seconds per training step, measured during planning if the plan needs it. */
  secondsPerStep: ifGiven(finiteNumber),
});

/** A network of a study, trained with one seed. */
export type Cell = Checked<typeof cellFields>;

/** A plan and its cells, the content of `study.json`. */
export interface Study {
  readonly folder: string;
  /** SHA-256 of the plan in hex. */
  readonly digest: string;
  readonly plan: Plan;
  readonly cells: readonly Cell[];
}

/** The file that holds a study's plan and cells. */
export const studyFile = runFile.study;

export const studyFolder = {
  cells: runFolder.cells,
  /** Output of cells. */
  logs: "logs",
  /** Locks of cells; hidden, so that they are never sent to a server. */
  locks: ".locks",
  /** Output of cluster jobs, and records of submissions. */
  slurm: "slurm",
} as const;

/** The folder of a cell, which is an ordinary run folder. */
export function cellFolder(study: Pick<Study, "folder">, { id }: Pick<Cell, "id">): string {
  return join(study.folder, runFolder.cells, id);
}

/** The cell with an id. @throws {ConfigError} if there is none */
export function requireCell({ folder, cells }: Pick<Study, "folder" | "cells">, id: string): Cell {
  const cell = cells.find((cell) => cell.id === id);
  if (cell) return cell;
  throw new ConfigError(
    `Cannot run the cell ${id}: ${folder} has none of that id (expected ${anyOf(cells.map(({ id }) => id))})`,
  );
}

/** The settings to train a cell with: those of the plan, with matched widths. */
export function trainedSettings({ asked, settings }: Pick<Cell, "asked" | "settings">): CellSettings {
  return asked.match === undefined ? asked : { ...asked, filters: settings.filters };
}

/** No sample grids during training, unless the plan sets them. */
const usualSettings: CellSettings = { sampleEpochs: 0 };

/**
 * The settings of a cell's training. Settings fixed for all cells are left out where they have no effect.
 *
 * @param settings the cell's own settings
 * @param where the cell's id, for errors
 * @throws {ConfigError} if a setting is unknown, has no effect or contradicts another
 */
export function configOf(
  { preset, fixed, name }: Pick<Plan, "preset" | "fixed" | "name">,
  settings: CellSettings,
  { seed, steps, where }: { readonly seed: number; readonly steps: number; readonly where: string },
): TrainingConfig {
  const cell = `${where} of the plan ${name}`;
  const typed = (settings: CellSettings): Partial<TrainingConfig> => {
    const ofTraining = Object.entries(settings).filter(([setting]) => !Object.hasOwn(ownSettings, setting));
    return Object.fromEntries(
      ofTraining.map(([setting, value]) => [setting, settingOf(setting, value, cell)]),
    );
  };
  const common = typed({ ...usualSettings, ...fixed });
  const special = typed(settings);
  const all = { ...presets[preset], ...common, ...special };
  if (!("model" in all)) {
    const networks = anyOf(training.rows.model.choices!.map((network) => `model=${network}`));
    throw new ConfigError(
      `Cannot run ${cell}: it does not name a network (expected ${networks} in the grid or the fixed settings)`,
    );
  }
  const idle = training.idle(common, all);
  const effective = Object.entries({ ...common, ...special }).filter(([setting]) =>
    setting in special || !idle.includes(setting)
  );
  try {
    return trainingConfig({ ...Object.fromEntries(effective), seed, maxSteps: steps }, preset);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${error.message} (cell ${cell})`);
  }
}

const studyFields = {
  version: check<1>("1", (value) => value === 1),
  digest: textField,
  plan: check("a plan", () => true), // read by readPlan()
  cells: listOf(cellFields),
};

/**
 * Reads the study in a folder.
 *
 * @returns undefined if there is none
 * @throws {RunError} if the file cannot be read or is not a study
 */
export async function readStudy(folder: string): Promise<Study | undefined> {
  const path = join(folder, studyFile);
  const json = await readFields(path, studyFields, "restore the file from a backup, or start a new study");
  if (json === undefined) return undefined;
  return { folder, digest: json.digest, plan: readPlan(json.plan, path), cells: json.cells };
}

/**
 * Reads the study that must be in a folder.
 *
 * @throws {RunError} if there is none, its file is damaged, or one of its folders is a link
 */
export async function requireStudy(folder: string): Promise<Study> {
  const study = await readStudy(folder);
  if (!study) {
    throw new RunError(
      `Cannot find a study in ${folder}: there is no ${studyFile} (expected the folder of a study)`,
    );
  }
  await checkFolders(study);
  return study;
}

/** @throws {RunError} if the file cannot be written */
export async function writeStudy({ folder, ...study }: Study): Promise<void> {
  await writeJson(join(folder, studyFile), { version: 1, ...study });
}

/**
 * Finds the folder of a study by its path, or by its name in the folder of runs.
 *
 * @returns undefined if there is no such study
 */
export async function findStudy(name: string, root: string = runsRoot): Promise<string | undefined> {
  for (const folder of [name, join(root, name)]) {
    const isFile = await Deno.stat(join(folder, studyFile)).then((info) => info.isFile, () => false);
    if (isFile) return folder;
  }
  return undefined;
}

/**
 * Checks that the folders in a study are not links. A study may come from anyone, and through a link, cells would be
 * read, written and deleted elsewhere.
 *
 * @throws {RunError} if one is a link or a file
 */
export async function checkFolders(study: Pick<Study, "folder" | "cells">): Promise<void> {
  const own = Object.values(studyFolder).map((name) => join(study.folder, name));
  for (const path of [...own, ...study.cells.map((cell) => cellFolder(study, cell))]) {
    const info = await Deno.lstat(path).catch(() => undefined); // if it cannot be read, using it will fail
    if (!info || info.isDirectory) continue;
    const what = info.isSymlink ? "a link" : "a file";
    throw new RunError(
      `Cannot use the study ${study.folder}: ${path} is ${what} (expected a folder; only the study's own may be a link)`,
    );
  }
}

/**
 * Creates a folder of a study if it is missing.
 *
 * @returns its path
 * @throws {RunError} if it cannot be created, or is a link
 */
export async function makeStudyFolder(
  { folder }: Pick<Study, "folder">,
  name: keyof typeof studyFolder,
): Promise<string> {
  await makeFolder(folder, studyFolder[name]);
  return join(folder, studyFolder[name]);
}

/** Creates the folder of a cell, like {@linkcode makeStudyFolder}. */
export async function makeCellFolder(study: Pick<Study, "folder">, cell: Pick<Cell, "id">): Promise<string> {
  await makeFolder(await makeStudyFolder(study, "cells"), cell.id);
  return cellFolder(study, cell);
}
