import assert from "node:assert/strict";
import { compareTable, showTable } from "../../../experiments/tracking/run_tables.ts";
import type { RunSummary } from "../../../experiments/tracking/store.ts";

const run = (key: string, name: string, metrics: Record<string, number> = {}): RunSummary => ({
  ...{ key, name, experiment: "x", status: "FINISHED", startedAt: 0, endedAt: 60_000 },
  ...{ params: {}, metrics },
});

Deno.test("showTable() rounds fractions, and never what stands before the point", () => {
  const metrics = {
    images: 1_234_567,
    rate: 12_345.6,
    loss: 0.123456,
    small: 1.23456e-7,
    none: NaN,
    less: -98_765.4,
  };
  const rows = showTable(run("runs/a", "a", metrics), []).split("Latest metrics\n")[1].split("\n\n")[0].split(
    "\n",
  );
  assert.deepEqual(rows.map((row) => row.trim().split(/ +/)), [
    ["images", "1234567"],
    ["rate", "12346"],
    ["loss", "0.1235"],
    ["small", "1.235e-7"],
    ["none", "NaN"],
    ["less", "-98765"],
  ]);
});

Deno.test("compareTable() tells runs of one name apart by their folders", () => {
  const heads = (...runs: RunSummary[]) => compareTable(runs).split("\n")[0].trim().split(/ +/);
  assert.deepEqual(heads(run("runs/a", "given"), run("runs/b", "other")), ["given", "other"]);
  assert.deepEqual(heads(run("runs/a", "given"), run("runs/b", "given")), ["runs/a", "runs/b"]);
});
