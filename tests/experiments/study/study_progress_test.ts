import assert from "node:assert/strict";
import type { Terminal } from "../../../experiments/program/progress.ts";
import { cellBytes, checkRoom, freeBytesAt, gigabytes } from "../../../experiments/study/dry_run.ts";
import { StudyProgress } from "../../../experiments/study/study_progress.ts";
import { testInFolder } from "../../folder.ts";
import { cellOf } from "./tiny_study.ts";

const cells = [cellOf("a"), cellOf("b"), cellOf("c", { multiplyAdds: 2000 })];

/** Progress of a study whose first cell is finished, at a time that the test sets. */
function progressOn(isTerminal: boolean) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const terminal: Terminal = { isTerminal, columns: () => 100, write: (text) => void written.push(text) };
  const progress = new StudyProgress(cells, cells.slice(1), terminal, () => clock.ms);
  return { progress, written, clock };
}

Deno.test("StudyProgress weights cells by cost, and gives rate and remaining time", () => {
  const { progress, clock } = progressOn(true);
  assert.equal(progress.text(), "1/3 cells  0:00 elapsed");
  clock.ms = 60_000;
  progress.ended(cells[1], "finished"); // a third of the work
  assert.equal(progress.text(), "2/3 cells  40.0 cells/h  1:00 elapsed  2:00 left");
  clock.ms = 120_000;
  progress.trained(cells[2], 10); // all steps; its evaluation is left
  assert.match(progress.text(), /^2\/3 cells .* 2:00 elapsed {2}0:30 left$/);
  progress.ended(cells[2], "finished");
  assert.match(progress.text(), /^3\/3 cells .* 0:00 left$/);
});

Deno.test("StudyProgress does not count cells that another program runs", () => {
  const { progress, clock } = progressOn(true);
  progress.trained(cells[1], 9); // by the other program
  progress.ended(cells[1], "busy");
  clock.ms = 60_000;
  assert.equal(progress.text(), "1/3 cells  1:00 elapsed");
  progress.trained(cells[2], 5);
  assert.equal(progress.text(), "1/3 cells  21.0 cells/h  1:00 elapsed  1:51 left");
  progress.trained(cells[1], 10);
  assert.match(progress.text(), /1:51 left$/, "it has ended here");
});

Deno.test("StudyProgress does not count what earlier sessions trained", () => {
  const { progress, clock } = progressOn(true);
  progress.found(cells[1], 10); // all but its evaluation
  progress.found(cells[2], 5);
  clock.ms = 1000;
  assert.equal(progress.text(), "1/3 cells  0:01 elapsed");
  progress.trained(cells[2], 4); // its checkpoint was earlier
  assert.equal(progress.text(), "1/3 cells  0:01 elapsed");
  clock.ms = 60_000;
  progress.ended(cells[1], "finished"); // 0.3 of 0.3 + 2 * 0.65 of its work
  assert.equal(progress.text(), "2/3 cells  10.7 cells/h  1:00 elapsed  4:20 left");
});

Deno.test("StudyProgress counts what was done of a cell that failed or was stopped", () => {
  const { progress, clock } = progressOn(true);
  clock.ms = 60_000;
  progress.trained(cells[1], 5);
  progress.ended(cells[1], "failed"); // 0.35; 2 are left
  assert.equal(progress.text(), "1/3 cells  12.1 cells/h  1:00 elapsed  5:43 left");
  progress.trained(cells[2], 5);
  const stopped = progress.text();
  progress.ended(cells[2], "stopped");
  assert.equal(progress.text(), stopped);
  assert.match(stopped, /^1\/3 cells/);
});

Deno.test("StudyProgress rewrites a line on a terminal, and adds one now and then elsewhere", () => {
  const screen = progressOn(true);
  screen.clock.ms = 1000;
  screen.progress.trained(cells[1], 5);
  screen.progress.trained(cells[1], 6); // at once
  assert.equal(screen.written.length, 1);
  const [line] = screen.written;
  assert.match(line, /^\r█{13}░+ 1\/3 cells /u);
  assert.ok(line.endsWith("\x1b[K"), line);
  screen.progress.clear();
  assert.equal(screen.written.at(-1), "\r\x1b[K");
  screen.progress[Symbol.dispose]();
  assert.equal(screen.written.at(-1), "\n");

  const pipe = progressOn(false);
  for (const ms of [1000, 2000, 32_000]) {
    pipe.clock.ms = ms;
    pipe.progress.trained(cells[1], 5);
  }
  assert.equal(pipe.written.length, 2);
  assert.match(pipe.written[1], /^1\/3 cells .* 0:32 elapsed .* left\n$/);
});

Deno.test("checkRoom() refuses cells that do not fit on the disk", () => {
  const cells = [{ parameters: 250_000 }, { parameters: 250_000_000 }];
  const bytes = cellBytes(cells[0]) + cellBytes(cells[1]);
  checkRoom("study", cells, bytes);
  checkRoom("study", cells, undefined);
  assert.throws(() => checkRoom("study", cells, bytes, 1), { name: "RunError" }, "weights of a milestone");
  assert.throws(() => checkRoom("study", cells, bytes - 1), {
    name: "RunError",
    message:
      "Cannot run 2 cells in study: they need about 7.5 GiB, but only 7.5 GiB is free there (expected more room, " +
      "or --out on another disk)",
  });
});

testInFolder("freeBytesAt() gives the free bytes for a folder that does not exist yet", async (folder) => {
  const free = await freeBytesAt(`${folder}/a/b`);
  assert.ok(free === undefined || free > 0 && Number.isSafeInteger(free), `${free}`);
});

Deno.test("gigabytes() rounds up to MiB or GiB", () => {
  assert.deepEqual([1, 2 ** 20 + 1, 3 * 2 ** 29].map(gigabytes), ["1 MiB", "2 MiB", "1.5 GiB"]);
});
