/** Output of tasks. Names and answers come from files and servers, so everything is escaped here. */

import { reasonOf, RunError } from "../run/run_folder.ts";

const controls = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Escapes text for a terminal: control and writing-direction characters become JSON escapes. */
export function printable(text: string): string {
  return text.replaceAll(controls, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Prints a result of one or more lines. @throws {RunError} if it cannot, for example because the disk is full */
export function print(text: string): void {
  try {
    console.log(linesOf(text));
  } catch (error) {
    throw new RunError(`Cannot print the result: ${reasonOf(error)}`);
  }
}

/** Prints a message to the standard error stream; on a terminal, lines break between words. */
export function say(text: string): void {
  const lines = linesOf(text);
  console.error(
    stderr.isTerminal
      ? lines.split("\n").map((line) => brokenBetweenWords(line, lineWidth())).join("\n")
      : lines,
  );
}

/** A line as lines of at most `width` characters. A longer word, such as a path, stays whole, so that it can be copied. */
export function brokenBetweenWords(line: string, width: number): string {
  if (line.length <= width) return line;
  const lines: string[] = [];
  for (const word of line.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines.join("\n");
}

function linesOf(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/** Characters of a line: those of the terminal, or 80 without one. */
export function lineWidth(): number {
  return stderr.columns() || 80;
}

/** Minimum width of a column whose text is wrapped, in characters. */
const minWrapped = 16;
/** Spaces before each column. */
const gap = 2;

/** How wide a column of a table can be, in characters. */
interface TextColumn {
  /** The length of its longest cell. */
  readonly natural: number;
  /** At this width no word of it is broken. */
  readonly least: number;
}

/**
 * Formats rows as lines of aligned columns. If they do not fit, long text is wrapped between words; if that is not
 * enough, the columns are shown in several parts, each with the first column.
 *
 * @param isNumber whether a column is right-aligned and never wrapped; by default none is
 */
export function textTable(
  rows: readonly (readonly string[])[],
  isNumber: (column: number) => boolean = () => false,
  width = lineWidth(),
): string {
  const shown = rows.map((row) => row.map(printable));
  const columns = (rows[0] ?? []).map((_, i) => columnOf(shown.map((row) => row[i]), isNumber(i)));
  const widths = widthsInOneLine(columns, width) ?? widthsInParts(columns, width);
  return partsOf(widths, width)
    .map((part) => shown.flatMap((row) => linesOfRow(row, part, widths, isNumber)).join("\n"))
    .join("\n\n");
}

function columnOf(cells: readonly string[], isNumber: boolean): TextColumn {
  const longest = (texts: readonly string[]) =>
    texts.reduce((most, text) => Math.max(most, [...text].length), 0);
  const natural = longest(cells);
  if (isNumber) return { natural, least: natural };
  const longestWord = longest(cells.flatMap((cell) => cell.split(" ")));
  return { natural, least: Math.min(natural, Math.max(longestWord, minWrapped)) };
}

/** The length of a line with columns of these widths. */
function lineLength(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + gap + width, 0);
}

/** Widths at which all columns fit in a line: the widest are narrowed first. Undefined if a word would have to be broken. */
function widthsInOneLine(columns: readonly TextColumn[], width: number): number[] | undefined {
  if (lineLength(columns.map(({ least }) => least)) > width) return undefined;
  const widths = columns.map(({ natural }) => natural);
  while (lineLength(widths) > width) {
    const narrowable = [...widths.keys()].filter((i) => widths[i] > columns[i].least);
    const [widest] = narrowable.sort((a, b) => widths[b] - widths[a]);
    widths[widest]--;
  }
  return widths;
}

/** Widths at which each column fits in a line with the first one, which takes at most half of it then. */
function widthsInParts(columns: readonly TextColumn[], width: number): number[] {
  const [first, ...others] = columns.map(({ natural }) => natural);
  const fits = others.every((other) => lineLength([first, other]) <= width);
  const head = fits ? first : Math.min(first, Math.floor(width / 2) - gap);
  const room = width - lineLength([head]) - gap;
  return [head, ...others.map((other) => Math.min(other, room))];
}

/** The columns of each part of a table: the first one, and as many of the others as fit. */
function partsOf(widths: readonly number[], width: number): number[][] {
  const parts: number[][] = [];
  let part = [0];
  for (let i = 1; i < widths.length; i++) {
    if (lineLength([...part, i].map((column) => widths[column])) > width) {
      parts.push(part);
      part = [0];
    }
    part.push(i);
  }
  return [...parts, part];
}

/** The lines of a row: one, or more if a cell is wrapped. */
function linesOfRow(
  row: readonly string[],
  part: readonly number[],
  widths: readonly number[],
  isNumber: (column: number) => boolean,
): string[] {
  const cells = part.map((i) => wrap(row[i], widths[i]));
  const height = Math.max(...cells.map(({ length }) => length));
  return Array.from({ length: height }, (_, line) => {
    const padded = part.map((i, at) => {
      const cell = cells[at][line] ?? "";
      const space = " ".repeat(widths[i] - [...cell].length);
      return isNumber(i) ? space + cell : cell + space;
    });
    return `  ${padded.join("  ")}`.trimEnd();
  });
}

/** Breaks text into lines between words, or inside a word that is too long. */
function wrap(text: string, width: number): string[] {
  if ([...text].length <= width) return [text];
  const lines = text.match(RegExp(`(?:.{1,${width}}(?= |$)|.{1,${width}}) ?`, "gu")) ?? [];
  return lines.map((line) => line.trimEnd());
}

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

// Milliseconds between two drawings on a terminal, and between two lines elsewhere.
const redrawMs = 100;
const lineMs = 10_000;
const smoothingSeconds = 10;
const eraseToEnd = "\x1b[K";

/**
 * Progress of a long task, e.g. `██████░░░░ 1200/2000  812 images/s  loss 0.1923  1:35 elapsed  1:03 left`: on a terminal
 * rewritten up to 10 times per second, elsewhere added every 10 seconds and at the end. It never hides the cursor, so a
 * crash cannot leave it hidden.
 */
export class ProgressBar implements Disposable {
  readonly #startMs: number;
  #drawnMs: number;
  #visible = false;
  #finished = false;
  #step: number;
  #stepMs: number;
  #loss: number | undefined;
  #recentSteps = 0;
  #recentSeconds = 0;
  #seconds = 0;

  /** @param now clock in milliseconds */
  constructor(
    private readonly work: Workload,
    private readonly terminal: Terminal = stderr,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#startMs = now();
    this.#stepMs = this.#startMs;
    this.#drawnMs = terminal.isTerminal ? -Infinity : this.#startMs;
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
    if (nowMs - this.#drawnMs >= (this.terminal.isTerminal ? redrawMs : lineMs)) this.#draw();
  }

  /** Leaves the time since the last update out of the rate, because it was spent on other work. */
  skipTime(): void {
    this.#stepMs = this.now();
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
    const { totalSteps } = this.work;
    const text = this.#text((this.#drawnMs - this.#startMs) / 1000);
    if (!this.terminal.isTerminal) return this.terminal.write(text + "\n");
    writeBar(this.terminal, text, totalSteps > 0 ? Math.min(1, this.#step / totalSteps) : 0);
    this.#visible = true;
  }

  #text(elapsedSeconds: number): string {
    const { totalSteps, imagesPerStep, unit = "images", startStep = 0 } = this.work;
    const step = this.#step;
    const meanRate = this.#seconds > 0 ? (step - startStep) / this.#seconds : 0;
    const recentRate = this.#recentSeconds > 0 ? this.#recentSteps / this.#recentSeconds : 0;
    const rate = (this.#finished ? meanRate : recentRate) * imagesPerStep;
    // From the mean rate, which does not jump after work between steps, such as a validation.
    const left = totalSteps === 0 ? NaN : Math.max(totalSteps - step, 0) / meanRate;
    return [
      totalSteps > 0 ? `${String(step).padStart(String(totalSteps).length)}/${totalSteps}` : `${step} steps`,
      ...rate > 0 ? [`${rate.toFixed(rate < 100 ? 1 : 0)} ${unit}/s`] : [],
      ...this.#loss === undefined ? [] : [`loss ${this.#loss.toFixed(4)}`],
      `${clock(elapsedSeconds)} elapsed`,
      ...Number.isFinite(left) ? [`${clock(left)} left`] : [],
    ].join("  ");
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
const quietSeconds = 1;

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
      const seconds = (now() - startMs) / 1000;
      if (!terminal || seconds < quietSeconds || done === 0) return;
      const left = seconds * (all / done - 1);
      if (terminal.isTerminal) writeBar(terminal, `${stage}  ${clock(left)} left`, done / all);
      else if (!shown) terminal.write(`${stage}: about ${formatTime(left)} left\n`);
      shown = true;
    },
    end(): void {
      if (shown && terminal?.isTerminal) terminal.write("\r" + eraseToEnd);
    },
  };
}

/** Seconds as `4:05` or `1:02:05`. */
function clock(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const ending = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${ending}` : `${minutes}:${ending}`;
}

/** Prints what a task would do, in rows of a heading and a text; undefined leaves a row out. */
export function printDryRun(rows: Readonly<Record<string, string | undefined>>): void {
  const shown = Object.entries(rows).flatMap(([name, text]) => text === undefined ? [] : [[name, text]]);
  print(textTable([...shown, ["dry run", "nothing was written"]]));
}

/** Formats a duration: `40 seconds`, `6.5 minutes`, `3.2 hours`. */
export function formatTime(seconds: number): string {
  if (Math.ceil(seconds) === 1) return "1 second";
  if (seconds < 100) return `${Math.ceil(seconds)} seconds`;
  return seconds < 6000 ? `${(seconds / 60).toFixed(1)} minutes` : `${(seconds / 3600).toFixed(1)} hours`;
}

/** Formats a loss, with half its 95 % interval if known: `0.1912 ± 0.0021`. */
export function withMargin(loss: number, margin: number | undefined): string {
  return margin === undefined ? loss.toFixed(4) : `${loss.toFixed(4)} ± ${margin.toFixed(4)}`;
}

/** Formats bytes in MiB or GiB, rounded up. */
export function gigabytes(bytes: number): string {
  return bytes < 2 ** 30 ? `${Math.ceil(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
