import type { Terminal } from "../../program/progress.ts";
import type { LaunchFlags } from "./launch_flags.ts";
import type { Cell, Study } from "../study.ts";

/** Exit code of `--only` if another program holds a cell: `EX_TEMPFAIL`, try again later. */
export const tryAgain = 75;

/** Options of a launch. */
export interface LaunchOptions {
  readonly flags: LaunchFlags;
  /** Ends the launch early; running cells save their state. */
  readonly signal: AbortSignal;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
  /** Shows progress. */
  readonly terminal: Terminal;
}

/** A way to run the cells of a study. */
export interface Launcher {
  /** One line of `--help`. */
  readonly doc: string;
  /** The settings that have an effect with this launcher only. */
  readonly flags: readonly (keyof LaunchFlags)[];
  /** Whether all cells have ended when it returns, so that results can be collected. */
  readonly collects: boolean;
  /** Checks that it can run cells at all, before anything is planned. @throws {UserError} if it cannot */
  check?(options: LaunchOptions): Promise<void>;
  /** What `--dry-run` prints if cells are unfinished, such as the script to submit. */
  describe?(study: Study, unfinished: readonly Cell[], options: LaunchOptions): string;
  /**
   * Runs cells, or hands them over to a scheduler.
   *
   * @param unfinished the cells without result, in the order of the study
   * @returns ids of those that failed
   */
  launch(study: Study, unfinished: readonly Cell[], options: LaunchOptions): Promise<readonly string[]>;
}
