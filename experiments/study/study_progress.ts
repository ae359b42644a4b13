import { clock, ProgressLine, type ProgressText, type Terminal } from "../cli/progress.ts";
import type { CellEnd } from "./run_cell.ts";
import type { Cell } from "./study.ts";

/** Share of a cell's time spent on training; the rest is evaluation. */
const trainingShare = 0.7;

/** The work on a cell, from 0 to 1. */
interface Work {
  /** The cost of the cell, relative to others. */
  readonly weight: number;
  /** The share done when this session started. */
  readonly from: number;
  readonly at: number;
}

/** The progress of a study, weighted by the cost of cells: cells done, rate and remaining time. */
export class StudyProgress extends ProgressLine {
  readonly #all: number;
  /** The work of this session by cell id, without cells that failed or that another program is running. */
  readonly #work: Map<string, Work>;
  #finished: number;

  /**
   * @param all the cells of the study
   * @param unfinished the cells to run, each with the step reached in earlier sessions
   * @param now the time in milliseconds
   */
  constructor(
    all: readonly Cell[],
    unfinished: readonly (readonly [Cell, step: number])[],
    terminal: Terminal,
    now?: () => number,
  ) {
    super(terminal, now, 30_000);
    this.#all = all.length;
    this.#finished = all.length - unfinished.length;
    this.#work = new Map(unfinished.map(([cell, step]) => {
      const at = trainedPart(cell, step);
      return [cell.id, { weight: cell.steps * (cell.secondsPerStep ?? cell.multiplyAdds), from: at, at }];
    }));
  }

  /** Records the step that a cell has reached. */
  trained(cell: Cell, step: number): void {
    const work = this.#work.get(cell.id);
    // A resumed cell goes back to its checkpoint; the step may be read after the cell has ended.
    if (work) this.#work.set(cell.id, { ...work, at: Math.max(work.at, trainedPart(cell, step)) });
    this.refresh();
  }

  /** Records that a cell has ended. It does not count if it failed or another program is running it. */
  ended({ id }: Cell, how: CellEnd | "failed"): void {
    const work = this.#work.get(id)!;
    if (how === "finished") {
      this.#work.set(id, { ...work, at: 1 });
      this.#finished++;
    } else if (how !== "stopped") this.#work.delete(id);
    this.refresh();
  }

  /** Describes the progress after some seconds: `3/24 cells  7.1 cells/h  12:10 elapsed  1:02:05 left`. */
  describe(seconds: number): ProgressText {
    let [cells, done, left] = [0, 0, 0];
    for (const { weight, from, at } of this.#work.values()) {
      cells += at - from;
      done += weight * (at - from);
      left += weight * (1 - at);
    }
    const text = [
      `${this.#finished}/${this.#all} cells`,
      ...cells > 0 && seconds > 0 ? [`${(cells / seconds * 3600).toFixed(1)} cells/h`] : [],
      `${clock(seconds)} elapsed`,
      ...done > 0 ? [`${clock(seconds * left / done)} left`] : [],
    ].join("  ");
    return { text, share: this.#finished / Math.max(1, this.#all) };
  }
}

function trainedPart({ steps }: Cell, step: number): number {
  return trainingShare * Math.min(1, step / steps);
}
