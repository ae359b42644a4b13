import { init } from "../kernels/mod.ts";
import { completeArtifacts } from "./training/pictures.ts";
import { main, task } from "./cli/task.ts";
import { compareModels } from "./report/compare_models.ts";
import { reportPath, writeReport } from "./report/write_report.ts";
import { checkFolderOf } from "./run/run_folder.ts";
import { optional, outputFile, toggle } from "./cli/kinds.ts";
import { ConfigError, defineSettings } from "./cli/settings.ts";
import { shared } from "./settings/run.ts";
import { say } from "./cli/output.ts";
import { findRuns } from "./tracking/find_run.ts";

/** Settings of `deno task report`. */
export const reporting = defineSettings({
  out: optional(outputFile([".html"], {
    doc: "file to write (default: report.html, for one run in its folder)",
  })),
  live: toggle({
    doc: "include weights and library, so that the report can draw samples in the browser",
    default: true,
  }),
  device: { ...shared.device, doc: "where to compute the comparison of several runs" },
  threads: shared.threads,
});

export const reportTask = task({
  name: "report",
  about: "Write an HTML report of one run, or of several side by side",
  words: "RUN...",
  settings: reporting,
  resolve(values, runs) {
    if (runs.length === 0) {
      throw new ConfigError("Missing RUN: name the folder of a run, or of several to compare (see --help)");
    }
    const idle = (["device", "threads"] as const).find((name) => name in values);
    if (runs.length === 1 && idle) {
      throw new ConfigError(
        `Cannot use --${idle} with one run: only a comparison of several runs needs a device`,
      );
    }
    return { runs, ...reporting.resolve(values) };
  },
  async run({ runs: names, out, live, ...chosen }) {
    if (out !== null) await checkFolderOf(out);
    const runs = await findRuns(names);
    const path = out ?? reportPath(runs);
    const compare = async () => {
      const device = await init(chosen);
      say(`Comparing ${runs.length} models on ${device.description}`);
      try {
        return await compareModels(runs);
      } finally {
        device.close();
      }
    };
    if (out === null && runs.length === 1) {
      await completeArtifacts(runs[0]).catch((error) => {
        if (!(error instanceof ConfigError)) throw error; // another version wrote the settings
      });
    }
    await writeReport(runs, path, { compare, live });
    say(`Done; see ${path}`);
  },
});

if (import.meta.main) await main(reportTask);
