import { init } from "../kernels/mod.ts";
import { runTask } from "./command.ts";
import { compareModels } from "./report_comparison.ts";
import { parseReportWords, reporting } from "./report_config.ts";
import { reportPath, writeReport } from "./report_file.ts";

await runTask(async () => {
  const { help, runs, out, device: choice } = parseReportWords(Deno.args);
  if (help) {
    console.log(reporting.help("deno task report RUN..."));
    return;
  }
  const path = out ?? reportPath(runs);
  await writeReport(runs, path, async (read) => {
    const device = await init({ device: choice });
    console.error(`Comparing ${read.length} models on ${device.description}`);
    try {
      return await compareModels(runs);
    } finally {
      device.close();
    }
  });
  console.error(`Done; see ${path}`);
});
