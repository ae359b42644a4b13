import { noise } from "../models/mod.ts";
import { costOf, type SolvedBatch } from "../models/solve/solve_flow.ts";
import {
  type Autoguidance,
  checkNoClass,
  chosenClasses,
  className,
  type Conditioning,
  formatAutoguidance,
  formatGuidance,
  gridColumns,
  guidanceOf,
  guidedCostSuffix,
  readAutoguidance,
  roundToRows,
  runsTwice,
} from "./draw/conditioning.ts";
import { checkGrid, comparedEvaluations, fewStepsPicture, fewStepsRows } from "./draw/pictures.ts";
import { checkSolver, drawBatches, formatCost, solvingError, usualSolver, withSeed } from "./draw/samples.ts";
import { type OpenNetwork, openNetwork } from "./draw/load_network.ts";
import { checkNpz, writeSamples } from "./draw/sample_files.ts";
import { ProgressBar, say } from "./cli/output.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { checkEmptyFolder, checkFolderOf, writeAtomic } from "./run/run_folder.ts";
import { runFile } from "./run/files.ts";
import { checkpoint, describing, describingHeading, guiding, namedWeights } from "./cli/drawing.ts";
import { choice, classList, integer, optional, outputFile, toggle } from "./cli/kinds.ts";
import { ConfigError, defineSettings, type Values } from "./cli/settings.ts";
import { makeSolver, solverSetting } from "./cli/solver.ts";
import { guidanceWithoutLabels, training } from "./cli/training.ts";

const isPicture = (out: unknown) => `${out}`.endsWith(".png");

/** Settings of `deno task sample`. */
export const sampling = defineSettings({
  checkpoint,
  count: integer({ doc: "images", min: 1, max: 1_000_000, default: 64 }),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  solver: optional(solverSetting({
    doc: "solver of the flow (default: heun:steps=20, or map:steps=1 for a distilled network)",
  })),
  class: classList("classes to draw in turn; none = unconditional (default: all)", "none"),
  ...guiding,
  guidance: {
    ...guiding.guidance,
    details: [
      `unlabelled networks: autoguidance by the run's early weights (default: ${guidanceWithoutLabels})`,
    ],
  },
  compare: toggle({
    doc: "draw the same noise with 1, 2, 4, 8 and 20 evaluations, one row each",
    default: false,
    needs: {
      words: "a picture, nor with --solver or --columns",
      met: ({ out, solver, columns }) => isPicture(out) && solver === null && columns === 0,
    },
  }),
  columns: integer({
    doc: "columns of the grid, 0 = one per class, or nearly square",
    default: 0,
    needs: { words: "a picture, --out FILE.png", met: ({ out }) => isPicture(out) },
  }),
  out: outputFile([".png", ".npy", ".npz", "/"], {
    doc: "grid of the images (.png); their values, f32[N, C, H, W] (.npy); for FID programs, " +
      "arr_0 u8[N, H, W, C] (.npz), or one picture per image in class folders (FOLDER/)",
    default: "grid.png",
  }),
  values: choice(["pixels", "network"], {
    doc: "values of an .npy: 0 black to 1 white, not clipped, or as the network sees them",
    default: "pixels",
    needs: { words: "an array, --out FILE.npy", met: ({ out }) => `${out}`.endsWith(".npy") },
  }),
  device: training.rows.device,
  threads: training.rows.threads,
  ...describing,
}, {
  solver: "Solver",
  columns: "Output",
  model: describingHeading,
});

/** The settings of a `deno task sample` command. */
export type SampleConfig = Values<typeof sampling.rows> & {
  /** A file of weights, or a run, for its averaged weights. */
  readonly checkpoint: string;
  /** Whether to round the number of images to full rows, since the user set none. */
  readonly inFullRows: boolean;
};

/** The images that a command line requests: their number, and what `drawSamples` and the grid need. */
interface RequestedImages {
  readonly count: number;
  /** Columns of the grid; 0 for a nearly square one. */
  readonly columns: number;
  readonly conditioning?: Conditioning;
  /** Whether an evaluation runs two networks. */
  readonly guided: boolean;
  /** Text for messages, after `64 samples`. */
  readonly words: string;
}

/** @throws {ConfigError} if the network lacks a class, or cannot be guided */
function requestedImages(
  config: SampleConfig,
  { classes, path, drawable }: OpenNetwork,
  autoguidance: Autoguidance | undefined,
): RequestedImages {
  const { count, columns, class: choice } = config;
  if (classes.count === 0) {
    checkNoClass({ ...config, guidance: null }, path);
    if (config.guidance !== null && !autoguidance) {
      throw new ConfigError(
        `Cannot use --guidance with ${path}: its network was trained without classes, and there is no ` +
          `${runFile.early} to guide it away from ` +
          "(expected the folder of a run that has one, or leave it out)",
      );
    }
    const { scale = 1 } = autoguidance ?? {};
    const words = autoguidance ? `, ${formatAutoguidance(scale)}` : "";
    return { count, columns, guided: scale !== 1, words };
  }
  if (choice === "none") return { count, columns, guided: false, words: " without a class" };
  const chosen = chosenClasses(choice ?? "all", classes, path);
  const N = config.inFullRows ? roundToRows(count, chosen.length) : count;
  const guidance = guidanceOf(config, drawable.model);
  const which = choice === null || choice === "all"
    ? `all ${classes.count} classes`
    : `class ${chosen.map((label) => className(label, classes.names)).join(", ")}`;
  return {
    count: N,
    columns: columns || gridColumns(N, chosen.length),
    conditioning: { labels: Uint32Array.from({ length: N }, (_, i) => chosen[i % chosen.length]), guidance },
    guided: runsTwice(guidance, drawable.model),
    words: ` of ${which}, ${formatGuidance(guidance)}`,
  };
}

/** Draws images from a checkpoint or a run. */
export const sampleTask = task({
  name: "sample",
  about: "Draw images from a file of weights, or from the averaged weights of a run",
  words: "FILE|RUN",
  settings: sampling,
  resolve: (values, words): SampleConfig => ({
    ...sampling.resolve(values),
    checkpoint: namedWeights(values.checkpoint, words),
    inFullRows: !("count" in values),
  }),
  async run(config) {
    const { seed, out } = config;
    if (out.endsWith("/")) await checkEmptyFolder(out);
    else await checkFolderOf(out);
    const network = await openNetwork(config);
    const { device, drawable, path, run } = network;
    const { how, description } = makeSolver(config.solver ?? usualSolver(drawable.model));
    const autoguidance = network.classes.count === 0 && run !== undefined
      ? await readAutoguidance(run, config.guidance ?? guidanceWithoutLabels)
      : undefined;
    const { count, columns, conditioning, guided, words } = requestedImages(config, network, autoguidance);
    if (config.compare) {
      const drawn = { ...drawable, autoguidance };
      const { names } = network.classes;
      const headings = conditioning && Array.from(conditioning.labels, (label) => className(label, names));
      const bar = new ProgressBar({ totalSteps: comparedEvaluations * count, imagesPerStep: 1 });
      const picture = await fewStepsPicture(
        fewStepsRows(drawn, conditioning),
        { count, seed, headings },
        (evaluations) => bar.update(evaluations),
      ).catch((error) => {
        throw solvingError(error, path);
      }).finally(() => bar.clear());
      await writeAtomic(out, picture);
      say(`${count} samples${words}, with 1, 2, 4, 8 and 20 evaluations each: ${out}`);
      device.close();
      return;
    }
    checkSolver(drawable.model, how, path, conditioning?.guidance.scale);
    const isArray = out.endsWith(".npy");
    if (isPicture(out)) checkGrid(count, drawable.shape);
    if (out.endsWith("/")) checkGrid(1, drawable.shape);
    if (out.endsWith(".npz")) checkNpz(out, count, drawable.shape);
    const started = performance.now();
    const bar = new ProgressBar({ totalSteps: count, imagesPerStep: 1 });
    const asSeen = isArray && config.values === "network";
    const normalization = asSeen ? { scale: 1, shift: 0 } : drawable.normalization;
    const { shape } = drawable;
    const costs: Omit<SolvedBatch, "samples">[] = [];
    using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit immediately`));
    const subject = { ...drawable, normalization, autoguidance };
    const x0 = noise(seed, [count, ...shape]);
    const batches = drawBatches(subject, x0, conditioning, withSeed(how, seed), (done) => {
      bar.update(done);
      stop.signal.throwIfAborted();
    });
    async function* pixels() {
      try {
        for await (const { samples, ...cost } of batches) {
          costs.push(cost);
          yield samples;
        }
      } catch (error) {
        throw solvingError(error, path);
      }
    }
    const images = { count, shape, labels: conditioning?.labels, classes: network.classes, columns };
    let written = 0;
    try {
      await writeSamples(out, { ...images, batches: pixels() }, (done) => written = done);
    } catch (error) {
      if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
      say(`Stopped: ${written > 0 ? `${written} of ${count} images are in ${out}` : "nothing was written"}`);
      return stop.exitCode;
    } finally {
      bar.clear();
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const cost = formatCost(costOf(costs)) + (guided ? guidedCostSuffix(conditioning) : "");
    say(
      `${count} samples${words}, ${description}, ${cost}, in ${seconds} s on ${device.description}: ${out}`,
    );
    device.close();
  },
});

if (import.meta.main) await main(sampleTask);
