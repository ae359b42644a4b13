import { barredLine, clock, type Terminal } from "../program/progress.ts";
import type { CellEnd } from "./run_cell.ts";
import type { Cell } from "./study.ts";

/** Part of a cell's time that its training takes; the rest is its evaluation. */
const trainingShare = 0.7;
const drawMs = { terminal: 200, other: 30_000 } as const;
const eraseToEnd = "\x1b[K";

/** Parts of a cell, from 0 to 1: where this session found it, where it is, and where its work here ends. */
interface Parts {
  readonly from: number;
  readonly at: number;
  readonly to: number;
}

/** Progress over the cells of a study, by what each of them costs here: done, rate and time left. */
export class StudyProgress implements Disposable {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #startMs: number;
  readonly #all: number;
  /** Of each cell of this session. */
  readonly #parts: Map<string, Parts>;
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
    this.#parts = new Map(unfinished.map(({ id }) => [id, { from: 0, at: 0, to: 1 }]));
  }

  /** Earlier sessions have brought a cell to a step of its training, which is no work of this one. */
  found({ id, steps }: Cell, step: number): void {
    const from = trainedPart(steps, step);
    this.#parts.set(id, { from, at: from, to: 1 });
  }

  /** A cell has come to a step of its training. */
  trained({ id, steps }: Cell, step: number): void {
    const { from, at, to } = this.#parts.get(id)!;
    // Whoever looks at its log may do so after it has ended; a resumed cell goes back to its checkpoint.
    this.#parts.set(id, { from, at: Math.min(to, Math.max(at, trainedPart(steps, step))), to });
    this.#draw();
  }

  /** A cell has ended. What is left of one that failed, or that another program runs, is no work any more. */
  ended({ id }: Cell, how: CellEnd | "failed"): void {
    const { from, at, to } = this.#parts.get(id)!;
    const parts: Readonly<Record<typeof how, Parts>> = {
      finished: { from, at: 1, to: 1 },
      failed: { from, at, to: at },
      busy: { from, at: from, to: from },
      stopped: { from, at, to },
    };
    this.#parts.set(id, parts[how]);
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
    const total = this.#sum(({ from, to }, weight) => weight * (to - from));
    const share = total > 0 ? this.#sum(({ from, at }, weight) => weight * (at - from)) / total : 0;
    const cells = share * this.#sum(({ from, to }) => to - from);
    return [
      `${this.#finished}/${this.#all} cells`,
      ...share > 0 && seconds > 0 ? [`${(cells / seconds * 3600).toFixed(1)} cells/h`] : [],
      `${clock(seconds)} elapsed`,
      ...share > 0 ? [`${clock(seconds * (1 - share) / share)} left`] : [],
    ].join("  ");
  }

  #sum(valueOf: (parts: Parts, weight: number) => number): number {
    return this.#parts.entries().reduce(
      (sum, [id, parts]) => sum + valueOf(parts, this.#weights.get(id)!),
      0,
    );
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

function trainedPart(steps: number, step: number): number {
  return trainingShare * Math.min(1, step / steps);
}

/** What a cell costs beside others. */
function weightOf({ multiplyAdds, steps, secondsPerStep }: Cell): number {
  return steps * (secondsPerStep ?? multiplyAdds);
}
