import assert from "node:assert/strict";
import { join } from "node:path";
import { writeResults } from "../../../experiments/study/write_results.ts";
import { init, withDevice } from "../../../kernels/mod.ts";
import { dataIn } from "../../viz/report/page_content.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { readGif } from "../../viz/image/gif_reading.ts";
import {
  goldenTable,
  judgedTwice,
  type MadeUpSetup,
  twoNetworks,
  writeMadeUpStudy,
} from "./made_up_study.ts";

const device = await init({ device: "cpu" });
const files = { read: true, write: true } as const;

function testStudy(
  name: string,
  setups: readonly MadeUpSetup[],
  test: (folder: string) => Promise<void>,
): void {
  testNeeding(files, name, () =>
    withFolder(async (folder) => {
      await withDevice(device, () => writeMadeUpStudy(folder, setups));
      await test(folder);
    }));
}

const textIn = (folder: string, name: string) => Deno.readTextFile(join(folder, name));

/** Writes results, and lists the files other than those of the study itself. */
async function written(folder: string) {
  const { problems, conclusion } = await withDevice(device, () => writeResults(folder));
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  const files = names.filter((name) => !["cells", "study.json"].includes(name)).sort();
  const results = JSON.parse(await textIn(folder, "results.json"));
  return { files, problems, conclusion, results };
}

testStudy("writeResults() writes every file of results", judgedTwice, async (folder) => {
  const { files, problems, conclusion, results } = await written(folder);
  assert.deepEqual(files, [
    ...["comparison.gif", "figure.html", "figure.png", "figure.svg", "report.html", "results.json"],
    ...["table.csv", "table.md"],
  ]);
  assert.equal(await textIn(folder, "table.md"), await Deno.readTextFile(goldenTable));
  assert.deepEqual([results.unfinished, problems, results.problems], [[], [], []]);
  assert.deepEqual(results.conclusion, conclusion);
  assert.deepEqual(results.setups[0].figures.frechet.values, [24, 25.1, 23.9]);
  const [, ...lines] = (await textIn(folder, "table.csv")).trimEnd().split("\n");
  const frechet = lines.filter((line) => line.includes(",frechet,")).map((line) => line.split(","));
  assert.deepEqual(frechet.map(([setup, minus, , seeds]) => [setup, minus, seeds]), [
    ["base", "", "1 2 3"],
    ["residual", "", "1 2 3"],
    ["residual", "base", "1 2 3"],
  ]);
  assert.deepEqual(frechet[0].at(-1), "24 25.1 23.9");

  const { frames } = readGif(await Deno.readFile(join(folder, "comparison.gif")));
  assert.equal(frames.length, 40);
  assert.match(await textIn(folder, "figure.svg"), /^<svg .*residual.*<\/svg>$/s);
  const report = await textIn(folder, "report.html");
  const payload = dataIn(report);
  assert.equal(payload.runs.length, 6);
  assert.deepEqual(payload.comparison!.runs, [0, 3], "one run of each setup, both of one seed");
  assert.equal(payload.comparison!.points.length, 2);
  assert.match(report, /<h1>Study networks<\/h1>/);
});

testStudy(
  "writeResults() writes the tables even if no run is finished or one is damaged",
  twoNetworks.map((setup) => ({ ...setup, frechet: [undefined, 20] })),
  async (folder) => {
    const run = join(folder, "cells", "base-s2");
    await Deno.writeTextFile(join(run, "flow", "sample_1.safetensors"), "damaged");
    const damaged = await written(folder);
    const figures = ["figure.html", "figure.png", "figure.svg"];
    assert.deepEqual(damaged.files, [...figures, "results.json", "table.csv", "table.md"]);
    const bytes = () => Promise.all(damaged.files.map((name) => Deno.readFile(join(folder, name))));
    const before = await bytes();
    await written(folder);
    assert.deepEqual(await bytes(), before, "the same again");
    assert.deepEqual(damaged.results.unfinished, ["base-s1", "residual-s1"]);
    assert.match(damaged.problems[0], /^No comparison\.gif: Cannot read .*sample_1\.safetensors/);
    assert.match(damaged.problems[1], /^No report\.html: /);
    await Deno.remove(run, { recursive: true });
    const { files } = await written(folder); // one setup cannot be compared
    assert.deepEqual(files, [...figures, "report.html", "results.json", "table.csv", "table.md"]);
    for (const name of [...figures, "report.html"]) await Deno.remove(join(folder, name));
    await Deno.remove(join(folder, "cells", "residual-s2"), { recursive: true });
    const none = await written(folder);
    assert.deepEqual(none.files, ["results.json", "table.csv", "table.md"]);
    assert.match(`${none.conclusion[0]}`, /0 of 4 runs finished/);
  },
);

testStudy("writeResults() writes everything else if weights are damaged", twoNetworks, async (folder) => {
  for await (const { name } of Deno.readDir(join(folder, "cells"))) {
    const path = join(folder, "cells", name, "ema.safetensors");
    const bytes = await Deno.readFile(path);
    new DataView(bytes.buffer).setFloat32(bytes.length - 4, NaN, true);
    await Deno.writeFile(path, bytes);
  }
  const { files, problems } = await written(folder);
  assert.ok(files.includes("comparison.gif") && !files.includes("report.html"), `${files}`);
  assert.match(problems.join("\n"), /^No report\.html: Cannot load .*\.safetensors: .* is NaN/m);
});
