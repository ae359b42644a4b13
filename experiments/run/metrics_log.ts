import { reasonOf, RunError, writeAtomic } from "./atomic_write.ts";
import { readIfThere } from "./read_file.ts";

/**
 * What was measured at a step: numbers with their units in their names, e.g. `elapsedSeconds`. `time` is when, in
 * milliseconds since 1970; a name that begins with `image/` has a picture of the run folder as its value.
 */
export interface Metrics {
  readonly step: number;
  readonly [name: string]: number | string;
}

/**
 * Adds a line to `metrics.jsonl`: an object, in which the numbers that JSON lacks are the strings "NaN",
 * "Infinity" and "-Infinity".
 *
 * @throws {RunError} if the file cannot be written
 */
export function appendMetrics(path: string, metrics: Metrics): void {
  try {
    Deno.writeTextFileSync(path, lineOf(metrics), { append: true });
  } catch (error) {
    throw new RunError(`Cannot write ${path}: ${reasonOf(error)}`);
  }
}

/**
 * Reads `metrics.jsonl` back, its strings "NaN", "Infinity" and "-Infinity" as numbers. A last line that is
 * half-written, by a run that was cut off or is still writing, is left out.
 *
 * @returns the lines in their order; none where the file does not exist
 * @throws {RunError} if the file cannot be read, or holds a line before the last that is no metrics
 */
export async function readMetrics(path: string): Promise<Metrics[]> {
  const lines = (await readText(path)).split("\n").filter((line) => line !== "");
  return lines.flatMap((line, index) => {
    const metrics = parseMetrics(line);
    if (metrics !== undefined) return [metrics];
    if (index === lines.length - 1) return [];
    throw new RunError(
      `Cannot read ${path}: line ${index + 1} is no object with a step: ${line.slice(0, 60)}`,
    );
  });
}

/**
 * Drops what `metrics.jsonl` tells of the time after a step, and a half-written last line, so that a run
 * resumed at this step goes on without a gap or a repetition.
 *
 * @param step the step of the checkpoint; its own line is kept
 * @returns the lines that were dropped
 * @throws {RunError} if the file cannot be read or written
 */
export async function truncateAfterStep(path: string, step: number): Promise<Metrics[]> {
  const metrics = await readMetrics(path);
  await writeAtomic(path, metrics.filter((line) => line.step <= step).map(lineOf).join(""));
  return metrics.filter((line) => line.step > step);
}

/** A line of `metrics.jsonl`, with its line break. */
export function lineOf(metrics: Metrics): string {
  return JSON.stringify(metrics, finite) + "\n";
}

/** For `JSON.stringify`: numbers that JSON lacks become the words NaN, Infinity and -Infinity. */
export function finite(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readIfThere(path));
}

/** Reads a line of `metrics.jsonl`; undefined if it is none. */
export function parseMetrics(line: string): Metrics | undefined {
  const nonFinite = (_: string, value: unknown) =>
    value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number(value) : value;
  try {
    const value: unknown = JSON.parse(line, nonFinite);
    return isMetrics(value) ? value : undefined;
  } catch {
    return undefined; // not JSON
  }
}

function isMetrics(value: unknown): value is Metrics {
  return typeof value === "object" && value !== null && "step" in value && typeof value.step === "number";
}
