/** The final training loss of a run: averaged over its last steps, and the same wherever it is shown. */

import assert from "node:assert/strict";
import { testTask, tinyRun } from "./cli.ts";

/** Losses in a line of a table, by its first word. */
function row(table: string, name: string): string[] {
  return table.split("\n").find((line) => line.trim().split(/ +/)[0] === name)!.trim().split(/ +/).slice(1);
}

testTask("train, report, runs and compare show the same training loss, of the last steps", async (place) => {
  const flags = tinyRun.replace("--log-every 3", "--log-every 20");
  await place.succeed("train:base", `${flags} --normalize 0..1 --out runs/a`);
  const metrics = await place.metrics("runs/a");
  const lines = metrics.filter((line) => "train_loss" in line);
  assert.deepEqual(lines.map(({ step }) => step), [20, 33]);
  assert.ok(lines.every(({ gradient_norm: norm }) => Number(norm) > 0), JSON.stringify(lines));
  const [first, last] = lines.map((line) => Number(line.train_loss));
  assert.ok(last < first);

  const report = await Deno.readTextFile(place.file("runs/a/report.html"));
  assert.ok(report.includes(`Training loss at the end</th><td>${last.toFixed(4)}</td>`));
  const shown = String(Number(last.toPrecision(4)));
  const { stdout: list } = await place.succeed("runs", "list");
  assert.ok(row(list, "runs/a").includes(shown), list);
  assert.doesNotMatch(list, /not comparable/);

  await place.succeed("train:base", `${flags} --normalize -1..1 --out runs/b`);
  const warning = "Losses of these runs are not comparable: --normalize is 0..1 or -1..1";
  const { stdout: both } = await place.succeed("runs", "list");
  assert.match(both, new RegExp(`\n${warning}\n$`));
  const { stdout: compared } = await place.succeed("compare", "runs/a runs/b --frames 2 --out flows.gif");
  assert.equal(row(compared, "train_loss")[0], shown);
  assert.ok(compared.includes(warning), compared);
  await place.succeed("report", "runs/a runs/b --device cpu --no-live --out both.html");
  assert.ok((await Deno.readTextFile(place.file("both.html"))).includes(warning));
});
