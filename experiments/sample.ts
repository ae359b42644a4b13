import { init } from "../kernels/mod.ts";
import { encodeNpy } from "../models/files/npy.ts";
import { runTask } from "./program/command.ts";
import { guidedCostSuffix, readAutoguidance } from "./draw/conditioning.ts";
import { requestedImages } from "./draw/requested_images.ts";
import { loadNetwork, readWeights } from "./draw/load_network.ts";
import { checkGrid, samplesPng } from "./draw/sample_grid.ts";
import { costInWords, drawSamplesInBatches, solvingError } from "./draw/samples.ts";
import { ProgressBar } from "./program/progress.ts";
import { checkFolderOf, writeAtomic } from "./run/atomic_write.ts";
import { guidanceWithoutLabels } from "./settings/tasks/train.ts";
import { resolveSampleConfig, sampling } from "./settings/tasks/sample.ts";
import { print, say } from "./terminal/output.ts";

await runTask(async () => {
  const flags = sampling.parse(Deno.args);
  if (flags.help) {
    print(sampling.help("deno task sample"));
    return;
  }
  const config = resolveSampleConfig(flags);
  const { seed, chosen, out, device: choice, threads } = config;
  await checkFolderOf(out);
  const { path, bytes, run } = await readWeights(config.checkpoint);
  const device = await init({ device: choice, threads });
  const { model, info, shape } = loadNetwork(bytes, path, config);
  const classes = info.config.classes ?? 0;
  const autoguidance = classes === 0 && run !== undefined
    ? await readAutoguidance(run, config.guidance ?? guidanceWithoutLabels)
    : undefined;
  const { count, columns, conditioning, guided, words } = requestedImages(config, {
    classes,
    autoguidance,
    source: path,
  });
  const isArray = out.endsWith(".npy");
  if (!isArray) checkGrid(count, shape);
  const started = performance.now();
  const bar = new ProgressBar({ totalSteps: count, imagesPerStep: 1 });
  const asSeen = isArray && config.values === "network";
  const { pixels: values, ...cost } = await drawSamplesInBatches(
    {
      model,
      shape,
      normalization: asSeen ? { scale: 1, shift: 0 } : info.normalization,
      autoguidance,
    },
    { count, seed, conditioning },
    chosen.how.method === "stochastic" ? { ...chosen.how, seed } : chosen.how,
    (done) => bar.update(done),
  ).catch((error) => {
    throw solvingError(error, path);
  }).finally(() => bar.clear());
  const seconds = (performance.now() - started) / 1000;
  const file = isArray ? encodeNpy([count, ...shape], values) : samplesPng(values, count, shape, columns);
  await writeAtomic(out, file);
  const twice = guided ? guidedCostSuffix(conditioning) : "";
  say(
    `${count} samples${words}, ${chosen.words}, ${costInWords(cost)}${twice}, in ${
      seconds.toFixed(1)
    } s on ` +
      `${device.description}: ${out}`,
  );
  device.close();
});
