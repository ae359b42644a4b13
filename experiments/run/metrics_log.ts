import {
  anyNumber,
  check,
  type Checked,
  count,
  fieldProblem,
  fieldsOf,
  finiteNumber,
  ifGiven,
  isObject,
  listOf,
  orNull,
  tableOf,
  textField,
} from "./field_checks.ts";
import { checkHeld, readIfThere, reasonOf, RunError, writeAtomic } from "./run_folder.ts";

/** The byte that ends a line. */
export const lineBreak = 10;

/**
 * Measurements at a step: numbers named with their units, e.g. `elapsedSeconds`. `time` is in milliseconds since 1970;
 * a name that begins with `image/` has the path of a picture in the run folder.
 */
export interface Metrics {
  readonly step: number;
  readonly [name: string]: number | string;
}

/**
 * Appends a line to `metrics.jsonl`: a JSON object with NaN, Infinity and -Infinity as strings. An incomplete last
 * line, left by a killed run, is removed. The caller holds the run's lock.
 */
export function appendMetrics(path: string, metrics: Metrics): void {
  checkHeld(path);
  try {
    endLastLine(path);
    Deno.writeTextFileSync(path, lineOf(metrics), { append: true });
  } catch (error) {
    throw new RunError(`Cannot write ${path}: ${reasonOf(error)}`);
  }
}

/**
 * Reads `metrics.jsonl`, with the strings "NaN", "Infinity" and "-Infinity" as numbers; none if there is no file. An
 * incomplete last line, of a run that was killed or is still writing, is skipped.
 */
export async function readMetrics(path: string): Promise<Metrics[]> {
  const text = new TextDecoder().decode(await readIfThere(path));
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.flatMap((line, index) => {
    const metrics = parseMetrics(line);
    if (metrics !== undefined) return [metrics];
    if (index === lines.length - 1) return [];
    throw new RunError(
      `Cannot read ${path}: line ${index + 1} is not an object with a step: ${line.slice(0, 60)}`,
    );
  });
}

/** The last step in the log; 0 if it is empty. */
export function lastStep(metrics: readonly Metrics[]): number {
  return metrics.reduce((last, { step }) => Math.max(last, step), 0);
}

/**
 * Drops all lines of `metrics.jsonl` after a checkpoint's step, and an incomplete last line, so that a resumed run
 * leaves no gap and no repetition. Returns the dropped lines.
 */
export async function truncateAfterStep(path: string, step: number): Promise<Metrics[]> {
  const metrics = await readMetrics(path);
  await writeAtomic(path, metrics.filter((line) => line.step <= step).map(lineOf).join(""));
  return metrics.filter((line) => line.step > step);
}

/** A line of `metrics.jsonl`, including the line break. */
export function lineOf(metrics: Metrics): string {
  return JSON.stringify(metrics, finite) + "\n";
}

/** For `JSON.stringify`: turns NaN, Infinity and -Infinity into strings. */
export function finite(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** For `JSON.parse`: turns the strings "NaN", "Infinity" and "-Infinity" into numbers. */
function withNonFinite(_: string, value: unknown): unknown {
  return value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number(value) : value;
}

/** Completes a last line that only lacks its line break, and cuts any other incomplete one. */
function endLastLine(path: string): void {
  using file = Deno.openSync(path, { read: true, write: true, create: true });
  const end = file.seekSync(0, Deno.SeekMode.End);
  const last = new Uint8Array(1);
  file.seekSync(Math.max(0, end - 1), Deno.SeekMode.Start);
  if (file.readSync(last) === null || last[0] === lineBreak) return;
  const bytes = Deno.readFileSync(path);
  const start = bytes.lastIndexOf(lineBreak) + 1;
  const isWhole = parseMetrics(new TextDecoder().decode(bytes.subarray(start))) !== undefined;
  if (isWhole) file.writeSync(Uint8Array.of(lineBreak));
  else file.truncateSync(start);
}

/** Parses a line of `metrics.jsonl`; undefined if it holds no metrics. */
export function parseMetrics(line: string): Metrics | undefined {
  try {
    const value: unknown = JSON.parse(line, withNonFinite);
    return isMetrics(value) ? value : undefined;
  } catch {
    return undefined; // not JSON
  }
}

function isMetrics(value: unknown): value is Metrics {
  return isObject(value) && Number.isFinite(value.step) &&
    Object.values(value).every((field) => typeof field === "number" || typeof field === "string");
}

const recentSteps = fieldsOf({
  losses: listOf(finiteNumber),
  gradientNorms: listOf(anyNumber),
  /** How many of the latest steps are not in a log line yet. */
  open: count,
});

const checks = {
  step: count,
  /** Seconds of training so far, in all sessions of the run. */
  elapsedSeconds: check<number>("a number of at least 0", (n) => Number.isFinite(n) && Number(n) >= 0),
  /** Lowest validation loss; null before the first. */
  bestValLoss: ifGiven(orNull(finiteNumber)),
  /** Step of the latest validation; 0 before the first. */
  validatedStep: count,
  /** State of the learning-rate schedule. */
  schedule: tableOf(anyNumber),
  recentSteps,
  /** Digest of the training images. */
  dataDigest: textField,
  /** Digest of the labels, in a conditional run. */
  labelDigest: ifGiven(orNull(textField)),
};
const progress = fieldsOf(checks);

/** The latest steps of a run, for log lines that average several. */
export type RecentSteps = Checked<typeof recentSteps>;

/** The state of a run apart from its tensors, needed to resume it exactly. */
export type RunProgress = Checked<typeof progress>;

/** Progress as a line of JSON, in which NaN and infinities are strings. */
export function encodeProgress(progress: RunProgress): string {
  return JSON.stringify(progress, finite);
}

/** Parses progress from JSON; returns it, or a description of what is wrong with it. */
export function decodeProgress(json = "null"): RunProgress | string {
  try {
    const progress = Object(JSON.parse(json, withNonFinite));
    return fieldProblem(progress, checks) ?? progress;
  } catch {
    return "it is not JSON";
  }
}
