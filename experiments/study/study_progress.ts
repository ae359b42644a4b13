import { clock, type Terminal, writeBar } from "../program/progress.ts";
import type { CellEnd } from "./run_cell.ts";
import type { Cell } from "./study.ts";

/** Share of a cell's time spent on training; the rest is evaluation. */
const trainingShare = 0.7;
const drawMs = { terminal: 200, other: 30_000 } as const;
const eraseToEnd = "\x1b[K";

/** The work on a cell, from 0 to 1: where this session started, where it is, and where it will end. */
interface Work {
  /** What the cell costs, relative to others. */
  readonly weight: number;
  from: number;
  at: number;
  to: number;
}

/** Progress over the cells of a study, weighted by their costs: cells done, rate and remaining time. */
export class StudyProgress implements Disposable {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #startMs: number;
  readonly #all: number;
  /** The work of this session, by id of the cell. */
  readonly #work: ReadonlyMap<string, Work>;
  #finished: number;
  #drawnMs = -Infinity;
  #visible = false;

  /**
   * @param all the cells of the study
   * @param unfinished the cells to run
   * @param now the time in milliseconds
   */
  constructor(
    all: readonly Cell[],
    unfinished: readonly Cell[],
    terminal: Terminal,
    now: () => number = () => performance.now(),
  ) {
    this.#terminal = terminal;
    this.#now = now;
    this.#startMs = now();
    this.#all = all.length;
    this.#finished = all.length - unfinished.length;
    this.#work = new Map(unfinished.map(({ id, steps, secondsPerStep, multiplyAdds }) => [
      id,
      { weight: steps * (secondsPerStep ?? multiplyAdds), from: 0, at: 0, to: 1 },
    ]));
  }

  /** Records the step that earlier sessions reached in a cell. */
  found({ id, steps }: Cell, step: number): void {
    const work = this.#work.get(id)!;
    work.from = work.at = trainedPart(steps, step);
  }

  /** Records the step that a cell has reached. */
  trained({ id, steps }: Cell, step: number): void {
    const work = this.#work.get(id)!;
    // The step may be read after the cell has ended; a resumed cell goes back to its checkpoint.
    work.at = Math.min(work.to, Math.max(work.at, trainedPart(steps, step)));
    this.#draw();
  }

  /** Records that a cell has ended. If it failed, or another program runs it, its remaining work does not count. */
  ended({ id }: Cell, how: CellEnd | "failed"): void {
    const work = this.#work.get(id)!;
    if (how === "busy") work.at = work.from;
    if (how === "finished") {
      work.at = 1;
      this.#finished++;
    }
    if (how !== "stopped") work.to = work.at;
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
    const sum = (of: (work: Work) => number) => this.#work.values().reduce((sum, work) => sum + of(work), 0);
    const total = sum(({ weight, from, to }) => weight * (to - from));
    const share = total > 0 ? sum(({ weight, from, at }) => weight * (at - from)) / total : 0;
    const cells = share * sum(({ from, to }) => to - from);
    return [
      `${this.#finished}/${this.#all} cells`,
      ...share > 0 && seconds > 0 ? [`${(cells / seconds * 3600).toFixed(1)} cells/h`] : [],
      `${clock(seconds)} elapsed`,
      ...share > 0 ? [`${clock(seconds * (1 - share) / share)} left`] : [],
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

function trainedPart(steps: number, step: number): number {
  return trainingShare * Math.min(1, step / steps);
}
