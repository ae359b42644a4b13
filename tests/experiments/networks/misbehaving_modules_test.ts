/** Modules that would hang the program or end it: these tests start programs. */

import assert from "node:assert/strict";
import { testTask } from "../cli.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";
import { tinyPlan } from "../study/tiny_study.ts";
import { mlp, ownRun, writeModule } from "./modules.ts";

/** Prints why each of several files is not a module. */
const reading = `import { readSources } from ${
  JSON.stringify(import.meta.resolve("../../../experiments/networks/module_sources.ts"))
};
for (const path of Deno.args) try { readSources(path); } catch (error) { console.log(error.message); }`;

testTask("only a regular file is read as a module", async (place) => {
  await new Deno.Command("mkfifo", { args: [place.file("pipe.ts")] }).output();
  await Deno.symlink("/dev/zero", place.file("zero.ts"));
  await Deno.mkdir(place.file("folder.ts"));
  await writeModule(place, "imports.ts", "import './pipe.ts';");
  const files = ["pipe.ts", "zero.ts", "folder.ts", "imports.ts"];
  const args = ["eval", "--quiet", "--no-lock", reading, "--", ...files];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd: place.path }).output();
  assert.deepEqual(new TextDecoder().decode(stdout).trimEnd().split("\n"), [
    "Cannot use pipe.ts: it is a pipe or a device (expected a file)",
    "Cannot use zero.ts: it is a pipe or a device (expected a file)",
    "Cannot use folder.ts: it is a folder (expected a file)",
    "Cannot use imports.ts: it imports ./pipe.ts: it is a pipe or a device (expected a file)",
  ]);
});

testTask(
  "a module that throws or exits on its own ends the task with one line and an error",
  async (place) => {
    const exits = "its module called Deno.exit() (expected it to return)";
    const modules: Readonly<Record<string, readonly [text: string, says: string]>> = {
      "throws in a timer": ["setTimeout(() => {\n  throw new Error('boo');\n});", "Error: boo (bad.ts:"],
      "rejects in a timer": ["setTimeout(() => Promise.reject(new Error('boo')));", "Error: boo (bad.ts:"],
      "exits immediately": ["Deno.exit();", exits],
      "exits in a timer": ["setTimeout(() => Deno.exit(0));", exits],
      "exits through Node": ["import process from 'node:process'; process.exit(7);", exits],
    };
    for (const [mistake, [text, says]] of Object.entries(modules)) {
      await writeModule(place, "bad.ts", mlp() + text);
      const flags = ownRun.replace("--epochs 3", "--max-steps 1000");
      const { code, stderr } = await place.runProgram("train", `--model bad.ts ${flags} --out run`);
      assert.equal(code, 1, mistake);
      const lines = stderr.split("\n").filter((line) => line.includes("rror"));
      assert.equal(lines.length, 1, stderr);
      assert.ok(lines[0].startsWith(`ConfigError: Cannot use bad.ts: ${says}`), stderr);
      await Deno.remove(place.file("run"), { recursive: true }).catch(() => {});
    }
  },
);

testTask("a study names the cell whose module exits", async (place) => {
  const text = mlp() + "if (typeof postMessage === 'function') setTimeout(() => Deno.exit(0));";
  await writeModule(place, "bad.ts", text);
  await writeTinyIdx(place.file("data"), { train: 300, test: 360, classes: 4 });
  const { filters: _, tEmb: __, groups: ___, ...fixed } = tinyPlan.fixed;
  const plan = { ...tinyPlan, seeds: [1], fixed, grid: { model: ["./bad.ts"] } };
  await Deno.writeTextFile(place.file("mine.json"), JSON.stringify(plan));
  const { code, stderr } = await place.runProgram("study", "mine.json --out mine --device cpu --threads 1");
  assert.equal(code, 1);
  assert.match(stderr, /its module called Deno\.exit\(\) \(expected it to return\)/);
});
