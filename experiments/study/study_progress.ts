import type { Terminal } from "../program/progress.ts";
import { barredLine, clock } from "../program/progress_text.ts";
import type { CellEnd } from "./run_cell.ts";
import type { Cell } from "./study.ts";

/** Part of a cell's time that its training takes; the rest is its evaluation. */
const trainingShare = 0.7;
const drawMs = { terminal: 200, other: 30_000 } as const;
const eraseToEnd = "\x1b[K";

/** Progress over the cells of a study, by what each of them costs: done, rate and time left. */
export class StudyProgress implements Disposable {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #startMs: number;
  readonly #all: number;
  /** Part that is done of each cell of this session. */
  readonly #parts = new Map<string, number>();
  readonly #weights: ReadonlyMap<string, number>;
  #finished: number;
  #drawnMs = -Infinity;
  #visible = false;

  /**
   * @param all the cells of the study
   * @param unfinished those that are to be run
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
    this.#weights = new Map(unfinished.map((cell) => [cell.id, weightOf(cell)]));
  }

  /** A cell has come to a step of its training. */
  trained({ id, steps }: Cell, step: number): void {
    this.#parts.set(id, trainingShare * Math.min(1, step / steps));
    this.#draw();
  }

  /** A cell has ended. */
  ended({ id }: Cell, how: CellEnd | "failed"): void {
    this.#parts.set(id, 1);
    if (how === "finished") this.#finished++;
    this.#draw();
  }

  /** Removes the line until the next change, so that others can be printed. */
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
    const total = this.#weights.values().reduce((sum, weight) => sum + weight, 0);
    const done = this.#parts.entries().reduce(
      (sum, [id, part]) => sum + part * (this.#weights.get(id) ?? 0),
      0,
    );
    const share = total > 0 ? done / total : 1;
    const rate = seconds > 0 ? share * this.#weights.size / seconds * 3600 : 0;
    return [
      `${this.#finished}/${this.#all} cells`,
      ...share > 0 && seconds > 0 ? [`${rate.toFixed(1)} cells/h`] : [],
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
    const width = (this.#terminal.columns() || 80) - 1;
    this.#terminal.write(
      "\r" + barredLine(text, this.#finished / Math.max(1, this.#all), width) + eraseToEnd,
    );
    this.#visible = true;
  }
}

/** What a cell costs beside others. */
function weightOf({ multiplyAdds, steps, secondsPerStep }: Cell): number {
  return steps * (secondsPerStep ?? multiplyAdds);
}
