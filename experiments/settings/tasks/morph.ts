import { integer, number, optional, path, text } from "../kinds.ts";
import { ConfigError, flagOf, type Values } from "../setting.ts";
import { defineSettings } from "../settings.ts";
import { chooseSolver, type ChosenSolver, solvingBothWays } from "../solving.ts";
import { classList, imageNumbers } from "./classes.ts";
import { checkGuidance, guiding } from "./guiding.ts";
import { describing, describingHeading } from "./network.ts";
import { checkEffects } from "./train_checks.ts";
import { training } from "./train.ts";

/** Frames from one end to the other where none are asked for. */
const usualFrames = { png: 9, gif: 30 };

/** The settings of the task that leads images through noise to other ones. */
export const morphing = defineSettings({
  checkpoint: path("FILE|RUN", "weights of the network, or a run, for its averaged weights"),
  data: optional({
    ...training.rows.data,
    doc: "data set of the test images, as train takes it (else the run's, or MNIST)",
  }),
  from: imageNumbers("numbers of test images in their file, from 0, to begin with (else noise of the seed)"),
  to: imageNumbers("those to end with, one for each to begin with (else noise of the seed)"),
  class: classList("map each image to noise and back under these classes instead"),
  count: integer({ doc: "rows where all noise is drawn by the seed", min: 1, max: 10_000, default: 5 }),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  entry: number({
    doc: "time t at which test images enter the flow, mixed with the noise of that time; 1 = without noise",
    above: 0,
    max: 1,
    default: 0.95,
  }),
  ...solvingBothWays,
  ...guiding,
  frames: optional(integer({
    doc: `images on the way, both ends included (else ${usualFrames.png}; ${usualFrames.gif} in a .gif)`,
    min: 2,
    max: 1000,
  })),
  out: text({
    doc: "all images as a picture (.png), or an animation (.gif)",
    hint: "FILE",
    pattern: /.\.(png|gif)$/,
    expected: "a path that ends with .png or .gif",
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

/** What a command line of the task asks for. */
export type MorphConfig = Omit<Values<typeof morphing.rows>, "frames"> & {
  readonly help: boolean;
  readonly frames: number;
  readonly chosen: ChosenSolver;
};

/**
 * Reads the flags.
 *
 * @throws {ConfigError} if a flag is missing, cannot be used or has no effect
 */
export function parseMorph(argv: readonly string[]): MorphConfig {
  const { help, values } = morphing.parse(argv);
  const config = morphing.resolve(help ? { checkpoint: "-", ...values } : values);
  const { from, to, out, device } = config;
  const isGif = out.endsWith(".gif");
  refuse(values, idleFlags(values));
  if (from && to && from.length !== to.length) {
    throw new ConfigError(
      `Cannot use --from ${from} with --to ${to}: these are ${from.length} and ${to.length} images (expected as many)`,
    );
  }
  checkGuidance(config);
  if ("threads" in values) checkEffects({ threads: config.threads }, { device });
  const chosen = chooseSolver(values, { ...config, noise: null }, flagOf);
  if (!("how" in chosen)) {
    const { name, problem } = chosen;
    throw new ConfigError(`Cannot use ${flagOf(name)} ${{ ...config, noise: null }[name]}: ${problem}`);
  }
  const frames = config.frames ?? usualFrames[isGif ? "gif" : "png"];
  return { ...config, frames, help, chosen };
}

const noImage = "no test image is asked for (expected --from or --to with it)";

type Given = Partial<Values<typeof morphing.rows>>;

/** Flags that have no effect with others, and why. */
function idleFlags(
  { from, to, class: classes, entry, out = "" }: Given,
): Partial<Record<keyof Given, string>> {
  const noNoise = from && (to || classes) && entry === 1;
  return {
    ...classes && {
      to: "with --class, each image comes back under a class and not to another image",
      frames: "with --class there is an image for each class",
    },
    ...classes && out.endsWith(".gif") &&
      { out: "with --class there is no way to animate (expected a .png)" },
    ...(from || to) && { count: `there is a row for each image of ${from ? "--from" : "--to"}` },
    ...noNoise && { seed: "no noise is drawn, as there is an image at each end and --entry is 1" },
    ...!from && !to && { data: noImage, entry: noImage },
  };
}

/** @throws {ConfigError} if a flag is given that has no effect */
function refuse(given: Given, idle: Partial<Record<keyof Given, string>>): void {
  for (const [name, why] of Object.entries(idle)) {
    const value = given[name as keyof Given];
    if (value === undefined || value === null) continue;
    throw new ConfigError(`Cannot use ${flagOf(name)} ${value}: ${why} (see --help)`);
  }
}
