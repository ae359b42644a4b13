/**
 * `deno run --allow-read=OLD,NEW tests/bench/compare.ts OLD NEW`: compares two outputs of a benchmark with `--json`,
 * and marks changes of more than 10 %.
 */
import { readReport, type Report, ReportError } from "./report.ts";

/** Change of the time of a work. */
export interface Change {
  readonly name: string;
  /** New median over old median: above 1 is slower. */
  readonly ratio: number;
  readonly mark: "" | "slower" | "faster";
}

/** Works in both reports, and names in only one of them. */
export interface Comparison {
  readonly changes: readonly Change[];
  readonly onlyOld: readonly string[];
  readonly onlyNew: readonly string[];
}

/** Factor by which a median must change to be marked. */
const notable = 1.1;

/** Compares two reports, in the order of the new one. */
export function compare(old: Report, now: Report): Comparison {
  const before = new Map(old.measurements.map((found) => [found.name, found.milliseconds]));
  const names = new Set(now.measurements.map(({ name }) => name));
  const changes = now.measurements.filter(({ name }) => before.has(name)).map(
    ({ name, milliseconds }): Change => {
      const ratio = milliseconds / before.get(name)!;
      return { name, ratio, mark: ratio > notable ? "slower" : ratio < 1 / notable ? "faster" : "" };
    },
  );
  return {
    changes,
    onlyOld: [...before.keys()].filter((name) => !names.has(name)),
    onlyNew: [...names].filter((name) => !before.has(name)),
  };
}

/** @throws {ReportError} if the file does not exist or does not hold a report */
function readFile(path: string): Report {
  try {
    return readReport(Deno.readTextFileSync(path), path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new ReportError(`Cannot read ${path}: there is no such file`);
    }
    if (error instanceof Deno.errors.NotCapable) {
      throw new ReportError(`Cannot read ${path}: needs --allow-read=${path}`);
    }
    throw error;
  }
}

function main(): void {
  if (Deno.args.length !== 2) {
    throw new ReportError(
      `Cannot compare ${Deno.args.length} files (expected two: the old and the new output)`,
    );
  }
  const [old, now] = Deno.args.map(readFile);
  if (old.device !== now.device) console.log(`different devices: ${old.device} and ${now.device}`);
  const { changes, onlyOld, onlyNew } = compare(old, now);
  console.log(`${"time, new / old".padEnd(72)} ratio`);
  for (const { name, ratio, mark } of changes) {
    console.log(`${name.padEnd(72)} ${ratio.toFixed(3)} ${mark}`.trimEnd());
  }
  for (const name of onlyOld) console.log(`${name.padEnd(72)} only old`);
  for (const name of onlyNew) console.log(`${name.padEnd(72)} only new`);
}

if (import.meta.main) {
  try {
    main();
  } catch (error) {
    if (!(error instanceof ReportError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
