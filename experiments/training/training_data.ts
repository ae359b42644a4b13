import type { Dataset, ImageSplit } from "../data/dataset.ts";
import { chosenNetwork } from "../networks/own_network.ts";
import { ConfigError, flagOf } from "../cli/settings.ts";
import { roundToRows } from "../draw/conditioning.ts";
import { checkGrid } from "../draw/pictures.ts";
import { unlabelled } from "../settings/presets.ts";
import type { RunConfig } from "../settings/run_config.ts";
import { tryNetwork } from "./network.ts";

/**
 * Decides whether a run is conditional, once its data is known, and tries a custom network on data of this size. `say` is
 * called if the data or the network leaves no choice.
 */
export function decideConditional(
  config: RunConfig,
  { name, classes, channels, height, width }: Omit<Dataset, "train" | "test">,
  say: (message: string) => void,
): RunConfig {
  const own = chosenNetwork(config.model);
  const usesLabels = (classes: number) => {
    return !own || tryNetwork(own, config, [channels, height, width], classes);
  };
  if (config.conditional === false) {
    usesLabels(0);
    return config;
  }
  let unable: string;
  if (classes === 0) unable = `the data set ${name} has`;
  else if (usesLabels(classes)) return { ...config, conditional: true };
  else unable = `the network ${own?.file} takes`;
  if (config.conditional === true) {
    throw new ConfigError(
      `Cannot use --conditional: ${unable} no labels (expected labels, or --no-conditional)`,
    );
  }
  usesLabels(0);
  say(`Training without labels: ${unable} none`);
  return { ...config, conditional: false, guidance: unlabelled(config.guidance) };
}

/** Maximum number of values in the stored trajectories, or in their ends: 1 GiB. */
const maxValues = 2 ** 28;
/** Width of the widest GIF, and of the gap between its images, in pixels. */
const gif = { width: 65_535, gap: 6 };

/** Checks, before a run begins, that its pictures can be drawn: of images of a size, with a column for each class. */
export function checkPictures(
  config: RunConfig,
  size: readonly [C: number, H: number, W: number],
  classes = 0,
): void {
  const { flowSteps, pathSamples } = config;
  const samples = roundToRows(config.samples, classes);
  const flowSamples = roundToRows(config.flowSamples, classes);
  const values = size.reduce((product, length) => product * length, 1);
  if (samples > 0) checkGrid(samples, size);
  const flowValues = 2 * values * (flowSteps + 1); // images and velocities of one sample
  const inRow = Math.floor(gif.width / (size[2] + gif.gap));
  const limits = [
    { name: "flowSamples", count: flowSamples, most: Math.min(inRow, Math.floor(maxValues / flowValues)) },
    { name: "pathSamples", count: pathSamples, most: Math.floor(maxValues / values) },
  ];
  for (const { name, count, most } of limits) {
    if (count <= most) continue;
    throw new ConfigError(
      `Cannot use ${flagOf(name)} ${count} here: there would be too much to draw at the end ` +
        `(expected at most ${most})`,
    );
  }
}

/** Refuses a coupling that pairs within classes if the network gets no labels. */
export function checkCoupling({ coupling, conditional }: RunConfig): void {
  if (coupling.value.sees !== "labels" || conditional === true) return;
  throw new ConfigError(
    `Cannot use --coupling ${coupling.text}: it pairs within classes, and the network gets no labels ` +
      "(expected --conditional and data with labels)",
  );
}

/** Refuses a schedule that follows the validation loss if there are no validation images. */
export function checkValidation(
  { schedule, valFraction, start }: Pick<RunConfig, "schedule" | "valFraction" | "start">,
  { train, validation }: ImageSplit,
): void {
  if (schedule !== "plateau" || validation.length > 0 || start.kind === "resume") return;
  throw new ConfigError(
    `Cannot use --schedule plateau with --val-fraction ${valFraction}: that holds out none of ${train.length} images ` +
      "(expected at least one, as plateau follows the validation loss)",
  );
}
