import assert from "node:assert/strict";
import { join } from "node:path";
import { readPlaneTrajectories } from "../../experiments/draw/plane.ts";
import { readLossByTime } from "../../experiments/evaluation/evaluation.ts";
import { readNetwork } from "../../experiments/report/drawn.ts";
import { readReportRuns } from "../../experiments/report/read_runs.ts";
import type { RunRecord } from "../../experiments/tracking/record.ts";
import type { PageData } from "../../viz/report/page_data.ts";
import { testInFolder } from "../folder.ts";
import { dataIn, tracesIn } from "../viz/report/page_content.ts";
import { smallCheckpoint } from "../models/tiny_files.ts";
import { bareRun, testTask, tinyRunWithPaths, type Workplace } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";
import { writeRun } from "./tracking/sessions.ts";

async function textOf(place: Workplace, ...path: string[]): Promise<string> {
  return new TextDecoder().decode(await place.read(...path));
}

async function dataOf(place: Workplace, ...path: string[]): Promise<PageData> {
  return dataIn(await textOf(place, ...path));
}

testInFolder("readNetwork() omits weights that are too large, and says so", async (run) => {
  await Deno.writeFile(join(run, "last.safetensors"), new Uint8Array(8 * 2 ** 20 + 1));
  assert.equal(
    await readNetwork(run, {}),
    "its weights take 8.1 MiB, but a report holds at most 8.0 MiB",
  );
  await Deno.writeFile(join(run, "ema.safetensors"), smallCheckpoint);
  assert.deepEqual(await readNetwork(run, {}), { checkpoint: smallCheckpoint });
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
  assert.deepEqual((await readPlaneTrajectories(place.file("a")))!.shape, [21, 6, imageSize, imageSize]);

  const atTheEnd = await place.read("a", "report.html");
  const animation = await place.read("a", "flow_linear.gif");
  for (const name of ["report.html", "flow_linear.gif"]) await Deno.remove(place.file("a", name));
  await Deno.remove(place.file("data"), { recursive: true });
  const { stderr } = await place.succeed("report", "a");
  assert.equal(stderr, "Done; see a/report.html\n");
  assert.deepEqual(await place.read("a", "report.html"), atTheEnd);
  assert.deepEqual(await place.read("a", "flow_linear.gif"), animation);

  const { runs: [a] } = await dataOf(place, "a", "report.html");
  const page = await textOf(place, "a", "report.html");
  assert.deepEqual(tracesIn(page, "loss-chart")[0].x, [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33]);
  assert.deepEqual(a.trajectories.map(({ shape: [M, ...size] }) => [M, size]), [
    [5, [1, imageSize, imageSize]],
    [1, [1, imageSize, imageSize]], // only its end, because the page can solve it
  ]);
  assert.equal(tracesIn(page, "bins-chart")[0].y.length, 10);

  // The page holds the exact weights, unless turned off.
  assert.deepEqual(Object(a.live).checkpoint, await place.read("a", "ema.safetensors"));
  await place.succeed("report", "a --no-live --out small.html");
  const small = await textOf(place, "small.html");
  assert.match(small, /Parameters<\/th><td>[\d,]+<\/td>/);
  assert.equal(dataIn(small).runs[0].live, "the report was written with --no-live");
  assert.ok(!small.includes('id="library"'));
  assert.ok(dataIn(small).runs[0].trajectories.every(({ shape: [M] }) => M === 5), "all trajectories");

  await place.succeed("report", "a b --out both.html --device cpu");
  const { runs, comparison } = await dataOf(place, "both.html");
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
  for (const run of ["a", "b"]) {
    await Deno.mkdir(place.file(run));
    await Deno.writeTextFile(place.file(run, "config.json"), '{"model":"base","filters":[8,16]}');
  }
  await Deno.mkdir(place.file("c"));
  await Deno.mkdir(place.file("d", "flow"), { recursive: true });
  await Deno.writeTextFile(place.file("d", "config.json"), "{}");
  await Deno.writeTextFile(place.file("d", "flow", "paths.safetensors"), "damaged");
  await Deno.mkdir(place.file("e"));
  await Deno.writeTextFile(place.file("e", "config.json"), "[1");
  const before = await place.listing();
  const cases: [flags: string, expected: RegExp][] = [
    ["--out x.html", /^ConfigError: Missing RUN: name the folder of a run/],
    ["a --outt x.html", /^ConfigError: Unknown flag --outt \(did you mean --out\?\)/],
    ["nowhere", /^ConfigError: Cannot find the run nowhere: there is no such folder/],
    ["c", /^RunError: Cannot report c: it does not contain config.json/],
    ["a a", /^RunError: Cannot report a twice: name each run once/],
    ["a ./a", /^RunError: Cannot report .\/a twice/],
    ["d", /^SafetensorsError: Cannot read d\/flow\/paths.safetensors: /],
    ["e", /^RunError: Cannot read e\/config.json: it is not a JSON object/],
    ["a --out no/such/folder.html", /^RunError: Cannot write no\/such\/folder.html: /],
    ["a --device cpu", /^ConfigError: Cannot use --device with one run/],
    ["a b --device cpu", /RunError: Cannot compare a: it has no ema.safetensors or last.safetensors \(/],
  ];
  for (const [flags, expected] of cases) {
    const { code, stderr } = await place.run("report", flags);
    const line = stderr.replace(/^Comparing .*\n/, "");
    assert.equal(code, 1, flags);
    assert.match(line, expected);
    assert.equal(line.trimEnd().split("\n").length, 1, line);
  }
  assert.deepEqual(await place.listing(), before);

  // A run without weights, samples or plane trajectories still has its losses.
  await place.succeed("report", "b --out b.html");
  const page = await textOf(place, "b.html");
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
