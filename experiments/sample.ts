import { init } from "../kernels/mod.ts";
import { encodeNpy } from "../models/mod.ts";
import {
  type Autoguidance,
  autoguidanceInWords,
  checkNoClass,
  chosenClasses,
  type Conditioning,
  guidanceInWords,
  guidanceOf,
  guidedCostSuffix,
  readAutoguidance,
  roundToRows,
  runsTwice,
} from "./draw/conditioning.ts";
import { loadNetwork, readWeights } from "./draw/load_network.ts";
import { checkGrid, samplesPng } from "./draw/sample_grid.ts";
import { costInWords, drawSamplesInBatches, solvingError } from "./draw/samples.ts";
import { say } from "./program/output.ts";
import { ProgressBar } from "./program/progress.ts";
import { main, task } from "./program/task.ts";
import { checkFolderOf, writeAtomic } from "./run/atomic_write.ts";
import { weightsFile } from "./run/layout.ts";
import { checkGuidance, describing, describingHeading, givenGuidance, guiding } from "./settings/drawing.ts";
import { choice, classChoice, integer, path, text } from "./settings/kinds.ts";
import { ConfigError, type Values } from "./settings/setting.ts";
import { defineSettings } from "./settings/settings.ts";
import { makeSolver, solverSetting } from "./settings/solver.ts";
import { guidanceWithoutLabels, training } from "./settings/training.ts";
import { checkEffects } from "./settings/training_config.ts";

/** Settings of `deno task sample`. */
export const sampling = defineSettings({
  checkpoint: path("FILE|RUN", "weights to sample from, or a run, for its averaged weights"),
  count: integer({ doc: "images", min: 1, max: 1_000_000, default: 64 }),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  solver: solverSetting({ doc: "how the flow is solved", default: "heun:steps=20" }),
  class: classChoice("classes to draw in turn; none = unconditional (else all)"),
  ...guiding,
  guidance: {
    ...guiding.guidance,
    details: [`unlabelled networks: away from the run's early weights (else ${guidanceWithoutLabels})`],
  },
  columns: integer({ doc: "columns of the grid, 0 = one per class, or nearly square", default: 0 }),
  out: text({
    doc: "grid of the images (.png), or their values, f32[N, C, H, W] (.npy)",
    hint: "FILE",
    pattern: /.\.(png|npy)$/,
    expected: "a path that ends with .png or .npy",
    default: "grid.png",
  }),
  values: choice(["pixels", "network"], {
    doc: "values of an .npy: 0 black to 1 white, not clipped, or as the network sees them",
    default: "pixels",
  }),
  device: training.rows.device,
  threads: training.rows.threads,

  ...describing,
}, {
  solver: "Solver",
  columns: "Output",
  model: describingHeading,
});

type SampleConfig = Values<typeof sampling.rows> & {
  /** Whether the number of images may be rounded to full rows, as none was given. */
  readonly inFullRows: boolean;
};

/** @throws {ConfigError} if a setting is missing or has no effect */
function resolve(values: Partial<Values<typeof sampling.rows>>): SampleConfig {
  const config = sampling.resolve(values);
  const { device, out } = config;
  const guidance = config.class === "none" ? givenGuidance(config) : undefined;
  if (guidance !== undefined) {
    throw new ConfigError(`Cannot use ${guidance} with --class none: there is no class to guide by`);
  }
  checkGuidance(config);
  if ("threads" in values) checkEffects({ threads: config.threads }, { device });
  if ("columns" in values && out.endsWith(".npy")) {
    throw new ConfigError(
      `Cannot use --columns with --out ${out}: an array has no columns (expected a .png, or no --columns)`,
    );
  }
  if ("values" in values && !out.endsWith(".npy")) {
    throw new ConfigError(
      `Cannot use --values with --out ${out}: a picture shows pixels (expected an .npy, or no --values)`,
    );
  }
  return { ...config, inFullRows: !("count" in values) };
}

/**
 * The images that a command line requests from a network.
 *
 * @param classes number of classes, 0 if unlabelled
 * @param source name of the network's file, for errors
 * @returns their number, columns (0 for a nearly square grid) and conditioning, whether an evaluation runs two
 *   networks, and a description that follows `64 samples`
 * @throws {ConfigError} if the network lacks a class, or cannot be guided
 */
function requestedImages(
  config: SampleConfig,
  classes: number,
  autoguidance: Autoguidance | undefined,
  source: string,
): { count: number; columns: number; conditioning?: Conditioning; guided: boolean; words: string } {
  const { count, columns, class: choice } = config;
  if (classes === 0) {
    checkNoClass({ ...config, guidance: null }, source);
    if (config.guidance !== null && !autoguidance) {
      throw new ConfigError(
        `Cannot use --guidance with ${source}: its network was trained without classes, and there is no ` +
          `${weightsFile("early")} to guide it away from ` +
          "(expected the folder of a run that has one, or leave it out)",
      );
    }
    const { scale = 1 } = autoguidance ?? {};
    const words = autoguidance ? `, ${autoguidanceInWords(scale)}` : "";
    return { count, columns, guided: scale !== 1, words };
  }
  if (choice === "none") return { count, columns, guided: false, words: " without a class" };
  const chosen = chosenClasses(choice ?? "all", classes, source);
  const N = config.inFullRows ? roundToRows(count, chosen.length) : count;
  const guidance = guidanceOf(config);
  const which = chosen.length === classes ? `all ${classes} classes` : `class ${chosen.join(", ")}`;
  return {
    count: N,
    columns: columns || (chosen.length > 1 ? chosen.length : 0),
    conditioning: { labels: Uint32Array.from({ length: N }, (_, i) => chosen[i % chosen.length]), guidance },
    guided: runsTwice(guidance),
    words: ` of ${which}, ${guidanceInWords(guidance)}`,
  };
}

/** Draws images from a checkpoint or a run. */
export const sampleTask = task({
  name: "sample",
  about: "Draw images from a checkpoint",
  settings: sampling,
  resolve,
  async run(config) {
    const { seed, out, threads } = config;
    const { how, description } = makeSolver(config.solver);
    await checkFolderOf(out);
    const { path, bytes, run } = await readWeights(config.checkpoint);
    const device = await init({ device: config.device, threads });
    const { model, info, shape } = loadNetwork(bytes, path, config);
    const classes = info.config.classes ?? 0;
    const autoguidance = classes === 0 && run !== undefined
      ? await readAutoguidance(run, config.guidance ?? guidanceWithoutLabels)
      : undefined;
    const { count, columns, conditioning, guided, words } = requestedImages(
      config,
      classes,
      autoguidance,
      path,
    );
    const isArray = out.endsWith(".npy");
    if (!isArray) checkGrid(count, shape);
    const started = performance.now();
    const bar = new ProgressBar({ totalSteps: count, imagesPerStep: 1 });
    const asSeen = isArray && config.values === "network";
    const normalization = asSeen ? { scale: 1, shift: 0 } : info.normalization;
    const { pixels: values, ...cost } = await drawSamplesInBatches(
      { model, shape, normalization, autoguidance },
      { count, seed, conditioning },
      how.solver === "sde" ? { ...how, seed } : how,
      (done) => bar.update(done),
    ).catch((error) => {
      throw solvingError(error, path);
    }).finally(() => bar.clear());
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const file = isArray ? encodeNpy([count, ...shape], values) : samplesPng(values, count, shape, columns);
    await writeAtomic(out, file);
    const costs = costInWords(cost) + (guided ? guidedCostSuffix(conditioning) : "");
    say(
      `${count} samples${words}, ${description}, ${costs}, in ${seconds} s on ${device.description}: ${out}`,
    );
    device.close();
  },
});

if (import.meta.main) await main(sampleTask);
