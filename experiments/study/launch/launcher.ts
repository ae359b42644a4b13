import type { Terminal } from "../../program/progress.ts";
import type { LaunchFlags } from "../../settings/tasks/launching.ts";
import type { Cell, Study } from "../study.ts";

/** What a launcher may use besides the study. */
export interface LaunchOptions {
  /** How cells are run; a launcher finds its own settings there. */
  readonly flags: LaunchFlags;
  /** Ends the launch early; cells that run save what they have. */
  readonly signal: AbortSignal;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
  /** Shows progress. */
  readonly terminal: Terminal;
}

/** A way to run the cells of a study. */
export interface Launcher {
  readonly name: string;
  /** One line of `--help`. */
  readonly doc: string;
  /** Names of the settings that have an effect with this launcher only. */
  readonly flags: readonly (keyof LaunchFlags)[];
  /** Whether its cells have ended once it returns, so that results can be collected then. */
  readonly collects: boolean;
  /**
   * Checks that it can run cells at all, before anything is planned.
   *
   * @throws an error that explains itself, if it cannot
   */
  check?(options: LaunchOptions): Promise<void>;
  /** What `--dry-run` prints of it where cells are unfinished, such as the script that it would submit. */
  describe?(study: Study, unfinished: readonly Cell[], options: LaunchOptions): string;
  /**
   * Runs cells, or has them run.
   *
   * @param unfinished the cells without record, in the order of the study
   * @returns ids of those that failed, when all of them have ended, or are handed over to someone who runs them
   */
  launch(study: Study, unfinished: readonly Cell[], options: LaunchOptions): Promise<readonly string[]>;
}
