import { loadDataset } from "./data/load_dataset.ts";
import { checkNoClass, formatGuidance, guidanceOf, runsTwice } from "./draw/conditioning.ts";
import { checkFit, openNetwork } from "./draw/load_network.ts";
import { formatCost, solvingError } from "./draw/samples.ts";
import { drawStarts, findEnds, formatLoss } from "./draw/ends.ts";
import { planMorph } from "./draw/plan_morph.ts";
import { say } from "./cli/output.ts";
import { ProgressBar } from "./cli/progress.ts";
import { main, task } from "./cli/task.ts";
import { checkFolderOf, writeAtomic } from "./run/run_folder.ts";
import { checkpoint, describing, describingHeading, guiding, namedWeights } from "./cli/drawing.ts";
import { classList, imageList, integer, number, optional, outputFile } from "./cli/kinds.ts";
import { ConfigError, type Need, type Values } from "./cli/setting.ts";
import { optionalDataSettings } from "./cli/data.ts";
import { defineSettings } from "./cli/settings.ts";
import { type ChosenSolver, makeSolver, solverSetting } from "./cli/solver.ts";
import { training } from "./cli/training.ts";
import { readConfig } from "./cli/training_config.ts";

const usualFrames = { png: 9, gif: 30 };

const testImages: Need = { words: "test images, --from or --to", met: ({ from, to }) => Boolean(from || to) };
const betweenImages: Need = {
  words: "no --class, which draws one image per class",
  met: (config) => config.class === null,
};

/** Settings of `deno task morph`. */
const morphing = defineSettings({
  checkpoint,
  ...optionalDataSettings(
    "data set of the test images, as for train (default: the run's, or MNIST)",
    testImages,
    { words: "--data", met: ({ data }) => data !== null },
  ),
  from: imageList("test images to start from, by number from 0 or by class (default: noise from the seed)"),
  to: {
    ...imageList("test images to end at, one for each start (default: noise from the seed)"),
    needs: {
      ...betweenImages,
      words: "no --class, which maps each image back from its own noise",
    },
  },
  class: classList("map each image to noise and back under these classes instead"),
  count: integer({
    doc: "rows if no test images are given",
    min: 1,
    max: 10_000,
    default: 5,
    needs: {
      words: "no --from or --to, which give one row per image",
      met: (config) => !testImages.met(config),
    },
  }),
  seed: integer({
    doc: "seed of the noise",
    max: 2 ** 32 - 1,
    default: 0,
    needs: {
      words: "random noise (no image at one end, or --entry below 1)",
      met: ({ from, to, class: classes, entry }) => !(from && (to || classes) && entry === 1),
    },
  }),
  entry: number({
    doc: "time t at which test images enter the flow, mixed with that time's noise; 1 = no noise",
    above: 0,
    max: 1,
    default: 0.95,
    needs: testImages,
  }),
  solver: solverSetting({ doc: "solver of the flow", default: "heun:steps=20", use: "backward" }),
  ...guiding,
  frames: optional(integer({
    doc: `frames, both ends included (default: ${usualFrames.png}, or ${usualFrames.gif} in a .gif)`,
    min: 2,
    max: 1000,
    needs: betweenImages,
  })),
  out: outputFile([".png", ".gif"], {
    doc: "all images as a picture (.png), or an animation (.gif)",
    default: "morph.png",
  }),
  device: training.rows.device,
  threads: training.rows.threads,
  ...describing,
}, {
  from: "Ends",
  solver: "Solver",
  frames: "Output",
  model: describingHeading,
});

type MorphConfig = Omit<Values<typeof morphing.rows>, "frames"> & {
  readonly checkpoint: string;
  readonly frames: number;
  readonly chosen: ChosenSolver;
};

/** @throws {ConfigError} unless one network is named, or if a flag has no effect */
function resolve(values: Partial<Values<typeof morphing.rows>>, words: readonly string[]): MorphConfig {
  const config = morphing.resolve(values);
  const { from, to, out } = config;
  const isGif = out.endsWith(".gif");
  if (config.class && isGif) {
    throw new ConfigError(`Cannot use --out ${out}: --class draws no animation (expected a .png)`);
  }
  if (from && to && from.length !== to.length) {
    throw new ConfigError(
      `Cannot use --from ${from} with --to ${to}: these are ${from.length} and ${to.length} images (expected equal numbers)`,
    );
  }
  const frames = config.frames ?? usualFrames[isGif ? "gif" : "png"];
  const checkpoint = namedWeights(values.checkpoint, words);
  return { ...config, checkpoint, frames, chosen: makeSolver(config.solver) };
}

/** Maps images through noise to other images. */
export const morphTask = task({
  name: "morph",
  about: "Map images through noise to others: digit to digit, or one handwriting as another class",
  words: "FILE|RUN",
  settings: morphing,
  resolve,
  async run(config) {
    const { seed, entry, chosen, out } = config;
    await checkFolderOf(out);
    const { device, path, run, drawable, classes } = await openNetwork(config);
    const { count } = classes;
    if (count === 0) checkNoClass(config, path);
    const from = config.data === null && run !== undefined ? readConfig(run) : { ...config, channels: null };
    const data = config.from || config.to ? await loadDataset(from.data ?? undefined, from) : undefined;
    if (data) checkFit("morph by", path, { shape: drawable.shape, classes: count }, data);

    const guidance = guidanceOf(config, drawable.model);
    const how = [chosen.description, ...count > 0 ? [formatGuidance(guidance)] : []].join(", ");
    const network = {
      path,
      shape: drawable.shape,
      classes: { ...classes, names: data?.classNames ?? classes.names },
    };
    const morph = planMorph(config, network, data, how);
    const options = { seed, entry, guidance, how: chosen.how };
    const started = performance.now();
    const images = morph.ends.filter((end) => "image" in end).length;
    const bar = new ProgressBar({ totalSteps: images + morph.count, imagesPerStep: 1 });
    const follow = async () => {
      const test = data?.test ?? { images: new Uint8Array() };
      const subject = { drawable, classes: count };
      const ends = await findEnds(subject, morph.ends, test, options, (done) => bar.update(done));
      const starts = morph.starts(ends.found);
      const drawn = await drawStarts(drawable, starts, options, (done) => bar.update(images + done));
      return { ...ends, drawn };
    };
    const { found, cost: there, drawn } = await follow().catch((error) => {
      throw solvingError(error, path);
    }).finally(() => bar.clear());
    await writeAtomic(out, await morph.picture(found, drawn.images));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (there) say(`To noise and back: ${formatLoss(morph.returned(found, drawn.images))}`);
    const back = formatCost(drawn.cost);
    const costs = (there ? `to noise ${formatCost(there)}, from noise ${back}` : back) +
      (count > 0 && runsTwice(guidance, drawable.model) ? " with and without the class" : "");
    say(`${morph.words}, ${how}, ${costs}, in ${seconds} s on ${device.description}: ${out}`);
    device.close();
  },
});

if (import.meta.main) await main(morphTask);
