/** What run folders say: records, descriptions for MLflow, names, and tables. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { lockRun } from "../../../experiments/run/run_folder.ts";
import * as describe from "../../../experiments/tracking/describe_run.ts";
import * as find from "../../../experiments/tracking/find_run.ts";
import * as tables from "../../../experiments/tracking/run_tables.ts";
import * as records from "../../../experiments/tracking/record.ts";
import { testInFolder } from "../../folder.ts";
import { upTo } from "../../refusing.ts";
import { valuesOf } from "./mirrored.ts";
import { writeRun } from "./sessions.ts";

const { describeRun, mlflowKey, settingsOf, textEntry } = describe;
const { findRun, nearestOf } = find;
const { compareTable, listTable, showTable } = tables;
const { currentRecord, readRecord, settleRecord, writeRecord } = records;
type Dataset = records.RecordedDataset;
type RunSummary = find.RunSummary;

const record = records.newRecord({ name: "a *run*", experiment: "x", source: "a test", startedAt: 1 });
const counts = { train: 3, validation: 2, test: 1 };
const size = { channels: 1, height: 4, width: 5, classes: 0 };
const dataset: Dataset = { name: "d", digest: "ab", source: "d", ...size, ...counts };

testInFolder("a running run counts as killed if no program works on it or on a cell", async (run) => {
  assert.equal(await currentRecord(run), undefined);
  const cell = join(run, "cells", "base-0");
  await Deno.mkdir(cell, { recursive: true });
  for (const folder of [run, cell]) await writeRecord(folder, record);
  await Deno.writeTextFile(join(run, "metrics.jsonl"), '{"step":1,"time":7}\n{"step":2,"time":5}\n');
  for (const folder of [run, cell]) {
    using _ = await lockRun(folder);
    assert.deepEqual(await currentRecord(run), record);
    if (folder === cell) assert.deepEqual(await settleRecord(run), record);
  }
  const killed = { ...record, status: "KILLED", endedAt: 7 };
  assert.deepEqual(await currentRecord(run), killed);
  assert.deepEqual(await readRecord(run), record, "only the holder of the lock writes");
  assert.deepEqual([await settleRecord(run), await readRecord(run)], [killed, killed]);
});

Deno.test("mlflowKey(), pointOf() and textEntry() write what servers accept", () => {
  const keys = {
    ...{ "system/gpu 0:used.bytes-1": "system/gpu 0:used.bytes-1", "größe": "größe", "a#b+c%": "a_b_c_" },
    ...{ "/a//b/": "a/b", "a/../b": "a/_/b", "a..b": "a._b", "..": "_", "": "_" },
    [`${"a".repeat(249)}/b`]: "a".repeat(249),
  };
  for (const [name, key] of Object.entries(keys)) assert.equal(mlflowKey(name), key, name);
  assert.deepEqual(describe.pointOf("loss", 0.5, 17.9, 3.5), {
    key: "loss",
    value: 0.5,
    timestamp: 17,
    step: 3,
  });
  const values = [["text", "text"], [1, "1"], [false, "false"], [[4, 8], "[4,8]"]];
  for (const [value, text] of values) assert.equal(textEntry("param", "key", value).value, text);
  const long = textEntry("tag", "key", "x".repeat(9000)).value;
  assert.deepEqual([long.length, long.slice(-4)], [8000, "x..."]);
  assert.equal(textEntry("param", "key", "x".repeat(6000)).value.length, 6000);
});

Deno.test("settingsOf() names settings like flags, and omits those without effect", () => {
  const facts = { parameters: 7, dataset: "d", "train-images": 3, "validation-images": 2 };
  const digest = "0f".repeat(32);
  const taught = { teacher: "a", stages: "mean:steps=9", teacherGuidance: 1.4, flip: false };
  const cases: [config: Record<string, unknown>, params: Record<string, unknown>][] = [
    [{ batchSize: 8, name: "x", out: "y", data: null }, { "batch-size": 8 }],
    [{ optimizer: "adamw", muonLr: 1, beta1: 0.9, momentum: 0.9 }, { optimizer: "adamw", beta1: 0.9 }],
    [{ ...taught, teacher: null, stages: null }, { flip: false }],
    [taught, { teacher: "a", stages: "mean:steps=9", "teacher-guidance": 1.4 }],
    [{ epochs: 0, maxSteps: 20, maxMinutes: 0 }, { "max-steps": 20 }],
    [{ model: "base", attn: false, groups: 8 }, { model: "base", attn: false }],
    [
      { model: `./mine.ts@sha256:${digest}:hidden=128,attn=true`, lr: 1 },
      { model: "mine.ts", "model-sha256": digest, hidden: "128", attn: "true", lr: 1 },
    ],
  ];
  for (const [config, params] of cases) {
    assert.deepEqual(settingsOf({ ...record, parameterCount: 7, dataset }, config), { ...params, ...facts });
  }
});

testInFolder("describeRun() includes settings, code, data and results, with names escaped", async (run) => {
  const write = (name: string, ...lines: object[]) =>
    Deno.writeTextFile(join(run, name), lines.map((line) => JSON.stringify(line) + "\n").join(""));
  await write("config.json", { model: "base", filters: [4, 8], lr: 0.5, name: "x", mlflow: "z", data: null });
  await write("environment.json", { gitCommit: "0123456789abcdef", codeDigest: "ab" });
  const measured = { step: 7, elapsed_seconds: 90, test_loss: 0.123456 };
  await write("metrics.jsonl", measured, { step: 6, val_loss: "NaN", test_loss: 9 });
  assert.deepEqual((await describe.latestOf(run, 5)).test_loss, { value: 0.123456, step: 7, time: 5 });
  // A day, most of which the run may have been stopped.
  const ended = { ...record, status: "FINISHED", endedAt: 864e5, parameterCount: 1234 } as const;
  const { params, tags } = await describeRun(run, ended, "r1");
  assert.deepEqual(valuesOf(params), { model: "base", filters: "[4,8]", lr: "0.5", parameters: "1234" });
  const { "mlflow.note.content": note, ...others } = valuesOf(tags);
  assert.deepEqual(note.split("\n\n"), [
    "**base U-Net**, channels 4, 8, 1,234 parameters",
    "The run finished after 1.5 minutes: test loss 0.1235 at step 7, validation loss NaN at step 6.",
    "![samples](get-artifact?path=samples.png&run_uuid=r1)",
    `Run folder \`${run}\``,
  ]);
  assert.deepEqual([others["mlflow.source.git.commit"], others.code_digest], ["0123456789abcdef", "ab"]);
  assert.equal("flow.failure" in others, false);
  for (const name of ["config.json", "metrics.jsonl"]) await Deno.remove(join(run, name));
  const failed = { ...record, status: "FAILED", endedAt: 60_001, reason: "no <b>" } as const;
  const why = valuesOf((await describeRun(run, failed)).tags);
  assert.equal(why["flow.failure"], "no <b>");
  const says = /^\*\*a \\\*run\\\*\*\*\n\nThe run failed after 1.0 minutes: no \\<b\\>\.\n/;
  assert.match(why["mlflow.note.content"], says);

  const classes = { channels: 3, classes: 2, classNames: ["a", "b"] };
  const cases: [Partial<Dataset>, number[], object][] = [
    [{}, [-1, 4, 5], { channels: 1 }],
    [classes, [-1, 3, 4, 5], classes],
  ];
  for (const [change, shape, facts] of cases) {
    const { inputs: [input] } = await describeRun(run, { ...record, dataset: { ...dataset, ...change } });
    assert.deepEqual(JSON.parse(input.dataset.profile), { ...counts, ...facts, sha256: "ab" });
    const { features, targets } = JSON.parse(input.dataset.schema).mlflow_tensorspec;
    assert.deepEqual(JSON.parse(features)[0]["tensor-spec"].shape, shape);
    assert.equal(targets !== undefined, "classes" in facts, "only data with classes has targets");
  }
});

testInFolder("findRun() finds a run by folder, file or name, or suggests others", async (root) => {
  const folderOf = (name: string) => join(root, name);
  const [first, second, third] = ["20260101-090000-a", "20260102-090000-a.b", "20260103-090000-a"];
  const names = { [third]: third, [first]: first, [second]: "shown in MLflow", y: "given", z: "given" };
  const starts: Record<string, number> = { [first]: 1, [second]: 2, [third]: 3, y: 2, z: 1 };
  for (const [folder, name] of Object.entries(names)) {
    await writeRun(folderOf(folder), { name, startedAt: starts[folder] });
  }
  const found = { "a.b": second, "shown in MLflow": second, a: third, [first]: first, given: "y", z: "z" };
  for (const [name, folder] of Object.entries(found)) {
    assert.equal(await findRun(name, root), folderOf(folder), name);
  }
  await Deno.mkdir(folderOf("z/weights"));
  await Deno.writeTextFile(folderOf("z/weights/step"), "");
  for (const path of ["z", "z/run.json", "z/weights/step"]) {
    assert.equal(await findRun(folderOf(path), root), folderOf("z"));
  }
  await writeRun(folderOf("x"), { name: "a", startedAt: 0 });
  assert.equal(await findRun("a", root), folderOf("x"), "a whole name comes first");
  const file = folderOf("net.safetensors");
  await Deno.writeTextFile(file, "");
  for (const [name, why] of [[file, "it is a file outside of a run"], ["runs/given", "there is no such "]]) {
    const begin = `Cannot find the run ${name}: ${why}`;
    await assert.rejects(findRun(name, root), ({ message }: Error) => message.startsWith(begin));
  }
  assert.equal(nearestOf("runs/b", upTo(11).map(String)), " (see ./denow task runs)");
  assert.equal(nearestOf("runs/b", ["runs/bb", "other"]), " (did you mean runs/bb?)");
});

const usual = { experiment: "x", status: "FINISHED", startedAt: 0, endedAt: 60_000 } as const;
const run = (key: string, name: string, metrics: Record<string, number> = {}, params = {}): RunSummary => {
  return { ...usual, key, name, params, metrics };
};
const cellsOf = (table: string) => table.split("\n").map((row) => row.trim().split(/ +/));

Deno.test("tables of runs fit 80 columns, and count minutes of training", () => {
  const metrics = { test_loss: 0.12345, "eval/vgg/frechet_shrunk": 1, elapsed_seconds: 90 };
  const runs = ["residual", "base"].map((name, i): RunSummary => {
    const key = `20261129-11363${i}-${name}`;
    const params = { model: name, filters: [16, 32, 64], data: `/home/somebody/photos/of/many/kinds/${i}` };
    return { ...run(`runs/${key}`, key, metrics, params), dataset: { name: "photos" } };
  });
  const [list, comparison] = [listTable(runs, 80), compareTable(runs, true, 80)];
  for (const table of [list.split("\nLosses")[0], comparison]) {
    assert.ok(table.split("\n").every(({ length }) => length <= 80), table);
  }
  assert.deepEqual(cellsOf(list).slice(0, 2), [
    ["run", "status", "minutes", "network", "data", "test_loss"],
    ["20261129-113630-residual", "FINISHED", "1.5", "residual", "photos", "0.1235"],
  ]);
  // On a narrow terminal only the columns of most weight are left; below 9, data goes last.
  assert.deepEqual(cellsOf(listTable(runs, 55))[0], ["run", "status", "network", "data"]);
  const narrow = listTable(runs, 46);
  assert.deepEqual(cellsOf(narrow)[0], ["run", "status", "network"]);
  assert.ok(!narrow.includes("photos"), "data is not in a second part either");
  const [stamps, names, , minutes] = cellsOf(comparison);
  assert.deepEqual([stamps, names], [["20261129-113630", "20261129-113631"], ["residual", "base"]]);
  assert.deepEqual(minutes, ["minutes", "1.5", "1.5"]);
});

Deno.test("showTable() describes a run, then lists its metrics, settings and files", () => {
  const params = { model: "residual", filters: [16, 32], teacher: "runs/a" };
  const described = { ...run("runs/b", "few", { elapsed_seconds: 90 }, params), dataset: { name: "photos" } };
  const [about, metrics, settings, files] = showTable(described, ["metrics.jsonl"]).split("\n\n");
  assert.deepEqual(cellsOf(about).map(([name]) => name), [
    ..."run name experiment status started minutes network data".split(" "),
  ]);
  assert.match(about, /network +residual map$/m);
  assert.deepEqual(cellsOf(metrics), [["Latest", "metrics"], ["elapsed_seconds", "90"]]);
  assert.deepEqual(cellsOf(settings).map(([name]) => name), ["Settings", "model", "filters", "teacher"]);
  assert.match(files, /^Files\n +metrics\.jsonl +losses/);
});

Deno.test("compareTable() names the runs that weights are from", () => {
  const init = (name: string) => `${"long/".repeat(9)}${name}@sha256:${"0a1b2c3d".repeat(8)}`;
  const runs = [
    run("runs/a", "given", {}, { init: init("first") }),
    run("runs/b", "given", {}, { init: init("second") }),
  ];
  const last = cellsOf(compareTable(runs)).at(-1)!;
  assert.match(last.join(" "), /^init \S+\/first@0a1b2c3d \S+\/second@0a1b2c3d$/);
});

Deno.test("compareTable() shows the ten figures and the settings that differ, or all metrics", () => {
  const numbers = upTo(11);
  const metricsOf = (scale: number) => ({
    ...{ learning_rate: 1 + scale, "eval/frechet": 3 },
    ...Object.fromEntries(numbers.map((n) => [`m${n}`, (n % 2 ? -1 : 1) * (1 + scale * n)])),
    ...{ "eval/frechet_low": 2 - scale, test_loss: 1 + 99 * scale },
  });
  const params = { lr: 1, filters: [4, 8], normalize: "0..1" };
  const runs = [
    run("runs/a", "given", metricsOf(0), params),
    run("runs/b", "given", metricsOf(1), { ...params, lr: 2, normalize: "-1..1" }),
    run("runs/c", "given", { m10: NaN }, params),
  ];
  const rows = (isAll: boolean) => cellsOf(compareTable(runs, isAll));
  const [heading, , , ...figures] = rows(false);
  assert.deepEqual(heading, ["a", "b", "c"], "runs of the same name are told apart");
  const shown = ["test_loss", ...numbers.slice(2).map((n) => `m${n}`)];
  assert.deepEqual(figures.slice(0, 10).map(([name]) => name), shown);
  const [empty, , ...settings] = figures.slice(10).map((row) => row.join(" "));
  assert.deepEqual([empty, ...settings.slice(0, 3)], [
    ...["", "lr 1 2 1", "normalize 0..1 -1..1 0..1"],
    "The 10 figures that differ most; 5 more metrics with --all",
  ]);
  assert.match(settings[3], /^Losses of these runs are not comparable \(--normalize is 0/);
  const first = ["test_loss", "eval/frechet", "eval/frechet_low"];
  const all = [...first, ...numbers.map((n) => `m${n}`), "learning_rate"];
  assert.deepEqual(rows(true).slice(3, 3 + all.length).map(([name]) => name), all);
});
