/** The tasks as one program, `cli.ts`: from a web address and an empty folder, and installed. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import settings from "../deno.json" with { type: "json" };
import { tasks } from "../experiments/tasks.ts";
import { startCommand } from "../experiments/run/program_files.ts";
import { serveFiles } from "../experiments/serve.ts";
import { writeTinyIdx } from "./experiments/data/tiny_idx.ts";
import { runElsewhere, withFolder } from "./folder.ts";
import { testNeeding, toConnect } from "./permissions.ts";

/** The tasks that need no checkout. */
const names = tasks.filter(({ load }) => load).map(({ name }) => name);

Deno.test("cli.ts has every task except those of the checkout", () => {
  const others = tasks.map(({ name }) => name).filter((name) => !names.includes(name));
  assert.deepEqual(others.sort(), ["bench", "build", "ok", "test"]);
});

testNeeding({ read: true }, "startCommand() is the command that started the running program", () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const module = "experiments/run/program_files";
  const here = new URL(`../${module}.ts`, import.meta.url).href;
  const cases = [
    [here, root, "./denow task sample"],
    [here, join(root, "runs"), "../denow task sample"],
    [here, join(root, "..", "elsewhere"), `${join(root, "denow")} task sample`],
    [`https://example.org/flow/${module}.ts`, root, "deno run -A https://example.org/flow/cli.ts sample"],
    [`file:///cache/npm/${module}.js`, root, `deno run -A npm:${settings.name}@${settings.version} sample`],
  ];
  for (const [from, folder, command] of cases) assert.equal(startCommand("sample", from, folder), command);
});

testNeeding(
  toConnect,
  "cli.ts works from a web address, and installed, without its server",
  () =>
    withFolder(async (folder) => {
      const server = serveFiles();
      const cli = `http://127.0.0.1:${server.addr.port}/cli.ts`;
      const deno = (...args: readonly string[]) => runElsewhere(folder, Deno.execPath(), args);
      try {
        await listsAndExplains(deno, cli);
        await trainsAndSamples((...args) => deno("run", "-A", "-q", cli, ...args), folder);
        const where = ["--root", join(folder, "installed")];
        const { code, err } = await deno("install", "--global", "-A", "-n", "flow", ...where, cli);
        assert.equal(code, 0, err);
      } finally {
        await server.shutdown();
      }
      const flow = join(folder, "installed/bin/flow");
      await Deno.remove(join(folder, "runs/one/report.html"));
      const report = await runElsewhere(folder, flow, ["report", "runs/one"]);
      assert.equal(report.code, 0, report.err);
      assert.ok((await Deno.readTextFile(join(folder, "runs/one/report.html"))).includes('id="library"'));
    }),
);

/** Runs Deno, or a task, with arguments. */
type Run = (...args: readonly string[]) => ReturnType<typeof runElsewhere>;

/** The list of tasks, a task that does not exist, and the help of each task, in one program for all. */
async function listsAndExplains(deno: Run, cli: string): Promise<void> {
  const listed = await deno("run", "-A", "-q", cli);
  assert.equal(listed.code, 0, listed.err);
  assert.deepEqual(Array.from(listed.out.matchAll(/^ {2}(\S+) {2,}\S/gm), ([, name]) => name), names);
  const unknown = await deno("run", "-A", "-q", cli, "trian:base");
  assert.deepEqual([unknown.code, unknown.out], [1, ""]);
  const says =
    /^ConfigError: Unknown task "trian:base": did you mean train:base\?\nUsage: .*\n {2}sample +Draw /s;
  assert.match(unknown.err, says);
  const program = `import { run } from "${cli}";
for (const name of ${JSON.stringify(names)}) if (await run([name, "--help"]) !== 0) Deno.exit(1);`;
  const help = await deno("eval", program);
  assert.equal(help.code, 0, help.err);
  const usages = Array.from(help.out.matchAll(/^Usage: deno run -A (\S+) (\S+) /gm), ([, ...usage]) => usage);
  assert.deepEqual(usages, names.map((name) => [cli, name]));
}

/** A run with its report, by a worker for pairs; a grid of its samples; and a machine examined by a script. */
async function trainsAndSamples(run: Run, folder: string): Promise<void> {
  await writeTinyIdx(join(folder, "data"));
  const cpu = "--device cpu --threads 1".split(" ");
  const train = "train:base --data data --filters 8 --t-emb 8 --max-steps 2 --coupling ot " +
    "--solver euler:steps=2 --samples 4 --flow-samples 1 --flow-steps 2 --flow-frames 2 --path-samples 0";
  const trained = await run(...train.split(" "), ...cpu, "--out", "runs/one");
  assert.equal(trained.code, 0, trained.err);
  assert.match(await Deno.readTextFile(join(folder, "runs/one/report.html")), /^<!doctype html>/i);
  const sample = ["sample", "--checkpoint", "runs/one", "--count", "4", ...cpu];
  const sampled = await run(...sample);
  assert.equal(sampled.code, 0, sampled.err);
  assert.ok((await Deno.stat(join(folder, "grid.png"))).size > 100);
  const examined = await run("doctor", "--device", "cpu");
  assert.match(examined.out, /^ok +training +training uses the CPU/m, examined.err);
}
