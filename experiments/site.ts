import { basename, dirname, join } from "node:path";
import { markup } from "../viz/report/markup.ts";
import { linkPlayground } from "../viz/report/mod.ts";
import { playgroundPage } from "./build_playground.ts";
import { main, task } from "./cli/task.ts";
import { say } from "./cli/output.ts";
import { reportText } from "./report/write_report.ts";
import { reasonOf, RunError, writeAtomic } from "./run/run_folder.ts";
import { readProgramFile } from "./run/program_files.ts";
import { path } from "./cli/kinds.ts";
import { ConfigError } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";
import { docsSite, exampleFiles, playgroundFile } from "./site/docs_site.ts";
import { findRuns } from "./tracking/find_run.ts";

const settings = defineSettings({
  out: { ...path("DIR", "folder of the website, new or empty"), default: "site" },
});

/** `deno task build:site`: the website of the project, with the report of a run. */
export const siteTask = task({
  name: "build:site",
  about: "Write a website for any static host: docs with search, playground, a run's report and the API",
  words: "RUN",
  settings,
  resolve: (values, words) => {
    if (words.length === 1) return { ...settings.resolve(values), run: words[0] };
    throw new ConfigError(
      "Cannot build a site: expected one RUN, whose report the site includes (see --help)",
    );
  },
  async run({ run, out }) {
    const [folder] = await findRuns([run]);
    const name = basename(folder);
    const files = await docsSite(
      [{ title: "Report", path: "report.html" }],
      markup`<ul class="cards">
<li><a href="${playgroundFile}">Playground</a><p>Train a flow in the page, and see why it works.</p></li>
<li><a href="report.html">Report</a><p>What a training run learnt: ${name}.</p></li>
<li><a href="examples/sample_in_page.html">Sixteen digits</a><p>Drawn in the page by the library.</p></li></ul>`,
    );
    files.set("report.html", linkPlayground(await reportText([folder]), playgroundFile));
    files.set(playgroundFile, await playgroundPage());
    for (const file of exampleFiles) files.set(file, await readProgramFile(file));
    files.set(".nojekyll", ""); // makes GitHub Pages serve all files unchanged
    await makeFolders(out, [...files.keys()]);
    for (const [file, content] of files) await writeAtomic(join(out, file), content);
    say(`Done; open ${out}/index.html; ${out}/report.html is the report of ${name}`);
  },
});

/** Creates the folders of a site. @throws {RunError} if it cannot, or one holds anything but an earlier site */
async function makeFolders(folder: string, files: readonly string[]): Promise<void> {
  const expected = new Set(files.map((file) => file.split("/")[0]));
  try {
    await Deno.mkdir(folder, { recursive: true });
    for await (const { name } of Deno.readDir(folder)) {
      if (!expected.has(name)) throw new Error(`it holds ${name} (expected a new or empty folder)`);
    }
    for (const file of files) await Deno.mkdir(dirname(join(folder, file)), { recursive: true });
  } catch (error) {
    throw new RunError(`Cannot write a site to ${folder}: ${reasonOf(error)}`);
  }
}

if (import.meta.main) await main(siteTask);
