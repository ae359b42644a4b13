import { init } from "../kernels/mod.ts";
import { completeArtifacts } from "./artifacts/artifacts.ts";
import { runTask } from "./program/command.ts";
import { compareModels } from "./report/compare_models.ts";
import { checkFolderOf } from "./run/atomic_write.ts";
import { ConfigError } from "./settings/setting.ts";
import { parseReportWords, reporting } from "./settings/tasks/report.ts";
import { findRuns } from "./tracking/find_run.ts";
import { reportPath, writeReport } from "./report/write_report.ts";
import { print, say } from "./terminal/output.ts";

await runTask(async () => {
  const { help, runs: names, out, live, device: choice } = parseReportWords(Deno.args);
  if (help) {
    print(reporting.help("deno task report RUN..."));
    return;
  }
  if (out !== null) await checkFolderOf(out);
  const runs = await findRuns(names);
  const path = out ?? reportPath(runs);
  const compare = async () => {
    const device = await init({ device: choice });
    say(`Comparing ${runs.length} models on ${device.description}`);
    try {
      return await compareModels(runs);
    } finally {
      device.close();
    }
  };
  if (out === null && runs.length === 1) await complete(runs[0]);
  await writeReport(runs, path, { compare, live });
  say(`Done; see ${path}`);
});

/** Makes missing artifacts, unless the settings in the folder are those of another version. */
async function complete(run: string): Promise<void> {
  try {
    await completeArtifacts(run);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
  }
}
