import { join } from "node:path";
import { RunError } from "../run/atomic_write.ts";
import { makeContainedFolder } from "../run/contained.ts";
import { runFolder } from "../run/layout.ts";
import { type Cell, cellFolder, type Study } from "./study.ts";

/** Folders in that of a study. */
export const studyFolder = {
  cells: runFolder.cells,
  /** What cells say. */
  logs: "logs",
  /** Who runs which cell; hidden, so that no tracker gets it. */
  locks: ".locks",
  /** What jobs of a cluster print, and notes of what was submitted. */
  slurm: "slurm",
} as const;

/**
 * Checks that the folders that a study has are its own. A study may come from anyone, and through a link its cells would be
 * read, written and deleted elsewhere.
 *
 * @throws {RunError} if one is a link or a file
 */
export async function checkFolders(study: Pick<Study, "folder" | "cells">): Promise<void> {
  const own = Object.values(studyFolder).map((name) => join(study.folder, name));
  for (const path of [...own, ...study.cells.map((cell) => cellFolder(study, cell))]) {
    const info = await Deno.lstat(path).catch(() => undefined); // there is none, or using it says why it cannot be seen
    if (!info || info.isDirectory) continue;
    const [what, more] = info.isSymlink
      ? ["a link", "; the study's own folder may be one, and so may runs"]
      : ["a file", ""];
    throw new RunError(
      `Cannot use the study ${study.folder}: ${path} is ${what} (expected a folder); remove it${more}`,
    );
  }
}

/**
 * Makes a folder of a study, if there is none.
 *
 * @returns its path
 * @throws {RunError} if it cannot be made, or a link of its name is there
 */
export async function makeStudyFolder(
  { folder }: Pick<Study, "folder">,
  name: keyof typeof studyFolder,
): Promise<string> {
  await makeContainedFolder(folder, studyFolder[name]);
  return join(folder, studyFolder[name]);
}

/**
 * Makes the folder of a cell, if there is none.
 *
 * @returns its path
 * @throws {RunError} if it cannot be made, or a link of its name is there
 */
export async function makeCellFolder(study: Pick<Study, "folder">, cell: Pick<Cell, "id">): Promise<string> {
  await makeContainedFolder(await makeStudyFolder(study, "cells"), cell.id);
  return cellFolder(study, cell);
}
