/** A terminal or a substitute for one. */
export interface Terminal {
  /** Whether a line can be rewritten; if not, new lines are added now and then. */
  readonly isTerminal: boolean;
  /** Width in characters. */
  columns(): number;
  write(text: string): void;
}

/** The standard error stream. */
export const stderr: Terminal = {
  get isTerminal() {
    return Deno.stderr.isTerminal();
  },
  columns() {
    try {
      return Deno.consoleSize().columns;
    } catch {
      return 80; // no standard stream is a terminal
    }
  },
  write(text) {
    let bytes = new TextEncoder().encode(text);
    try {
      while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
    } catch {
      /* the terminal or the reader of the pipe is gone: work continues silently, as with console.error() */
    }
  },
};

/** The amount of work of a task. */
export interface Workload {
  /** Last step of the work; 0 if unknown. */
  readonly totalSteps: number;
  /** Images per step, for the rate. */
  readonly imagesPerStep: number;
  /** Unit of the rate, by default images. */
  readonly unit?: string;
  /** Steps done by earlier sessions; default 0. */
  readonly startStep?: number;
}

const redrawMs = 100;
const smoothingSeconds = 10;
const eraseToEnd = "\x1b[K";

/** Text of a progress line, and the filled share of its bar. */
export interface ProgressText {
  readonly text: string;
  /** From 0 to 1. */
  readonly share: number;
}

/**
 * Progress in a line: on a terminal rewritten up to 10 times per second, elsewhere added now and then and at the end. It
 * never hides the cursor, so a crash cannot leave it hidden.
 */
export abstract class ProgressLine implements Disposable {
  readonly #startMs: number;
  #drawnMs: number;
  #visible = false;
  #finished = false;

  /**
   * @param now clock in milliseconds
   * @param lineMs milliseconds between two lines where none can be rewritten
   */
  constructor(
    readonly terminal: Terminal,
    readonly now: () => number = () => performance.now(),
    readonly lineMs = 10_000,
  ) {
    this.#startMs = now();
    this.#drawnMs = terminal.isTerminal ? -Infinity : this.#startMs;
  }

  /** The line after some seconds. */
  abstract describe(elapsedSeconds: number): ProgressText;

  /** Draws the line, unless it was drawn a moment ago. */
  refresh(): void {
    if (this.now() - this.#drawnMs >= (this.terminal.isTerminal ? redrawMs : this.lineMs)) this.#draw();
  }

  /** Removes the line until the next change, to make room for other lines. */
  clear(): void {
    if (!this.#visible) return;
    this.terminal.write("\r" + eraseToEnd);
    this.#visible = false;
  }

  /** Draws once more and ends the line; a second call does nothing. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#draw();
    if (this.terminal.isTerminal) this.terminal.write("\n");
  }

  /** Ends the line when a `using` block ends, even by an error. */
  [Symbol.dispose](): void {
    this.finish();
  }

  #draw(): void {
    this.#drawnMs = this.now();
    const { text, share } = this.describe((this.#drawnMs - this.#startMs) / 1000);
    if (!this.terminal.isTerminal) return this.terminal.write(text + "\n");
    writeBar(this.terminal, text, share);
    this.#visible = true;
  }
}

/** Progress of a long task, e.g. `██████░░░░ 1200/2000  812 images/s  loss 0.1923  1:35 elapsed  1:03 left`. */
export class ProgressBar extends ProgressLine {
  readonly #work: Workload;
  #step: number;
  #stepMs: number;
  #loss: number | undefined;
  #recentSteps = 0;
  #recentSeconds = 0;
  #seconds = 0;

  /** @param now clock in milliseconds */
  constructor(work: Workload, terminal: Terminal = stderr, now?: () => number) {
    super(terminal, now);
    this.#work = work;
    this.#stepMs = this.now();
    this.#step = work.startStep ?? 0;
  }

  /**
   * Shows progress, unless the line was drawn a moment ago.
   *
   * @param step steps done, including those before the start
   * @param loss the loss if known at this step; otherwise the last one is shown
   */
  update(step: number, loss?: number): void {
    const nowMs = this.now();
    const seconds = (nowMs - this.#stepMs) / 1000;
    const kept = Math.exp(-seconds / smoothingSeconds);
    this.#recentSteps = this.#recentSteps * kept + step - this.#step;
    this.#recentSeconds = this.#recentSeconds * kept + seconds;
    this.#seconds += seconds;
    this.#step = step;
    this.#stepMs = nowMs;
    this.#loss = loss ?? this.#loss;
    this.refresh();
  }

  /** Leaves the time since the last update out of the rate, because it was spent on other work. */
  skipTime(): void {
    this.#stepMs = this.now();
  }

  describe(elapsedSeconds: number): ProgressText {
    const { totalSteps, imagesPerStep, unit = "images", startStep = 0 } = this.#work;
    const step = this.#step;
    const stepsPerSecond = this.#recentSeconds > 0 ? this.#recentSteps / this.#recentSeconds : 0;
    const rate = stepsPerSecond * imagesPerStep;
    // From the mean rate, which does not jump after work between steps, such as a validation.
    const left = totalSteps === 0 ? NaN : Math.max(totalSteps - step, 0) * this.#seconds / (step - startStep);
    const text = [
      totalSteps > 0 ? `${String(step).padStart(String(totalSteps).length)}/${totalSteps}` : `${step} steps`,
      ...rate > 0 ? [`${rate.toFixed(rate < 100 ? 1 : 0)} ${unit}/s`] : [],
      ...this.#loss === undefined ? [] : [`loss ${this.#loss.toFixed(4)}`],
      `${clock(elapsedSeconds)} elapsed`,
      ...Number.isFinite(left) ? [`${clock(left)} left`] : [],
    ].join("  ");
    return { text, share: totalSteps > 0 ? Math.min(1, step / totalSteps) : 0 };
  }
}

/**
 * Rewrites the terminal's line: a bar filled to a share, then text. The bar takes up to 40 of the characters that the
 * text leaves.
 */
function writeBar(terminal: Terminal, text: string, share: number): void {
  const width = (terminal.columns() || 80) - 1; // a full line would wrap; some pseudo-terminals report 0
  const cells = Math.min(40, width - text.length - 1);
  const full = Math.floor(share * cells);
  const line = cells < 5 ? text.slice(0, width) : "█".repeat(full) + "░".repeat(cells - full) + " " + text;
  terminal.write("\r" + line + eraseToEnd);
}

/** Stages shorter than this show no progress. */
const quietMs = 1000;

/**
 * Shows a stage of a task besides its main work, if it takes a while: on a terminal as a bar that `end` removes,
 * elsewhere as one line.
 *
 * @param stage its description, such as `compiling kernels`
 * @param terminal where to show it, if anywhere
 * @param now clock in milliseconds
 */
export function stageProgress(
  stage: string,
  terminal: Terminal | undefined,
  now: () => number = () => performance.now(),
) {
  const startMs = now();
  let shown = false;
  return {
    update(done: number, all: number): void {
      if (!terminal || now() - startMs < quietMs) return;
      if (terminal.isTerminal) writeBar(terminal, `${stage} ${done}/${all}`, done / all);
      else if (!shown) terminal.write(`${stage}: ${all.toLocaleString("en")} to go\n`);
      shown = true;
    },
    end(): void {
      if (shown && terminal?.isTerminal) terminal.write("\r" + eraseToEnd);
    },
  };
}

/** Seconds as `4:05` or `1:02:05`. */
export function clock(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const ending = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${ending}` : `${minutes}:${ending}`;
}
