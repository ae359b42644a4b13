import { choice, classList, integer, optional, outputFile, toggle } from "./cli/kinds.ts";
import { ProgressBar, say } from "./cli/output.ts";
import { defineSettings, type Values } from "./cli/settings.ts";
import { solverSetting } from "./cli/solver.ts";
import { main, stopSignal, task, unlessStopped } from "./cli/task.ts";
import {
  chosenClasses,
  className,
  type Conditioning,
  formatAutoguidance,
  formatGuidance,
  gridColumns,
  guidedCostSuffix,
  readAutoguidance,
  roundToRows,
  runsTwice,
} from "./draw/conditioning.ts";
import { checkUnlabelled, guidanceOf } from "./draw/given_guidance.ts";
import { type OpenNetwork, openNetwork } from "./draw/load_network.ts";
import { comparedEvaluations, fewStepsRows, writeFewSteps } from "./draw/pictures.ts";
import { checkFormat, checkPath, drawIntoFile } from "./draw/sample_files.ts";
import { checkSolver, type Drawable, formatCost, solvingError, usualSolver } from "./draw/samples.ts";
import { describing, describingHeading } from "./settings/described_network.ts";
import { checkpoint, guiding, namedWeights, where } from "./settings/drawing.ts";

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
  compare: toggle({
    doc: "draw the same noise with 1, 2, 4, 8 and 19 evaluations, one row each",
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
  ...where,
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

/** Draws images from a checkpoint or a run. */
export const sampleTask = task({
  name: "sample",
  about: "Draw images from a file of weights, or from the averaged weights of a run",
  words: "FILE|RUN",
  examples: [
    "runs/A",
    "checkpoints/mnist_classes.safetensors --count 40 --guidance 1.4",
    "runs/A --count 2000 --seed 1 --out samples.npy",
  ],
  settings: sampling,
  resolve: (values, words): SampleConfig => ({
    ...sampling.resolve(values),
    checkpoint: namedWeights(values.checkpoint, words),
    inFullRows: !("count" in values),
  }),
  async run(config) {
    await checkPath(config.out);
    const network = await openNetwork(config);
    const images = await requestedImages(config, network);
    const code = await (config.compare ? compare : draw)(config, network, images);
    network.device.close();
    return code;
  },
});

/** The images that a command line requests. */
interface RequestedImages {
  readonly count: number;
  /** Columns of the grid; 0 for a nearly square one. */
  readonly columns: number;
  readonly drawable: Drawable;
  readonly conditioning?: Conditioning;
  /** Whether an evaluation runs two networks. */
  readonly guided: boolean;
  /** Text for messages, after `64 samples`. */
  readonly words: string;
}

async function requestedImages(
  config: SampleConfig,
  { classes, path, drawable, run }: OpenNetwork,
): Promise<RequestedImages> {
  const { count, columns, class: choice } = config;
  if (classes.count === 0) {
    const autoguidance = run === undefined
      ? undefined
      : await readAutoguidance(run, config.guidance ?? undefined);
    checkUnlabelled(config, path, autoguidance);
    const { scale = 1 } = autoguidance ?? {};
    const words = autoguidance ? `, ${formatAutoguidance(scale)}` : "";
    return { count, columns, drawable: { ...drawable, autoguidance }, guided: scale !== 1, words };
  }
  if (choice === "none") return { count, columns, drawable, guided: false, words: " without a class" };
  const chosen = chosenClasses(choice ?? "all", classes, path);
  const N = config.inFullRows ? roundToRows(count, chosen.length) : count;
  const guidance = guidanceOf(config, drawable.model);
  const which = choice === null || choice === "all"
    ? `all ${classes.count} classes`
    : `class ${chosen.map((label) => className(label, classes.names)).join(", ")}`;
  return {
    count: N,
    columns: columns || gridColumns(N, chosen.length),
    drawable,
    conditioning: { labels: Uint32Array.from({ length: N }, (_, i) => chosen[i % chosen.length]), guidance },
    guided: runsTwice(guidance, drawable.model),
    words: ` of ${which}, ${formatGuidance(guidance)}`,
  };
}

/** Draws the images into a file or folder. @returns the exit code if it is stopped */
async function draw(
  { seed, out, solver, values }: SampleConfig,
  { device, path, classes }: OpenNetwork,
  { count, columns, drawable, conditioning, guided, words }: RequestedImages,
): Promise<number | undefined> {
  const { how, description } = solver ?? usualSolver(drawable.model);
  checkSolver(drawable.model, how, path, conditioning?.guidance.scale);
  checkFormat(out, count, drawable.shape);
  const started = performance.now();
  const bar = new ProgressBar({ totalSteps: count, imagesPerStep: 1 });
  using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit immediately`));
  const asSeen = out.endsWith(".npy") && values === "network";
  const subject = asSeen ? { ...drawable, normalization: { scale: 1, shift: 0 } } : drawable;
  const images = { count, seed, conditioning, classes, columns, how, source: path };
  let written = 0;
  const onProgress = (done: number) => {
    bar.update(done);
    stop.signal.throwIfAborted();
  };
  const drawing = () => drawIntoFile(out, subject, images, onProgress, (images) => written = images);
  const cost = await unlessStopped(stop.signal, drawing).finally(() => bar.clear());
  if (!cost) {
    say(`Stopped: ${written > 0 ? `${written} of ${count} images are in ${out}` : "nothing was written"}`);
    return stop.exitCode;
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const spent = formatCost(cost) + (guided ? guidedCostSuffix(conditioning) : "");
  say(`${count} samples${words}, ${description}, ${spent}, in ${seconds} s on ${device.description}: ${out}`);
}

/** Draws the same noise with few and many evaluations. */
async function compare(
  { seed, out }: SampleConfig,
  { path, classes: { names } }: OpenNetwork,
  { count, drawable, conditioning, words }: RequestedImages,
): Promise<undefined> {
  const headings = conditioning && Array.from(conditioning.labels, (label) => className(label, names));
  const bar = new ProgressBar({ totalSteps: comparedEvaluations * count, imagesPerStep: 1 });
  const rows = fewStepsRows(drawable, conditioning);
  await writeFewSteps(out, rows, { count, seed, headings }, (evaluations) => bar.update(evaluations))
    .catch((error) => {
      throw solvingError(error, path);
    }).finally(() => bar.clear());
  say(`${count} samples${words}, with 1, 2, 4, 8 and 19 evaluations each: ${out}`);
}

if (import.meta.main) await main(sampleTask);
