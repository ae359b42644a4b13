import assert from "node:assert/strict";
import { join } from "node:path";
import { TrainingError } from "../../../experiments/cli/task.ts";
import { local, runInTurn, threadsOf } from "../../../experiments/study/local.ts";
import { launching } from "../../../experiments/study/launcher.ts";
import { defineSettings } from "../../../experiments/cli/settings.ts";
import { testInFolder } from "../../folder.ts";
import { cellOf, planOf } from "./tiny_study.ts";

const cells = ["a-s1", "b-s1", "c-s1"].map((id) => cellOf(id));

/** Options of a launch, and the lines that it prints. */
function options(signal = new AbortController().signal) {
  const said: string[] = [];
  const terminal = { isTerminal: false, columns: () => 80, write() {} };
  return { signal, said, terminal, say: (line: string) => void said.push(line) };
}

testInFolder("local.launch() reports the cells that failed, and why", async (folder) => {
  const { said, ...rest } = options();
  const flags = { ...defineSettings(launching).resolve({}), threads: 1, jobs: 1 };
  const failing = [cells[0], cellOf("x".repeat(253))]; // its name is too long for a log file
  for (const { id } of cells) await Deno.mkdir(join(folder, "logs", `${id}.log`), { recursive: true });
  const study = { folder, digest: "", plan: planOf({ cells: [{}] }), cells: failing };
  const failed = await local.launch(study, failing, { ...rest, flags });
  assert.deepEqual(failed.toSorted(), failing.map(({ id }) => id));
  const [first, second] = said;
  assert.match(first, /^a-s1: RunError: Cannot write .*a-s1\.log: it is not a file; remove it$/);
  assert.match(
    second,
    /^x+: RunError: Cannot find a study in .*\(expected the folder of a study\); RunError: Cannot write .*x\.log: /,
  );
});

Deno.test("runInTurn() runs the other cells if one fails, and names it", async () => {
  const { said, ...rest } = options();
  const ends = await runInTurn(cells, ({ id }) => {
    if (id === "a-s1") return Promise.reject(new TrainingError("no\nway"));
    return Promise.resolve(id === "b-s1" ? "busy" : "finished");
  }, rest);
  assert.deepEqual(ends, { failed: ["a-s1"], busy: ["b-s1"] });
  assert.deepEqual(said, ["a-s1: TrainingError: no\\u000away", "c-s1 is finished"]);
  const fails = (error: Error) => () => Promise.reject(error);
  await assert.rejects(runInTurn(cells, fails(new TypeError("a bug")), rest), TypeError);
  await assert.rejects(runInTurn(cells.slice(0, 1), fails(new TrainingError("alone")), rest), TrainingError);
  const stopped = options(AbortSignal.abort());
  assert.deepEqual(await runInTurn(cells, fails(new TypeError("a bug")), stopped), { failed: [], busy: [] });
});

Deno.test("threadsOf() shares the cores between jobs, unless threads are set", () => {
  const cores = navigator.hardwareConcurrency;
  assert.equal(threadsOf({ threads: null, jobs: 1 }), cores);
  assert.equal(threadsOf({ threads: null, jobs: 2 }), Math.max(1, Math.floor(cores / 2)));
  assert.equal(threadsOf({ threads: null, jobs: 10 * cores }), 1);
  assert.equal(threadsOf({ threads: 3, jobs: 2 }), 3);
});
