/** `--dry-run` of the tasks that take long. */

import { toggle } from "./kinds.ts";
import { print, textTable } from "./output.ts";

/** The flag. */
export const dryRun = toggle({
  doc: "print what would be done, how long it would take and what it would write, and write nothing",
  default: false,
});

/** Seconds of work that a dry run times. */
const trialSeconds = 3;

/** Prints what a task would do, in rows of a heading and a text; undefined leaves a row out. */
export function printDryRun(rows: Readonly<Record<string, string | undefined>>): void {
  const shown = Object.entries(rows).flatMap(([name, text]) => text === undefined ? [] : [[name, text]]);
  print(textTable([...shown, ["dry run", "nothing was written"]]));
}

/**
 * Times work that reports its progress and ends early when asked to.
 *
 * @returns seconds per unit of progress
 */
export async function secondsPerUnit(
  work: (signal: AbortSignal, onProgress: (done: number) => void) => Promise<unknown>,
  now: () => number = () => performance.now(),
): Promise<number> {
  const stop = new AbortController();
  const startedMs = now();
  const reports: { readonly done: number; readonly ms: number }[] = [];
  await work(stop.signal, (done) => {
    reports.push({ done, ms: now() });
    if (now() - reports[0].ms >= 1000 * trialSeconds) stop.abort();
  });
  const last = reports.at(-1);
  if (!last) return 0;
  // The first unit is slower: kernels are compiled.
  const first = reports.find(({ done }) => done < last.done) ?? { done: 0, ms: startedMs };
  return (last.ms - first.ms) / 1000 / (last.done - first.done);
}

/** Formats a duration: `40 seconds`, `6.5 minutes`, `3.2 hours`. */
export function formatTime(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} seconds`;
  return seconds < 6000 ? `${(seconds / 60).toFixed(1)} minutes` : `${(seconds / 3600).toFixed(1)} hours`;
}

/** Formats bytes in MiB or GiB, rounded up. */
export function gigabytes(bytes: number): string {
  return bytes < 2 ** 30 ? `${Math.ceil(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
