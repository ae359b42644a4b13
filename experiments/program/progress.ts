/** A terminal or a substitute for one. */
export interface Terminal {
  /** Whether a line can be rewritten; if not, lines are added now and then. */
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
      /* the terminal or the reader of the pipe is gone: work goes on unseen, as with console.error() */
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
const lineMs = 10_000;
const smoothingSeconds = 10;
const eraseToEnd = "\x1b[K";

/**
 * Progress of a long task: on a terminal a line rewritten up to 10 times per second, elsewhere a line every 10 seconds
 * and at the end. It never hides the cursor, so a crash cannot leave it hidden.
 */
export class ProgressBar {
  readonly #work: Workload;
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #startMs: number;
  #step: number;
  #stepMs: number;
  #loss: number | undefined;
  #recentSteps = 0;
  #recentSeconds = 0;
  #drawnMs: number;
  #visible = false;
  #finished = false;

  /**
   * @param terminal where to show it
   * @param now clock in milliseconds
   */
  constructor(work: Workload, terminal: Terminal = stderr, now: () => number = () => performance.now()) {
    this.#work = work;
    this.#terminal = terminal;
    this.#now = now;
    this.#startMs = this.#stepMs = now();
    this.#step = work.startStep ?? 0;
    this.#drawnMs = terminal.isTerminal ? -Infinity : this.#startMs;
  }

  /**
   * Shows progress, unless the line was drawn a moment ago.
   *
   * @param step steps done, including those before the start
   * @param loss the loss if known at this step; otherwise the last one is shown
   */
  update(step: number, loss?: number): void {
    const nowMs = this.#now();
    const seconds = (nowMs - this.#stepMs) / 1000;
    const kept = Math.exp(-seconds / smoothingSeconds);
    this.#recentSteps = this.#recentSteps * kept + step - this.#step;
    this.#recentSeconds = this.#recentSeconds * kept + seconds;
    this.#step = step;
    this.#stepMs = nowMs;
    this.#loss = loss ?? this.#loss;
    if (nowMs - this.#drawnMs >= (this.#terminal.isTerminal ? redrawMs : lineMs)) this.#draw(nowMs);
  }

  /** Leaves the time since the last update out of the rate, because other work took it. */
  skipTime(): void {
    this.#stepMs = this.#now();
  }

  /** Removes the bar until the next update, to make room for other lines. */
  clear(): void {
    if (!this.#visible) return;
    this.#terminal.write("\r" + eraseToEnd);
    this.#visible = false;
  }

  /** Draws once more and ends the line; a second call does nothing. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#draw(this.#now());
    if (this.#terminal.isTerminal) this.#terminal.write("\n");
  }

  /** Ends the line when a `using` block ends, even by an error. */
  [Symbol.dispose](): void {
    this.finish();
  }

  #draw(nowMs: number): void {
    this.#drawnMs = nowMs;
    const progress = {
      step: this.#step,
      totalSteps: this.#work.totalSteps,
      elapsedSeconds: (nowMs - this.#startMs) / 1000,
      stepsPerSecond: this.#recentSeconds > 0 ? this.#recentSteps / this.#recentSeconds : 0,
      imagesPerStep: this.#work.imagesPerStep,
      unit: this.#work.unit ?? "images",
      loss: this.#loss,
    };
    if (!this.#terminal.isTerminal) return this.#terminal.write(progressText(progress) + "\n");
    const columns = this.#terminal.columns() || 80; // some pseudo-terminals report 0
    const width = columns - 1; // a line of full width would wrap
    this.#terminal.write("\r" + progressLine(progress, width) + eraseToEnd);
    this.#visible = true;
  }
}

/** Stages shorter than this show no progress. */
const quietMs = 1000;

/** The progress of a stage before a task's main work. */
export interface StageProgress {
  update(done: number, all: number): void;
  /** Removes the line. */
  end(): void;
}

/**
 * Shows a stage that takes a while: on a terminal as a rewritten line, elsewhere as one line.
 *
 * @param stage its description, such as `compiling kernels`
 * @param terminal where to show it, if anywhere
 * @param now clock in milliseconds
 */
export function stageProgress(
  stage: string,
  terminal: Terminal | undefined,
  now: () => number = () => performance.now(),
): StageProgress {
  const startMs = now();
  let shown = false;
  return {
    update(done, all) {
      if (!terminal || now() - startMs < quietMs) return;
      if (terminal.isTerminal) terminal.write(`\r${stage} ${done}/${all}\x1b[K`);
      else if (!shown) terminal.write(`${stage}, ${all} in all\n`);
      shown = true;
    },
    end() {
      if (shown && terminal?.isTerminal) terminal.write("\r\x1b[K");
    },
  };
}

/** Progress of a task. */
export interface Progress {
  /** Steps done. */
  readonly step: number;
  /** Last step of the task; 0 if unknown. */
  readonly totalSteps: number;
  readonly elapsedSeconds: number;
  /** 0 until known. */
  readonly stepsPerSecond: number;
  readonly imagesPerStep: number;
  /** Unit of the rate, such as images. */
  readonly unit: string;
  readonly loss: number | undefined;
}

/**
 * Progress in one line, e.g. `██████░░░░ 1200/2000  812 images/s  loss 0.1923  1:35 elapsed  1:03 left`.
 *
 * @param width most characters; the bar takes up to 40 of those that the numbers leave
 */
export function progressLine(progress: Progress, width: number): string {
  return barredLine(progressText(progress), shareDone(progress), width);
}

/** Text after a bar filled to a share; the bar takes up to 40 of the characters that the text leaves. */
export function barredLine(text: string, share: number, width: number): string {
  const cells = Math.min(40, width - text.length - 1);
  if (cells < 5) return text.slice(0, width);
  const full = Math.floor(share * cells);
  return "█".repeat(full) + "░".repeat(cells - full) + " " + text;
}

/** The numbers of a progress line. */
export function progressText(progress: Progress): string {
  const { step, totalSteps, stepsPerSecond, imagesPerStep, unit, loss, elapsedSeconds } = progress;
  const rate = stepsPerSecond * imagesPerStep;
  const left = secondsLeft(progress);
  return [
    totalSteps > 0 ? `${String(step).padStart(String(totalSteps).length)}/${totalSteps}` : `${step} steps`,
    ...(rate > 0 ? [`${rate.toFixed(rate < 100 ? 1 : 0)} ${unit}/s`] : []),
    ...(loss === undefined ? [] : [`loss ${loss.toFixed(4)}`]),
    `${clock(elapsedSeconds)} elapsed`,
    ...(left === undefined ? [] : [`${clock(left)} left`]),
  ].join("  ");
}

/** Seconds until the last step at the current rate; undefined if unknown. */
function secondsLeft({ step, totalSteps, stepsPerSecond }: Progress): number | undefined {
  if (totalSteps === 0) return undefined;
  if (step >= totalSteps) return 0;
  return stepsPerSecond > 0 ? (totalSteps - step) / stepsPerSecond : undefined;
}

function shareDone({ step, totalSteps }: Progress): number {
  return totalSteps > 0 ? Math.min(1, step / totalSteps) : 0;
}

/** Seconds as `4:05` or `1:02:05`. */
export function clock(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const ending = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${ending}` : `${minutes}:${ending}`;
}
