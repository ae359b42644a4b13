/**
 * Writes generated files of the repository, or the npm package: `deno task build WHAT`; without WHAT, lists what it can
 * build. Tests fail while a generated file is out of date.
 */

import { writeGenerated } from "./bundle.ts";

const builds: Readonly<Record<string, readonly [about: string, build: (to?: string) => Promise<unknown>]>> = {
  page: ["programs of reports and of the playground", () => writeGenerated("page")],
  plotly: ["Plotly, for charts in reports", () => writeGenerated("plotly")],
  web: ["web/flow.js, the library for pages", () => writeGenerated("web")],
  wasm: ["kernels of the CPU device", async () => await (await import("./build_wasm.ts")).writeModules()],
  npm: ["npm package, in .cache/npm or another folder: build npm FOLDER", async (to) => {
    console.log(await (await import("./npm_package.ts")).buildPackage(to));
  }],
  playground: [
    "the playground as one file, playground.html or another: build playground FILE",
    async (to) => {
      await (await import("./playground_file.ts")).writePlayground(to);
    },
  ],
  tasks: ["rows of tasks in deno.json, README.md and docs/security.md", async () => {
    await (await import("./task_rows.ts")).writeTaskRows();
  }],
};

const [what, folder] = Deno.args;
if (what !== undefined && Object.hasOwn(builds, what)) await builds[what][1](folder);
else {
  const lines = Object.entries(builds).map(([name, [about]]) => `  ${name.padEnd(12)}${about}`);
  const problem = what === undefined || what === "--help" ? "" : `Cannot build ${what}\n`;
  console.log(`${problem}Usage: deno task build WHAT\n\n${lines.join("\n")}`);
  if (problem) Deno.exit(1);
}
