import { UserError } from "../../../kernels/core/user_error.ts";
import { describeError } from "../../program/command.ts";
import type { CellEnd } from "../run_cell.ts";
import type { Cell } from "../study.ts";
import type { LaunchOptions } from "./launcher.ts";

/** How cells ended that are not finished. */
export interface Unfinished {
  /** Ids of those that failed. */
  readonly failed: readonly string[];
  /** Ids of those that another program runs. */
  readonly busy: readonly string[];
}

/**
 * Runs cells one after another. One that fails by an error that explains itself keeps no other from running, unless it is
 * the only one.
 *
 * @param run runs a cell
 * @throws what `run` does, if there is one cell, or the error does not explain itself
 */
export async function runInTurn(
  cells: readonly Cell[],
  run: (cell: Cell) => Promise<CellEnd>,
  { signal, say }: Pick<LaunchOptions, "signal" | "say">,
): Promise<Unfinished> {
  const failed: string[] = [];
  const busy: string[] = [];
  for (const cell of cells) {
    if (signal.aborted) break;
    const { id } = cell;
    try {
      const end = await run(cell);
      if (end === "finished") say(`${id} is finished`);
      if (end === "busy") busy.push(id);
    } catch (error) {
      if (cells.length === 1 || !(error instanceof UserError)) throw error;
      say(`${id}: ${describeError(error)}`);
      failed.push(id);
    }
  }
  return { failed, busy };
}
