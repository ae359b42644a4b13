import assert from "node:assert/strict";
import { join } from "node:path";
import {
  compareTable,
  findRun,
  listTable,
  nearestOf,
  type RunSummary,
  showTable,
} from "../../../experiments/tracking/find_run.ts";
import { testInFolder } from "../../folder.ts";
import { writeRun } from "./sessions.ts";

testInFolder(
  "findRun() finds a run by its folder, a file, --name or --run-name, the latest of several",
  async (root) => {
    const folderOf = (name: string) => join(root, name);
    const [first, second, third] = ["20260101-090000-a", "20260102-090000-a.b", "20260103-090000-a"];
    const names = { [third]: third, [first]: first, [second]: "shown in MLflow", y: "given", z: "given" };
    const starts = { [first]: 1, [second]: 2, [third]: 3, y: 2, z: 1 };
    for (const [folder, name] of Object.entries(names)) {
      await writeRun(folderOf(folder), { name, startedAt: starts[folder] });
    }
    const cases = { "a.b": second, "shown in MLflow": second, a: third, [first]: first, given: "y", z: "z" };
    for (const [name, folder] of Object.entries(cases)) {
      assert.equal(await findRun(name, root), folderOf(folder), name);
    }
    await Deno.mkdir(folderOf("z/weights"));
    await Deno.writeTextFile(folderOf("z/weights/step"), "");
    for (const path of ["z", "z/run.json", "z/weights/step"]) {
      assert.equal(await findRun(folderOf(path), root), folderOf("z"));
    }
    await writeRun(folderOf("x"), { name: "a", startedAt: 0 });
    assert.equal(await findRun("a", root), folderOf("x"), "a whole name comes first");
  },
);

testInFolder("findRun() explains why a name is not a run, and suggests others", async (root) => {
  const [file, run] = [join(root, "net.safetensors"), join(root, "a")];
  await Deno.writeTextFile(file, "");
  await writeRun(run, { name: "given" });
  const none = `there is no such folder (there are ${run})`;
  const weights = "it is a file outside of a run (expected the folder of a run, or a file in it)";
  const meant = `there is no such folder (did you mean ${run}?)`;
  for (const [name, why] of Object.entries({ [file]: weights, other: none, "": none, "runs/given": meant })) {
    const message = `Cannot find the run ${name}: ${why}`;
    await assert.rejects(findRun(name, root), { name: "ConfigError", message });
  }
  assert.equal(nearestOf("runs/b", Array.from({ length: 11 }, (_, i) => `${i}`)), " (see deno task runs)");
  assert.equal(nearestOf("runs/b", ["runs/bb", "other"]), " (did you mean runs/bb?)");
});

const usual = { experiment: "x", status: "FINISHED", startedAt: 0, endedAt: 60_000 } as const;
const run = (key: string, name: string, metrics: Record<string, number> = {}, params = {}): RunSummary => {
  return { ...usual, key, name, params, metrics };
};

const cellsOf = (table: string) => table.split("\n").map((row) => row.trim().split(/ +/));
/** The width of the widest line, without a warning below. */
const widthOf = (table: string) => Math.max(...table.split("\n").map(({ length }) => length));

Deno.test("tables count minutes of training, not of wall-clock time", () => {
  const day = 24 * 3600e3;
  const runs = [[day, 90], [-day, 150], [-day, NaN]].map(([endedAt, elapsed_seconds], i) => ({
    ...run(`${i}`, `${i}`, { elapsed_seconds }),
    endedAt,
  }));
  assert.deepEqual(cellsOf(compareTable(runs))[2], ["minutes", "1.5", "2.5"]);
  assert.doesNotMatch(listTable(runs), /1440/);
});

Deno.test("showTable() rounds fractions but never integer digits, and describes files and where they are shown", () => {
  const metrics: Record<string, readonly [number, string]> = {
    ...{ images: [1_234_567, "1234567"], rate: [12_345.6, "12346"], less: [-98_765.4, "-98765"] },
    ...{ loss: [0.123456, "0.1235"], small: [1.23456e-7, "1.235e-7"], none: [NaN, "NaN"] },
  };
  const values = Object.fromEntries(Object.entries(metrics).map(([name, [value]]) => [name, value]));
  const table = showTable(run("runs/a", "a", values), ["samples.png"]);
  const [, shown] = table.split("Latest metrics\n");
  const expected = Object.entries(metrics).map(([name, [, text]]) => [name, text]);
  assert.deepEqual(cellsOf(shown.split("\n\n")[0]), expected);
  assert.ok(table.endsWith("Files\n  samples.png  samples at the end  report.html#training"), table);
});

Deno.test("listTable() fits 80 columns: network, data and results have priority", () => {
  const losses = { train_loss: 0.12345, val_loss: 0.12345, test_loss: 0.12345 };
  const runOf = (name: string, params: object, data: string): RunSummary => {
    const key = `20261129-113635-${name}`;
    return {
      ...run(`runs/${key}`, key, losses, { filters: [16, 32, 64], ...params }),
      dataset: { name: data },
    };
  };
  const runs = [
    runOf("residual", { model: "residual" }, "MNIST"),
    runOf("distill", { model: "residual", teacher: "runs/a" }, "MNIST"),
    runOf("mine", { model: "./nets/mine.ts" }, "photos"),
  ];
  const table = listTable(runs, 80);
  assert.ok(widthOf(table.split("\nLosses")[0]) <= 80, table);
  assert.deepEqual(cellsOf(table).slice(0, 4), [
    ["run", "status", "minutes", "network", "data", "test_loss"],
    ["20261129-113635-residual", "FINISHED", "1.0", "residual", "MNIST", "0.1235"],
    ["20261129-113635-distill", "FINISHED", "1.0", "residual", "map", "MNIST", "0.1235"],
    ["20261129-113635-mine", "FINISHED", "1.0", "mine.ts", "photos", "0.1235"],
  ]);
  assert.deepEqual(cellsOf(listTable(runs, 160))[0].slice(0, 3), ["run", "status", "started"]);
});

Deno.test("compareTable() shows runs with default names side by side in 80 columns", () => {
  const metrics = { test_loss: 0.1, "eval/vgg/frechet_shrunk": 1, "system/process_memory_megabytes": 1 };
  const runs = ["residual", "base", "mine"].map((name, i) => {
    const key = `20261129-11363${i}-${name}`;
    return run(`runs/${key}`, key, metrics, { data: `/home/somebody/photos/of/many/kinds/${i}` });
  });
  for (const isAll of [false, true]) {
    const table = compareTable(runs.slice(0, 2), isAll, 80);
    assert.ok(widthOf(table) <= 80 && !/\n\n.*\n.*113/.test(table), table);
  }
  const names = cellsOf(compareTable(runs, false, 110)).slice(0, 2);
  assert.deepEqual(names, [["20261129-113630", "20261129-113631", "20261129-113632"], [
    "residual",
    "base",
    "mine",
  ]]);
});

Deno.test("compareTable() shows the ten figures that differ most, losses first, or all metrics", () => {
  const metricsOf = (scale: number) => ({
    learning_rate: 1 + scale,
    "eval/frechet": 3,
    ...Object.fromEntries(
      Array.from({ length: 11 }, (_, n) => [`m${n}`, (n % 2 ? -1 : 1) * (1 + scale * n)]),
    ),
    "eval/frechet_low": 2 - scale,
    test_loss: 1 + 99 * scale,
  });
  const runs = [metricsOf(0), metricsOf(1), { m10: NaN }].map((metrics, i) => run(`${i}`, `${i}`, metrics));
  const rows = (isAll: boolean) => compareTable(runs, isAll).split("\n").slice(3);
  const names = (isAll: boolean) => rows(isAll).map((row) => row.trim().split(" ")[0]);
  const shown = ["test_loss", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10"];
  assert.deepEqual(names(false), [...shown, "The"]);
  assert.equal(rows(false).at(-1), "The 10 figures that differ most; 5 more metrics with --all");
  const [first, last] = [["test_loss", "eval/frechet", "eval/frechet_low"], ["learning_rate"]];
  assert.deepEqual(names(true), [...first, ...Array.from({ length: 11 }, (_, n) => `m${n}`), ...last]);
});

Deno.test("compareTable() distinguishes runs with the same name, and shows the settings that differ", () => {
  const rowsOf = (...runs: RunSummary[]) => cellsOf(compareTable(runs));
  assert.deepEqual(rowsOf(run("runs/a", "given"), run("runs/b", "other"))[0], ["given", "other"]);
  const rows = rowsOf(
    run("runs/a", "given", { train_loss: 1, constructor: 2 }, { lr: 1, filters: [4, 8], normalize: "0..1" }),
    run("runs/b", "given", { train_loss: 2 }, { lr: 2, filters: [4, 8], normalize: "-1..1" }),
  );
  assert.deepEqual(rows.slice(0, 9), [
    ...[["a", "b"], ["status", "FINISHED", "FINISHED"], ["minutes", "1.0", "1.0"], ["train_loss", "1", "2"]],
    ...[["constructor", "2"], [""], ["settings", "that", "differ"], ["lr", "1", "2"]],
    ["normalize", "0..1", "-1..1"],
  ]);
  assert.match(
    rows[9].join(" "),
    /^Losses of these runs are not comparable \(--normalize is 0\.\.1 or -1\.\.1\)/,
  );
});
