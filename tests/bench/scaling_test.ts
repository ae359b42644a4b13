import assert from "node:assert/strict";
import { withDevice } from "../../kernels/mod.ts";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { measureRow, type Point } from "./scaling/measure.ts";
import { finding, picture } from "./scaling/picture.ts";
import { axes, rowsOf, threadCounts } from "./scaling/rows.ts";
import { type Scaling, tables, withTables } from "./scaling/table.ts";
import { timeFor } from "./timing.ts";

const point: Point = {
  ...{ axis: "batch", label: "32 images", times: 1, device: "cpu", batchSize: 32, parameters: 271_249 },
  ...{ milliseconds: 80, imagesPerSecond: 400, plannedBytes: 2 ** 25, deviceBytes: 2 ** 26 },
};
const scaling: Scaling = {
  model: "residual",
  devices: { cpu: "2 threads" },
  points: [point, { ...point, label: "64 images", times: 2, batchSize: 64, milliseconds: 1601.4 }],
  leftOut: [],
};

Deno.test("timeFor() warms up, and takes the median over some seconds, or a single long step", async () => {
  let clock = 0;
  const counts: number[] = [];
  const work = (milliseconds: number) => ({
    ...{ name: "a", amount: 32, unit: "images/s" } as const,
    run(count: number) {
      counts.push(count);
      clock += count * milliseconds;
      return Promise.resolve();
    },
  });
  assert.equal((await timeFor(work(100), 1, () => clock)).milliseconds, 100);
  assert.deepEqual(counts.splice(0), [1, 1, 2, 2, 2, 2, 2]);
  assert.equal((await timeFor(work(9000), 1, () => clock)).milliseconds, 9000);
  assert.deepEqual(counts, [1, 1]);
});

Deno.test("rowsOf() varies every axis around the same middle row, and threads only on the CPU", () => {
  const rows = rowsOf({ kind: "cpu", software: true }, "base", 6);
  assert.deepEqual(new Set(rows.map(({ axis }) => axis)), new Set(axes));
  const middles = rows.filter(({ times }) => times === 1).map(({ work }) => work);
  assert.equal(middles.length, 4);
  for (const work of middles) assert.deepEqual(work, middles[0]);
  assert.ok(rowsOf({ kind: "webgpu", software: true }, "base", 6).every(({ axis }) => axis !== "threads"));
  const paper = (software: boolean) =>
    rowsOf({ kind: "webgpu", software }, "base", 6).find(({ label }) => label === "paper")?.work;
  assert.deepEqual(paper(false), { preset: "paper" });
  assert.deepEqual(paper(true), { preset: "paper", batchSize: 1 });
});

Deno.test("finding() names what costs the most time when doubled, and what costs the least", () => {
  const grown = (axis: Point["axis"], factor: number): Point[] =>
    [0.5, 2].map((times) => ({ ...point, axis, times, milliseconds: 10 * factor ** Math.log2(times) }));
  const findingOf = (...points: Point[][]) => finding({ ...scaling, points: points.flat() });
  assert.equal(
    findingOf(grown("batch", 1.5), grown("width", 4), grown("size", 2)),
    "Twice the width takes 4.0 times as long, twice the batch 1.5 times",
  );
  assert.equal(
    findingOf(grown("batch", 4), grown("width", 1.5)),
    "Twice the batch takes 4.0 times as long, twice the width 1.5 times",
  );
  assert.equal(findingOf(grown("batch", 4), [point]), undefined);
});

Deno.test("threadCounts() doubles up to all cores", () => {
  assert.deepEqual([1, 2, 6, 8, 96].map(threadCounts), [
    [1],
    [1, 2],
    [1, 2, 4, 6],
    [1, 2, 4, 8],
    [1, 2, 4, 8, 16, 32, 64],
  ]);
});

Deno.test("tables() has a table for each axis, and names skipped rows", () => {
  assert.equal(
    tables({
      ...scaling,
      points: [...scaling.points, { ...point, device: "webgpu", batchSize: 1 }],
      leftOut: ["webgpu: preset paper"],
    }),
    `- CPU: 2 threads

### Batch

|           | images in a step | CPU: step | CPU: images/s | CPU: planned | CPU: device memory | WebGPU: step | WebGPU: images/s | WebGPU: planned | WebGPU: device memory |
| --------- | ---------------- | --------- | ------------- | ------------ | ------------------ | ------------ | ---------------- | --------------- | --------------------- |
| 32 images | 32 and 1         | 80 ms     | 400           | 32 MiB       | 64 MiB             | 80 ms        | 400              | 32 MiB          | 64 MiB                |
| 64 images | 64               | 1,601 ms  | 400           | 32 MiB       | 64 MiB             |              |                  |                 |                       |

Not measured, for lack of time: webgpu: preset paper.`,
  );
});

Deno.test("withTables() replaces the text between its marks, and nothing else", () => {
  const marks = ["<!-- measured by tests/bench/scaling.ts -->", "<!-- end of what was measured -->"];
  const page = `# Title\n\n${marks[0]}\n\nold\n\n${marks[1]}\n\nend\n`;
  const written = withTables(page, scaling);
  assert.equal(written, page.replace("old", tables(scaling)));
  assert.equal(withTables(written, scaling), written);
  assert.throws(() => withTables("# Title", scaling), RangeError);
});

Deno.test("picture() draws time and memory as multiples, in a panel per axis", () => {
  const svg = picture(scaling);
  for (const word of ["batch", "time, CPU", "memory"]) assert.ok(svg.includes(word), word);
  assert.ok(!svg.includes("threads") && !svg.includes("NaN"));
});

Deno.test("measureRow() times a step and measures its memory", async () => {
  const device = await CpuDevice.open({ threads: 1 });
  const network = { model: "base", filters: [8, 16], tEmb: 8, batchSize: 4 } as const;
  const row = { axis: "width", label: "[8,16]", times: 0.5, work: { network, imageSize: 12 } } as const;
  const measured = await withDevice(device, () => measureRow(device, row, { model: "base", seconds: 0.01 }));
  assert.deepEqual([measured.axis, measured.label, measured.times, measured.device], [
    "width",
    "[8,16]",
    0.5,
    "cpu",
  ]);
  assert.ok(
    measured.milliseconds > 0 && Math.abs(measured.imagesPerSecond * measured.milliseconds - 4000) < 1,
  );
  assert.ok(measured.plannedBytes > 0 && measured.deviceBytes > measured.plannedBytes);
  device.close();
});
