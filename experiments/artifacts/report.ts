import { join } from "node:path";
import { writeReport } from "../report/write_report.ts";
import { runFile } from "../run/layout.ts";
import type { FolderArtifact } from "./artifact.ts";

/** An HTML report of the run. */
export const report: FolderArtifact = {
  needs: [runFile.config],
  file: () => runFile.report,
  wanted: () => true,
  write: ({ run }) => writeReport([run], join(run, runFile.report)),
};
