import { basename, join } from "node:path";
import { readProgramFile } from "./run/program_files.ts";
import { main, task } from "./program/task.ts";
import { say } from "./program/output.ts";
import { writeReport } from "./report/write_report.ts";
import { reasonOf, RunError, writeAtomic } from "./run/atomic_write.ts";
import { path } from "./settings/kinds.ts";
import { ConfigError } from "./settings/setting.ts";
import { defineSettings } from "./settings/settings.ts";
import { findRuns } from "./tracking/find_run.ts";

const settings = defineSettings({
  out: { ...path("DIR", "folder of the website, new or empty"), default: "site" },
});

/** Files of the checkout that the example page needs. */
const pages = [
  "examples/sample_in_page.html",
  "examples/sample_in_worker.js",
  "web/flow.js",
  "checkpoints/mnist_classes.safetensors",
];

/** `deno task build:site`: a run's report as a website, with the library and the example page beside it. */
export const siteTask = task({
  name: "build:site",
  about: "Write a folder for any static host: a run's report as its first page, and the library",
  words: "RUN",
  settings,
  resolve: (given, words) => {
    if (words.length === 1) return { ...settings.resolve(given), run: words[0] };
    throw new ConfigError(
      "Cannot build a site: expected one RUN, whose report is the first page (see --help)",
    );
  },
  async run({ run, out }) {
    const [folder] = await findRuns([run]);
    await makeFolders(out);
    for (const file of pages) {
      await writeAtomic(join(out, file), await readProgramFile(file));
    }
    await writeAtomic(join(out, ".nojekyll"), ""); // GitHub Pages then takes all files as they are
    await writeReport([folder], join(out, "index.html"), { live: true });
    say(`Done; ${out}/index.html is the report of ${basename(folder)}`);
  },
});

/** Makes the folders of a site. @throws {RunError} if it cannot, or one holds anything but an earlier site */
async function makeFolders(folder: string): Promise<void> {
  const known = new Set([".nojekyll", "index.html", ...pages.map((page) => page.split("/")[0])]);
  try {
    await Deno.mkdir(folder, { recursive: true });
    for await (const { name } of Deno.readDir(folder)) {
      if (!known.has(name)) throw new Error(`it holds ${name} (expected a new or empty folder)`);
    }
    for (const file of pages) await Deno.mkdir(join(folder, file, ".."), { recursive: true });
  } catch (error) {
    throw new RunError(`Cannot write a site to ${folder}: ${reasonOf(error)}`);
  }
}

if (import.meta.main) await main(siteTask);
