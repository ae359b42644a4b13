import { optional, path, toggle } from "../kinds.ts";
import { ConfigError } from "../setting.ts";
import { defineSettings } from "../settings.ts";
import { shared } from "./shared.ts";

/** The settings of the task that reports. */
export const reporting = defineSettings({
  out: optional(path("FILE", "the report (else report.html, for one run in its folder)")),
  live: toggle({
    doc: "include weights and library, so that the report samples in the browser",
    default: true,
  }),
  device: { ...shared.device, doc: "where to compute the comparison of several runs" },
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
  const { words, help, values } = reporting.parseWords(argv);
  if (words.length === 0 && !help) {
    throw new ConfigError("Missing RUN: name the folder of a run, or of several to compare (see --help)");
  }
  if (words.length === 1 && "device" in values) {
    throw new ConfigError("Cannot use --device with one run: only several are compared on a device");
  }
  return { help, runs: words, ...reporting.resolve(values) };
}
