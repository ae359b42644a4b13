import { init } from "../kernels/mod.ts";
import { loadCheckpoint } from "../models/mod.ts";
import { encodeNpy } from "../models/files/npy.ts";
import { reasonOf } from "./run/atomic_write.ts";
import { runTask } from "./program/command.ts";
import { checkGrid, samplesPng } from "./draw/sample_grid.ts";
import { drawSamplesInBatches } from "./draw/samples.ts";
import { ProgressBar } from "./program/progress.ts";
import { RunError, writeAtomic } from "./run/run_folder.ts";
import { resolveSampleConfig, sampling } from "./settings/tasks/sample.ts";
import { print, say } from "./terminal/output.ts";

await runTask(async () => {
  const flags = sampling.parse(Deno.args);
  if (flags.help) {
    print(sampling.help("deno task sample"));
    return;
  }
  const { checkpoint, count, seed, solver, steps, columns, out, device: choice, threads } =
    resolveSampleConfig(flags);
  const bytes = await readFile(checkpoint);
  const device = await init({ device: choice, threads });
  const { model, info: { normalization }, shape } = loadCheckpoint(bytes, checkpoint);
  if (!out.endsWith(".npy")) checkGrid(count, shape);
  const started = performance.now();
  const bar = new ProgressBar({ totalSteps: count, imagesPerStep: 1 });
  const drawing = { count, seed, solver, steps };
  const pixels = await drawSamplesInBatches(
    { model, normalization, shape },
    drawing,
    (done) => bar.update(done),
  ).catch((error) => {
    throw error instanceof RunError ? new RunError(`${error.message} (${checkpoint})`) : error;
  }).finally(() => bar.clear());
  const seconds = (performance.now() - started) / 1000;
  await writeAtomic(
    out,
    out.endsWith(".npy") ? encodeNpy([count, ...shape], pixels) : samplesPng(pixels, count, shape, columns),
  );
  say(`${count} samples in ${seconds.toFixed(1)} s on ${device.description}: ${out}`);
  device.close();
});

async function readFile(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new RunError(`Cannot read the checkpoint ${path}: ${reasonOf(error)}`);
  }
}
