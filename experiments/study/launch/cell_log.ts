import { join } from "node:path";
import { reasonOf, RunError } from "../../run/atomic_write.ts";
import { isOther } from "../../run/contained.ts";
import { printable } from "../../terminal/output.ts";
import type { Cell, Study } from "../study.ts";
import { makeStudyFolder } from "../study_folders.ts";

/** What a cell says, in a file of the study. */
export class CellLog {
  private constructor(readonly path: string) {}

  /**
   * The log of a cell, which goes on if there is one.
   *
   * @throws {RunError} if its folder cannot be made, or the log is no file of its own
   */
  static async open(study: Pick<Study, "folder">, { id }: Pick<Cell, "id">): Promise<CellLog> {
    const path = join(await makeStudyFolder(study, "logs"), `${id}.log`);
    if (isOther(path)) throw new RunError(`Cannot write ${path}: it is not a file; remove it`);
    return new CellLog(path);
  }

  /**
   * Adds what a cell says, a line for each of its lines, with control characters escaped.
   *
   * @throws {RunError} if it cannot be written
   */
  add(text: string): void {
    const time = new Date().toISOString();
    const lines = text.split("\n").map((line) => `${time} ${printable(line)}\n`);
    try {
      Deno.writeTextFileSync(this.path, lines.join(""), { append: true });
    } catch (error) {
      throw new RunError(`Cannot write ${this.path}: ${reasonOf(error)}`);
    }
  }
}
