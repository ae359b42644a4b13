import assert from "node:assert/strict";
import { join } from "node:path";
import {
  findListed,
  findRun,
  listRuns,
  nearestOf,
  type RunSummary,
  summarizeRun,
} from "../../../experiments/tracking/find_run.ts";
import { newRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { recordComparison } from "../../../experiments/compare.ts";
import { compareTable, listTable, showTable } from "../../../experiments/tracking/run_tables.ts";
import { storedRuns } from "../../../experiments/tracking/stored_runs.ts";
import { testInFolder } from "../../folder.ts";
import { FakeMlflow, testOnFake } from "./fake_mlflow.ts";

async function makeRun(folder: string, name: string, startedAt: number): Promise<void> {
  await Deno.mkdir(folder);
  const record = newRecord({ name, experiment: "x", source: "a test", startedAt });
  await writeRecord(folder, { ...record, status: "FINISHED", endedAt: startedAt });
}

testInFolder(
  "findRun() finds the latest run with a name in any folder, and no copy in a comparison",
  async (root) => {
    const found = async () => {
      const listed = findListed(await listRuns(root), "given", root)?.key;
      assert.equal(listed, await findRun("given", root));
      return listed;
    };
    await makeRun(join(root, "z"), "given", 1);
    await makeRun(join(root, "a"), "given", 2);
    assert.equal(await found(), join(root, "a"));
    for (const name of ["z", join(root, "z")]) assert.equal(await findRun(name, root), join(root, "z"));
    const comparison = await recordComparison([join(root, "a")], { root, startedAt: new Date() });
    assert.equal(await found(), join(root, "a"));
    await Deno.remove(join(root, "a"), { recursive: true });
    await Deno.remove(join(root, "z"), { recursive: true });
    assert.equal(await found(), join(comparison, "a"), "the copy is all that is left");
  },
);

testInFolder("findRun() explains why a name is no run, and lists the known names", async (root) => {
  const file = join(root, "net.safetensors");
  await Deno.writeTextFile(file, "");
  await makeRun(join(root, "a"), "given", 1);
  const cases = {
    [file]:
      "it is a file (expected the folder of a run; tasks that take weights alone take them as --checkpoint FILE)",
    other: `there is no such folder (there are ${join(root, "a")})`,
    "": `there is no such folder (there are ${join(root, "a")})`,
  };
  for (const [name, why] of Object.entries(cases)) {
    await assert.rejects(findRun(name, root), {
      name: "ConfigError",
      message: `Cannot find the run ${name}: ${why}`,
    });
  }
  assert.equal(nearestOf("runs/b", Array.from({ length: 11 }, (_, i) => `${i}`)), " (see deno task runs)");
  assert.equal(nearestOf("runs/b", ["runs/bb", "other"]), " (did you mean runs/bb?)");
});

testOnFake(
  "storedRuns() reads the runs of an experiment on a server, and their files",
  () => undefined,
  async (server) => {
    const choice = { from: "server", mlflow: server.url, root: "runs", experiment: "mine" } as const;
    await assert.rejects(storedRuns(choice), {
      name: "ServerError",
      message: `${server.url} has no experiment mine`,
    });
    const tags = [{ key: "flow.stands_for", value: "its id" }];
    const params = [{ key: "lr", value: "0.5" }, { key: "empty" }];
    const metrics = [{ key: "loss", value: "NaN" }, { key: "rate", value: 2 }];
    server.answer = ({ path, body }) => {
      if (path.includes("get-by-name?experiment_name=mine")) {
        return Response.json({
          experiment: { experiment_id: "5" },
        });
      }
      if (path.endsWith("runs/search") && JSON.parse(body).experiment_ids[0] === "5") {
        return Response.json({
          runs: [
            FakeMlflow.run({ run_name: "given", start_time: 1 }, { params, metrics }),
            FakeMlflow.run({ run_id: "r2", run_name: "given", start_time: 2 }, { tags }),
          ],
        });
      }
      if (path.includes("artifacts/list?run_id=r1")) {
        return Response.json({
          files: [{ path: "b" }, { path: "a" }],
        });
      }
      return path.endsWith("/artifacts/1/r1/artifacts/a") ? new Response("content") : undefined;
    };
    const { runs, place } = await storedRuns(choice);
    assert.equal(place, `experiment mine of ${server.url}`);
    const [{ files, read, ...summary }] = runs;
    assert.deepEqual(summary, {
      key: "r1",
      name: "given",
      experiment: "mine",
      status: "RUNNING",
      startedAt: 1,
      endedAt: null,
      params: { lr: "0.5", empty: "" },
      metrics: { loss: NaN, rate: 2 },
    });
    assert.equal(findListed(runs, "given")?.key, "r1", "the other is a copy in a comparison");
    assert.equal(findListed(runs, "r2")?.key, "r2");
    assert.deepEqual(await files(), ["a", "b"]);
    assert.equal(new TextDecoder().decode(await read("a")), "content");
  },
);

testInFolder(
  "listTable() and compareTable() count minutes of training, not of the wall clock",
  async (root) => {
    const day = 24 * 3600e3;
    const cases = { resumed: [day, 90], jumped: [-day, 150], untrained: [-day, undefined] } as const;
    const folders: string[] = [];
    for (const [name, [after, seconds]] of Object.entries(cases)) {
      const folder = join(root, name);
      await makeRun(folder, "a run", day);
      const record = newRecord({ name, experiment: "x", source: "a test", startedAt: day });
      await writeRecord(folder, { ...record, status: "FINISHED", endedAt: day + after });
      const line = { step: 1, train_loss: 1, elapsed_seconds: seconds };
      if (seconds) await Deno.writeTextFile(join(folder, "metrics.jsonl"), `${JSON.stringify(line)}\n`);
      folders.push(folder);
    }
    const runs = await Promise.all(folders.map(summarizeRun));
    const minutes = compareTable(runs).split("\n").find((line) => line.includes("minutes"));
    assert.deepEqual(minutes!.trim().split(/ +/), ["minutes", "1.5", "2.5"]);
    assert.doesNotMatch(listTable(runs), /1440/);
  },
);

const run = (key: string, name: string, metrics: Record<string, number> = {}, params = {}): RunSummary => ({
  key,
  name,
  experiment: "x",
  status: "FINISHED",
  startedAt: 0,
  endedAt: 60_000,
  params,
  metrics,
});

Deno.test("showTable() rounds fractions, but never integer digits", () => {
  const metrics = {
    images: 1_234_567,
    rate: 12_345.6,
    loss: 0.123456,
    small: 1.23456e-7,
    none: NaN,
    less: -98_765.4,
  };
  const [, shown] = showTable(run("runs/a", "a", metrics), []).split("Latest metrics\n");
  const rows = shown.split("\n\n")[0].split("\n");
  assert.deepEqual(rows.map((row) => row.trim().split(/ +/)), [
    ["images", "1234567"],
    ["rate", "12346"],
    ["loss", "0.1235"],
    ["small", "1.235e-7"],
    ["none", "NaN"],
    ["less", "-98765"],
  ]);
});

Deno.test("compareTable() distinguishes runs with the same name, and shows the settings that differ", () => {
  const rowsOf = (...runs: RunSummary[]) =>
    compareTable(runs).split("\n").map((row) => row.trim().split(/ +/));
  assert.deepEqual(rowsOf(run("runs/a", "given"), run("runs/b", "other"))[0], ["given", "other"]);
  const rows = rowsOf(
    run("runs/a", "given", { train_loss: 1, constructor: 2 }, { lr: 1, filters: [4, 8], normalize: "0..1" }),
    run("runs/b", "given", { train_loss: 2 }, { lr: 2, filters: [4, 8], normalize: "-1..1" }),
  );
  assert.deepEqual(rows.slice(0, 7), [
    ["runs/a", "runs/b"],
    ["status", "FINISHED", "FINISHED"],
    ["minutes", "1.0", "1.0"],
    ["train_loss", "1", "2"],
    ["constructor", "2"],
    ["lr", "1", "2"],
    ["normalize", "0..1", "-1..1"],
  ]);
  assert.match(
    rows[7].join(" "),
    /^Losses of these runs are not comparable: --normalize is 0\.\.1 or -1\.\.1/,
  );
});
