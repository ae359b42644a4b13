import { clock, type Terminal, writeBar } from "../program/progress.ts";
import type { CellEnd } from "./run_cell.ts";
import type { Cell } from "./study.ts";

/** Share of a cell's time spent on training; the rest is evaluation. */
const trainingShare = 0.7;
const drawMs = { terminal: 200, other: 30_000 } as const;
const eraseToEnd = "\x1b[K";

/** The work on a cell, from 0 to 1. */
interface Work {
  /** What the cell costs, relative to others. */
  readonly weight: number;
  /** Where this session started. */
  readonly from: number;
  readonly at: number;
}

/** Progress over the cells of a study, weighted by their costs: cells done, rate and remaining time. */
export class StudyProgress implements Disposable {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #startMs: number;
  readonly #all: number;
  /** The work of this session, by id of the cell; without cells that failed or that another program runs. */
  readonly #work: Map<string, Work>;
  #finished: number;
  #drawnMs = -Infinity;
  #visible = false;

  /**
   * @param all the cells of the study
   * @param unfinished the cells to run, each with the step that earlier sessions reached
   * @param now the time in milliseconds
   */
  constructor(
    all: readonly Cell[],
    unfinished: readonly (readonly [Cell, step: number])[],
    terminal: Terminal,
    now: () => number = () => performance.now(),
  ) {
    this.#terminal = terminal;
    this.#now = now;
    this.#startMs = now();
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
    this.#draw();
  }

  /** Records that a cell has ended. If it failed, or another program runs it, it does not count. */
  ended({ id }: Cell, how: CellEnd | "failed"): void {
    const work = this.#work.get(id)!;
    if (how === "finished") {
      this.#work.set(id, { ...work, at: 1 });
      this.#finished++;
    } else if (how !== "stopped") this.#work.delete(id);
    this.#draw();
  }

  /** Erases the line until the next change, so that other lines can be printed. */
  clear(): void {
    if (this.#visible) this.#terminal.write("\r" + eraseToEnd);
    this.#visible = false;
  }

  /** Draws once more and ends the line. */
  [Symbol.dispose](): void {
    this.#drawnMs = -Infinity;
    this.#draw();
    if (this.#terminal.isTerminal) this.#terminal.write("\n");
    this.#visible = false;
  }

  /** Progress as a line: `3/24 cells  7.1 cells/h  12:10 elapsed  1:02:05 left`. */
  text(): string {
    const seconds = (this.#now() - this.#startMs) / 1000;
    let [cells, done, left] = [0, 0, 0];
    for (const { weight, from, at } of this.#work.values()) {
      cells += at - from;
      done += weight * (at - from);
      left += weight * (1 - at);
    }
    return [
      `${this.#finished}/${this.#all} cells`,
      ...cells > 0 && seconds > 0 ? [`${(cells / seconds * 3600).toFixed(1)} cells/h`] : [],
      `${clock(seconds)} elapsed`,
      ...done > 0 ? [`${clock(seconds * left / done)} left`] : [],
    ].join("  ");
  }

  #draw(): void {
    const { isTerminal } = this.#terminal;
    const now = this.#now();
    if (now - this.#drawnMs < (isTerminal ? drawMs.terminal : drawMs.other)) return;
    this.#drawnMs = now;
    const text = this.text();
    if (!isTerminal) return this.#terminal.write(text + "\n");
    writeBar(this.#terminal, text, this.#finished / Math.max(1, this.#all));
    this.#visible = true;
  }
}

function trainedPart({ steps }: Cell, step: number): number {
  return trainingShare * Math.min(1, step / steps);
}
