import { optional, toggle } from "../kinds.ts";
import { ConfigError } from "../setting.ts";
import { defineSettings } from "../settings.ts";
import { path, training } from "./train.ts";
import { splitWords } from "../words.ts";

/** The settings of the task that reports. */
export const reporting = defineSettings({
  out: optional(path("FILE", "the report (else report.html, in the run's folder if it is of one run)")),
  live: toggle({ doc: "holds the weights, so that it draws new samples in a browser", default: true }),
  device: { ...training.rows.device, doc: "where several runs are compared" },
});

/** What the command line of the task says. */
export interface ReportWords {
  readonly help: boolean;
  readonly runs: readonly string[];
  readonly out: string | null;
  readonly live: boolean;
  readonly device: "auto" | "webgpu" | "cpu";
}

/**
 * Reads `RUN... [flags]`.
 *
 * @throws {ConfigError} if no run is named, or a flag cannot be used or has no effect
 */
export function parseReportWords(argv: readonly string[]): ReportWords {
  const { words, flags } = splitWords(argv);
  const { help, values } = reporting.parse(flags);
  if (words.length === 0 && !help) {
    throw new ConfigError("Missing RUN: name the folder of a run, or of several to compare (see --help)");
  }
  if (words.length === 1 && "device" in values) {
    throw new ConfigError("Cannot use --device with one run: only several are compared on a device");
  }
  return { help, runs: words, ...reporting.resolve(values) };
}
