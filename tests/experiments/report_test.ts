import assert from "node:assert/strict";
import { join } from "node:path";
import { readPlaneTrajectories } from "../../experiments/draw/plane.ts";
import { readLossByTime } from "../../experiments/evaluation/evaluation.ts";
import { readNetwork } from "../../experiments/report/drawn.ts";
import { readReportRuns } from "../../experiments/report/read_runs.ts";
import type { RunRecord } from "../../experiments/tracking/record.ts";
import { testInFolder } from "../folder.ts";
import { dataIn, tracesIn } from "../viz/report/page_content.ts";
import { smallCheckpoint } from "../models/tiny_files.ts";
import { bareRun, testTask, tinyRunWithPaths } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";
import { assertMistakes } from "./refusals.ts";
import { writeRun } from "./tracking/sessions.ts";
import type { LiveNetwork } from "../../viz/report/mod.ts";

testInFolder("readNetwork() omits weights that are too large, and says so", async (run) => {
  await Deno.writeFile(join(run, "last.safetensors"), new Uint8Array(8 * 2 ** 20 + 1));
  const tooLarge = "its weights take 8.1 MiB, but a report holds at most 8.0 MiB";
  assert.equal(await readNetwork(run, {}), tooLarge);
  await Deno.writeFile(join(run, "ema.safetensors"), smallCheckpoint);
  const { checkpoint } = await readNetwork(run, {}) as LiveNetwork;
  assert.deepEqual(checkpoint, smallCheckpoint);
  assert.equal(await readNetwork(join(run, "none"), {}), "its folder does not contain weights");
});

testTask("report needs only the folder of a run, and compares two runs", async (place) => {
  await place.succeed("train:residual", `${tinyRunWithPaths} --out a`);
  await place.succeed("train:base", `${bareRun} --out b`);

  const bins = (await readLossByTime(place.file("a")))!;
  const images = bins.reduce((sum, bin) => sum + bin.images, 0);
  assert.equal(images, 24, "each test image is in one bin");
  const mean = bins.reduce((sum, bin) => sum + (bin.loss ?? 0) * bin.images, 0) / images;
  const testLoss = (await place.metrics("a")).at(-1)!.test_loss as number;
  assert.ok(Math.abs(mean - testLoss) < 1e-6 * testLoss, `${mean} is not ${testLoss}`);
  assert.deepEqual((await readPlaneTrajectories(place.file("a")))!.shape, [11, 6, imageSize, imageSize]);

  const atTheEnd = await place.read("a", "report.html");
  const animation = await place.read("a", "flow_linear.gif");
  for (const name of ["report.html", "flow_linear.gif"]) await Deno.remove(place.file("a", name));
  await Deno.remove(place.file("data"), { recursive: true });
  const { stderr } = await place.succeed("report", "a");
  assert.equal(stderr, "Done; see a/report.html\n");
  assert.deepEqual(await place.read("a", "report.html"), atTheEnd);
  assert.deepEqual(await place.read("a", "flow_linear.gif"), animation);

  const page = await place.text("a/report.html");
  const { runs: [a] } = dataIn(page);
  assert.deepEqual(tracesIn(page, "loss-chart")[0].x, [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33]);
  assert.deepEqual(a.trajectories.map(({ shape: [M, ...size] }) => [M, size]), [
    [5, [1, imageSize, imageSize]],
    [1, [1, imageSize, imageSize]], // only its end, because the page can solve it
  ]);
  assert.equal(tracesIn(page, "bins-chart")[0].y.length, 10);

  // The page holds the exact weights, unless turned off.
  assert.deepEqual(Object(a.live).checkpoint, await place.read("a", "ema.safetensors"));
  await place.succeed("report", "a --no-live --out small.html");
  const small = await place.text("small.html");
  assert.match(small, /Parameters<\/th><td>[\d,]+<\/td>/);
  assert.equal(dataIn(small).runs[0].live, "the report was written with --no-live");
  assert.ok(!small.includes('id="library"'));
  assert.ok(dataIn(small).runs[0].trajectories.every(({ shape: [M] }) => M === 5), "all trajectories");

  await place.succeed("report", "a b --out both.html --device cpu");
  const { runs, comparison } = dataIn(await place.text("both.html"));
  assert.deepEqual(runs.map(({ name }) => name), ["a", "b"]);
  assert.deepEqual(comparison!.shape, [5, 20, 1, imageSize, imageSize]);
  for (const p of [0, 1]) {
    const { difference: { [p]: { 0: own, 1: other } } } = comparison!;
    assert.ok(own[0].every((value) => value === 0), "a model differs from itself");
    assert.ok(own[1].every((value) => value > 0) && own[1].length === 20);
    assert.deepEqual(own[1], other[0]);
  }
});

testTask("report rejects invalid input in one line, and writes nothing", async (place) => {
  for (const run of ["a", "b"]) await place.write(`${run}/config.json`, { model: "base", filters: [8, 16] });
  await Deno.mkdir(place.file("c"));
  await place.write("d/config.json", "{}");
  await place.write("d/flow/paths.safetensors", "damaged");
  await place.write("e/config.json", "[1");
  await assertMistakes(place, "report", {
    "--out x.html": "ConfigError: Missing RUN: name the folder of a run",
    "a --outt x.html": "ConfigError: Unknown flag --outt (did you mean --out?)",
    nowhere: "ConfigError: Cannot find the run nowhere: there is no such folder",
    c: "RunError: Cannot report c: it does not contain config.json",
    "a a": "RunError: Cannot report a twice: name each run once",
    "a ./a": "RunError: Cannot report ./a twice",
    d: "SafetensorsError: Cannot read d/flow/paths.safetensors: ",
    e: "RunError: Cannot read e/config.json: it is not a JSON object",
    "a --out no/such/folder.html": "RunError: Cannot write no/such/folder.html: ",
    "a --device cpu": "ConfigError: Cannot use --device with one run",
  });
  const { stderr } = await place.run("report", "a b --device cpu");
  assert.match(stderr, /^Comparing [^\n]+\nRunError: Cannot compare a: it has no ema.safetensors [^\n]+\n$/);

  // A run without weights, samples or plane trajectories still has its losses.
  await place.succeed("report", "b --out b.html");
  const page = await place.text("b.html");
  assert.ok(page.includes('id="loss-chart"') && !page.includes('id="clock"'));
});

testInFolder("readReportRuns() says whether a run was stopped, or why it failed", async (run) => {
  const cases: [about: Partial<RunRecord>, steps: number, ending: string | undefined][] = [
    [{ status: "FAILED", reason: "The loss is NaN" }, 1, "Failed after step 1: The loss is NaN."],
    [{ status: "FAILED" }, 0, "Failed before its first logged step: its program gave no reason."],
    [{ status: "KILLED" }, 2, "Stopped early, after step 2."],
    [{ status: "FINISHED" }, 2, undefined],
  ];
  for (const [about, steps, ending] of cases) {
    await writeRun(run, about);
    const lines = Array.from({ length: steps }, (_, i) => `{"step":${i + 1},"time":1}\n`);
    await Deno.writeTextFile(join(run, "metrics.jsonl"), lines.join(""));
    assert.equal((await readReportRuns([run]))[0].ending, ending);
  }
});
