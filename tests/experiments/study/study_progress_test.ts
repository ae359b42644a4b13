import assert from "node:assert/strict";
import type { Terminal } from "../../../experiments/cli/progress.ts";
import { gigabytes } from "../../../experiments/cli/dry_run.ts";
import { checkRoom, freeBytesAt } from "../../../experiments/study/dry_run.ts";
import { bytesOf } from "../../../experiments/study/dry_run.ts";
import { StudyProgress } from "../../../experiments/study/study_progress.ts";
import { testInFolder } from "../../folder.ts";
import { cellOf } from "./tiny_study.ts";

const cells = [cellOf("a"), cellOf("b"), cellOf("c", { multiplyAdds: 2000 })];

/** Progress of a study whose first cell is finished, at a time that the test sets. */
function progressOn(isTerminal: boolean, steps = [0, 0]) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const terminal: Terminal = { isTerminal, columns: () => 100, write: (text) => void written.push(text) };
  const unfinished = steps.map((step, i) => [cells[i + 1], step] as const);
  const progress = new StudyProgress(cells, unfinished, terminal, () => clock.ms);
  return { progress, written, clock, text: () => progress.describe(clock.ms / 1000).text };
}

Deno.test("StudyProgress weights cells by cost, and shows rate and remaining time", () => {
  const { progress, clock, text } = progressOn(true);
  assert.equal(text(), "1/3 cells  0:00 elapsed");
  clock.ms = 60_000;
  progress.ended(cells[1], "finished"); // a third of the work
  assert.equal(text(), "2/3 cells  60.0 cells/h  1:00 elapsed  2:00 left");
  clock.ms = 120_000;
  progress.trained(cells[2], 10); // all steps; only the evaluation is left
  assert.match(text(), /^2\/3 cells .* 2:00 elapsed {2}0:30 left$/);
  progress.ended(cells[2], "finished");
  assert.match(text(), /^3\/3 cells .* 0:00 left$/);
});

Deno.test("StudyProgress ignores earlier sessions, and cells that failed or run elsewhere", () => {
  for (const end of ["busy", "failed"] as const) {
    const { progress, clock, text } = progressOn(true, [9, 5]);
    progress.trained(cells[1], 10);
    progress.ended(cells[1], end);
    clock.ms = 60_000;
    progress.trained(cells[2], 4); // its checkpoint was earlier
    assert.equal(text(), "1/3 cells  1:00 elapsed");
    progress.trained(cells[2], 10); // 0.35 of its work; 0.3 are left
    assert.equal(text(), "1/3 cells  21.0 cells/h  1:00 elapsed  0:51 left");
    progress.trained(cells[1], 10); // it has already ended
    progress.ended(cells[2], "stopped");
    assert.equal(text(), "1/3 cells  21.0 cells/h  1:00 elapsed  0:51 left");
  }
});

Deno.test("StudyProgress shows a bar on a terminal, and adds a line twice a minute elsewhere", () => {
  const screen = progressOn(true);
  screen.progress.trained(cells[1], 5);
  assert.match(screen.written.join(), /^\r█{13}░+ 1\/3 cells /u);
  screen.progress.clear();
  assert.equal(screen.written.length, 2);
  screen.progress[Symbol.dispose]();
  assert.equal(screen.written.at(-1), "\n");

  const pipe = progressOn(false);
  for (const ms of [1000, 29_000, 30_000, 59_000]) {
    pipe.clock.ms = ms;
    pipe.progress.trained(cells[1], 5);
  }
  assert.equal(pipe.written.length, 1);
  assert.match(pipe.written[0], /^1\/3 cells .* 0:30 elapsed .* left\n$/);
});

Deno.test("checkRoom() rejects cells that do not fit on the disk", () => {
  const cells = [{ parameters: 250_000 }, { parameters: 250_000_000 }];
  const bytes = bytesOf(cells, 0);
  checkRoom("study", cells, bytes, 0);
  checkRoom("study", cells, undefined, 0);
  assert.throws(() => checkRoom("study", cells, bytes, 1), { name: "RunError" }, "weights of a milestone");
  assert.throws(() => checkRoom("study", cells, bytes - 1, 0), {
    name: "RunError",
    message:
      "Cannot run 2 cells in study: they need about 7.5 GiB, and 7.5 GiB are free (expected more room, or " +
      "--out on another disk)",
  });
  assert.deepEqual([1, 2 ** 20 + 1, 3 * 2 ** 29].map(gigabytes), ["1 MiB", "2 MiB", "1.5 GiB"]);
});

testInFolder("freeBytesAt() returns the free bytes for a folder that does not exist yet", async (folder) => {
  const free = await freeBytesAt(`${folder}/a/b`);
  assert.ok(free === undefined || free > 0 && Number.isSafeInteger(free), `${free}`);
});
