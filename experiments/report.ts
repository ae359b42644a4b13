import { init } from "../kernels/mod.ts";
import { runTask } from "./program/command.ts";
import { compareModels } from "./report/compare_models.ts";
import { parseReportWords, reporting } from "./settings/report_config.ts";
import { reportPath, writeReport } from "./report/write_report.ts";

await runTask(async () => {
  const { help, runs, out, live, device: choice } = parseReportWords(Deno.args);
  if (help) {
    console.log(reporting.help("deno task report RUN..."));
    return;
  }
  const path = out ?? reportPath(runs);
  const compare = async () => {
    const device = await init({ device: choice });
    console.error(`Comparing ${runs.length} models on ${device.description}`);
    try {
      return await compareModels(runs);
    } finally {
      device.close();
    }
  };
  await writeReport(runs, path, { compare, live });
  console.error(`Done; see ${path}`);
});
