/**
 * `deno run [--allow-read=docs --allow-write=docs] tests/bench/scaling.ts [--json] [--device webgpu|cpu] [--model
 * residual|base] [--vary preset|batch|width|size|threads ...] [--threads N] [--seconds 2] [--minutes 6] [--out docs]`:
 * time and memory of a training step for the presets, and for varying batch, width, image size and threads, one at a
 * time.
 *
 * Without `--device` it measures the CPU device and, with an adapter, WebGPU. The presets come first; rows that would
 * start after `--minutes` are skipped. `--out DIR` writes the tables to DIR/scaling.md, with numbers and picture next
 * to it.
 */
import { join } from "node:path";
import { writeAtomic } from "../../experiments/run/run_folder.ts";
import { type Device, DeviceError, init } from "../../kernels/mod.ts";
import { encodeRasterPng } from "../../viz/image/png.ts";
import { rasterizer } from "../../viz/image/raster.ts";
import { commonFlags, count, flagValues, oneOf, openDevice } from "./flags.ts";
import { Reporter } from "./report.ts";
import { measureRow, type Point } from "./scaling/measure.ts";
import { picture } from "./scaling/picture.ts";
import { axes, type Kind, rowsOf } from "./scaling/rows.ts";
import { type Scaling, tables, withTables } from "./scaling/table.ts";

const { json, threads } = commonFlags;
const values = flagValues({
  ...{ json, threads },
  device: { type: "string" },
  model: { type: "string", default: "residual" },
  vary: { type: "string", multiple: true, default: [...axes] },
  seconds: { type: "string", default: "2" },
  minutes: { type: "string", default: "6" },
  out: { type: "string" },
});
const seconds = count("seconds", values.seconds);
const untilMs = performance.now() + 60_000 * count("minutes", values.minutes);
const model = oneOf("model", values.model, ["base", "residual"]);
const varied = values.vary.map((word) => oneOf("vary", word, axes));

const probes: Device[] = values.device === undefined
  ? [await openDevice("cpu", values.threads), ...await anyWebGpu()]
  : [await openDevice(oneOf("device", values.device, ["webgpu", "cpu"]), values.threads)];
const devices = Object.fromEntries(probes.map(({ kind, description }) => [kind, description]));
const reporter = new Reporter(Object.values(devices).join("; "), values.json);
const points: Point[] = [];
const leftOut: string[] = [];
const jobs = probes.flatMap(({ kind, tuning: { software } }) =>
  rowsOf({ kind, software }, model, navigator.hardwareConcurrency).map((row) => ({ kind, row }))
).filter(({ row: { axis } }) => varied.includes(axis));
for (const probe of probes) probe.close();
const first = ({ row: { axis } }: typeof jobs[number]) => Number(axis === "preset");
for (const { kind, row } of jobs.toSorted((a, b) => first(b) - first(a))) {
  if (performance.now() > untilMs) {
    leftOut.push(`${kind}: ${row.axis} ${row.label}`);
    continue;
  }
  const threads = row.threads === undefined ? values.threads : String(row.threads);
  const device = await openDevice(kind, threads); // one per row, to free its memory
  const point = await measureRow(device, row, { model, seconds });
  device.close();
  points.push(point);
  report(kind, point);
}
const scaling: Scaling = { model, devices, points, leftOut };
reporter.note(`\n${tables(scaling)}`);
reporter.end();
if (values.out !== undefined) await write(values.out, scaling);

/** The WebGPU device, if there is one. */
async function anyWebGpu(): Promise<Device[]> {
  try {
    return [await init({ device: "webgpu" })];
  } catch (error) {
    if (error instanceof DeviceError) return [];
    throw error;
  }
}

function report(
  kind: Kind,
  { axis, label, batchSize, milliseconds, imagesPerSecond, ...memory }: Point,
): void {
  const name = `${kind}, ${axis} ${label}: train ${model}, batch ${batchSize}`;
  reporter.add({ name, milliseconds, rate: imagesPerSecond, unit: "images/s" });
  reporter.fact(`planned memory, ${name}`, memory.plannedBytes / 2 ** 20, "MiB");
}

/** Writes tables, numbers and picture. */
async function write(folder: string, scaling: Scaling): Promise<void> {
  const page = join(folder, "scaling.md");
  const text = withTables(await Deno.readTextFile(page), scaling);
  const svg = picture(scaling);
  await writeAtomic(join(folder, "scaling.png"), encodeRasterPng((await rasterizer())(svg, 1.5)));
  await writeAtomic(join(folder, "scaling.json"), JSON.stringify(scaling, null, 2) + "\n");
  await writeAtomic(page, text);
  reporter.note(`\nwritten to ${page}, scaling.json and scaling.png beside it`);
}
