/** Conditioned samples: drawing them, and their classes in files and pictures. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { checkSolver, drawSamples } from "../../../experiments/draw/samples.ts";
import {
  classColumns,
  formatGuidance,
  gridColumns,
  roundToRows,
  runsTwice,
} from "../../../experiments/draw/conditioning.ts";
import {
  followInPlane,
  readPlaneTrajectories,
  writePlaneTrajectories,
} from "../../../experiments/draw/plane.ts";
import {
  followTrajectories,
  readTrajectories,
  writeTrajectories,
} from "../../../experiments/draw/trajectories.ts";
import { trajectoryRows } from "../../../experiments/draw/pictures.ts";
import { readReportRuns } from "../../../experiments/report/read_runs.ts";
import { init, type Tensor, tensor, withDevice } from "../../../kernels/mod.ts";
import { createModel, guided, linearPath, sample, toPixels } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { assertClose } from "../../testing.ts";
import { madeUpFlow } from "../../viz/flow/made_up_flow.ts";
import { cosinePath } from "../../../models/flow/path.ts";

const how = { seed: 7, solver: "euler", steps: 4 } as const;
const source = { modelType: "UNet_FM", ...how } as const;
const device = await init({ device: "cpu" });
const classes = 12;
const shape = [3, 4, 4] as const;
const normalization = { scale: 2, shift: -1 };
const drawable = () => ({
  model: createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, channels: 3, classes }, 3),
  normalization,
  shape,
});
const { count, conditioning } = classColumns(13, classes, { scale: 2 });

Deno.test("classColumns() fills rows with one sample of each class, at least one row", () => {
  assert.deepEqual([64, 66, 16, 1, 0].map((count) => roundToRows(count, 10)), [60, 70, 20, 10, 0]);
  assert.deepEqual([64, 0].map((count) => roundToRows(count, 0)), [64, 0]);
  assert.deepEqual(classColumns(64, 0, { scale: 2 }), { count: 64, columns: 0 });
  assert.deepEqual(classColumns(7, 3, { scale: 2 }), {
    count: 6,
    columns: 3,
    conditioning: { labels: Uint32Array.of(0, 1, 2, 0, 1, 2), guidance: { scale: 2 } },
  });
});

Deno.test("gridColumns() keeps classes in columns, and a column for each if they are at most 20", () => {
  const cases = [[60, 10, 10], [40, 10, 10], [63, 3, 9], [20, 10, 10], [100, 100, 10], [10, 10, 10], [
    9,
    1,
    0,
  ]];
  for (const [count, classes, columns] of cases) {
    assert.equal(gridColumns(count, classes), columns, `${count} of ${classes} classes`);
  }
  for (let classes = 2; classes < 20; classes++) {
    for (let rows = 1; rows < 40; rows++) {
      const columns = gridColumns(rows * classes, classes) || Math.ceil(Math.sqrt(rows * classes));
      if (columns === classes && rows <= 2 * columns) continue;
      const ratio = columns / Math.ceil(rows * classes / columns);
      assert.ok(ratio >= 0.5 && ratio <= 2, `${rows} rows of ${classes} classes: ${columns}`);
    }
  }
});

Deno.test("formatGuidance() names interval and method, and runsTwice() the need of two networks", () => {
  const cases = [
    [{ scale: 1 }, "no guidance", false],
    [{ scale: 0 }, "guidance 0", false],
    [{ scale: 1.5 }, "guidance 1.5", true],
    [{ scale: 0, interval: [0.5, 1] }, "guidance 0 for t in [0.5, 1]", true],
    [{ scale: 2, interval: [0.1, 1], zeroStar: true }, "guidance 2 for t in [0.1, 1] by CFG-Zero*", true],
  ] as const;
  for (const [guidance, words, twice] of cases) {
    assert.deepEqual([formatGuidance(guidance), runsTwice(guidance, {})], [words, twice]);
    assert.equal(runsTwice(guidance, { maxGuidance: 2 }), false, "an input of the network");
  }
});

Deno.test("drawSamples() draws the requested classes in several batches, with noise of their seed", async () => {
  await withDevice(device, async () => {
    const many = classColumns(72, classes, { scale: 2 });
    const condition = tensor(many.conditioning!.labels);
    const field = guided(drawable().model, { scale: 2, none: classes });
    for (const solver of [{ solver: "heun", steps: 3 }, { solver: "sde", noise: 1, steps: 3 }] as const) {
      const { pixels } = await drawSamples(drawable(), { seed: 5, ...solver, ...many });
      const x1 = sample(field, { seed: 5, ...solver, count: many.count, shape, condition });
      assertClose(pixels, toPixels(await x1.read(), normalization), 1e-6);
    }
  });
});

Deno.test("checkSolver() refuses solvers and guidance that do not suit a network", () => {
  const velocity = (x: Tensor) => x;
  const map = { velocity, meanVelocity: velocity };
  checkSolver(map, { solver: "map" }, "a");
  checkSolver({ velocity, path: linearPath }, { solver: "sde" }, "a", 2);
  checkSolver({ velocity, path: cosinePath }, {}, "a");
  const cosine = { velocity, path: cosinePath };
  const refused = [
    [{ velocity }, "map", 1, /^Cannot use --solver map with a: its network is not a flow map /],
    [cosine, "sde", 1, /^Cannot use --solver sde with a: .* another path than linear/],
    [map, "map", 2, /^Cannot use --guidance 2 with --solver map: the network has learned its guidance/],
  ] as const;
  for (const [field, solver, guidance, message] of refused) {
    assert.throws(() => checkSolver(field, { solver }, "a", guidance), { name: "ConfigError", message });
  }
});

testInFolder("trajectory files record the class, its name and the guidance", async (run) => {
  const drawing = { ...how, count, conditioning };
  const trajectories = await withDevice(device, () => followTrajectories(drawable(), drawing));
  await writeTrajectories(run, trajectories, source, conditioning, ["finch", "owl"]);
  const labels = Array.from({ length: 12 }, (_, c) => c);
  const stored = await readTrajectories(run);
  assert.deepEqual(stored.map(({ label, guidance }) => [label, guidance]), labels.map((c) => [c, 2]));
  assert.deepEqual(stored.slice(0, 3).map(({ className }) => className), ["finch", "owl", undefined]);
  await Deno.writeTextFile(join(run, "config.json"), JSON.stringify({ conditional: true, guidance: 2 }));
  const [{ solved }] = await readReportRuns([run]);
  assert.deepEqual(solved, { ...how, times: undefined, evaluations: 4, labels, guidance: 2 });
});

Deno.test("trajectoryRows() titles columns by class if all runs share classes and guidance", () => {
  const run = (name: string, labelled: boolean, guidance = 1.5, classNames: readonly string[] = []) => {
    const labels = (n: number) => labelled ? { label: n % 2, guidance } : {};
    const names = (n: number) => classNames.length > 0 ? { className: classNames[n % 2] } : {};
    const trajectory = madeUpFlow(0, 5, [4, 4]);
    const samples = [0, 1, 2, 3].map((n) => ({ ...source, k: n + 1, trajectory, ...labels(n), ...names(n) }));
    return { name, key: name, samples };
  };
  const plain = { columnTitles: ["Sample 1", "Sample 2", "Sample 3", "Sample 4"] };
  const byClass = { columnTitles: ["0", "1", "0", "1"], columns: 2 };
  const cases: [runs: ReturnType<typeof run>[], texts: object][] = [
    [[run("a", false)], plain],
    [[run("a", true, 1)], byClass],
    [[run("a", true), run("b", true)], { ...byClass, remark: "guidance 1.5" }],
    [[run("a", true, 1, ["finch", "owl"])], { ...byClass, columnTitles: ["finch", "owl", "finch", "owl"] }],
    [[run("a", true), run("b", false)], plain],
    [[run("a", true), run("b", true, 3)], plain],
  ];
  for (const [runs, expected] of cases) {
    const { columnTitles, columns, remark, warning } = trajectoryRows(runs, []);
    const none = { columns: undefined, remark: undefined };
    assert.deepEqual({ columnTitles, columns, remark }, { ...none, ...expected });
    assert.equal(warning, undefined);
  }
  const other = run("b", true);
  const samples = other.samples.map((sample) => ({ ...sample, modelType: "UNet_FM_Residuals" as const }));
  const { rows } = trajectoryRows([run("a", true), { ...other, samples }], []);
  assert.deepEqual(rows.map(({ label }) => label), ["a", "b"], "runs go by their names");
});

testInFolder("followInPlane() follows the requested classes, for any batch size", async (run) => {
  const split = (count: number) => ({
    count,
    labels: Uint8Array.from({ length: count }, (_, n) => n % classes),
    images: Uint8Array.from({ length: count * 48 }, (_, i) => i * 37 % 256),
  });
  const data = { train: split(40), test: split(20) };
  const drawing = { count, seed: 5, steps: 2, conditioning };
  const follow = (batch: number) =>
    withDevice(device, () => followInPlane(drawable(), data, { ...drawing, batch }));
  const found = await follow(12);
  assert.deepEqual(found.conditioning, { labels: conditioning!.labels, guidance: 2 });
  assertClose((await follow(5)).image, found.image, 1e-6);
  await writePlaneTrajectories(run, found);
  assert.deepEqual(await readPlaneTrajectories(run), found);
});
