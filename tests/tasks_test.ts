/** The tasks of `deno.json`: what they may do stands once, and is no more than they need. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import settings from "../deno.json" with { type: "json" };
import { variables } from "../experiments/tracking/settings.ts";
import { withFolder } from "./folder.ts";
import { testNeeding } from "./permissions.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const commands = Object.values(settings.tasks).map(({ command }) => command);

Deno.test("the permission set tracking holds the variables that tracking reads, and no task repeats them", () => {
  assert.deepEqual(settings.permissions.tracking.env, variables);
  for (const command of commands) assert.doesNotMatch(command, /MLFLOW_/);
});

Deno.test("tasks name permission sets that exist, and none may do everything", () => {
  for (const command of commands) {
    assert.doesNotMatch(command, /(^| )(-A|--allow-all)( |$)/);
    for (const [, name] of command.matchAll(/ -P=(\S+)/g)) assert.ok(name in settings.permissions, command);
    // Deno says at each start that sets are new; -q leaves that out.
    if (command.includes(" -P")) assert.match(command, /^deno run -q -P/);
  }
});

testNeeding(
  { read: true, write: true, run: true },
  "the permission set tracking allows what it says, without a word",
  async () => {
    await withFolder(async (folder) => {
      const program = join(folder, "asks.ts");
      await Deno.writeTextFile(
        program,
        `const asked = [{ name: "read" }, { name: "net" }, { name: "write" }, { name: "run" }, { name: "sys" }, { name: "env" }];
         const variables = ["MLFLOW_TRACKING_URI", "MLFLOW_OTHER", "HOME"].map((variable) => ({ name: "env", variable }));
         const granted = (one) => Deno.permissions.querySync(one).state === "granted";
         console.log(JSON.stringify([...asked, ...variables].filter(granted)));`,
      );
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-q", "-P=tracking", "--config", join(root, "deno.json"), "--no-lock", program],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      assert.equal(new TextDecoder().decode(stderr), "");
      assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), [
        { name: "net" },
        { name: "env", variable: "MLFLOW_TRACKING_URI" },
      ]);
    });
  },
);
