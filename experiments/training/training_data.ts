import type { Dataset, ImageSplit } from "../data/dataset.ts";
import { chosenNetwork } from "../networks/own_network.ts";
import { ConfigError, flagOf } from "../cli/settings.ts";
import type { TrainingConfig } from "../cli/training.ts";
import { unlabelled } from "../cli/training_config.ts";
import { roundToRows } from "../draw/conditioning.ts";
import { checkGrid } from "../draw/pictures.ts";
import { type Coupling, couplings } from "../../models/mod.ts";
import { makeVariant } from "../cli/kinds.ts";
import { tryNetwork } from "./network.ts";

/**
 * Decides whether a run is conditional, once its data is known, and tries a custom network on data of this size. `say` is
 * called if the data or the network leaves no choice.
 */
export function decideConditional(
  config: TrainingConfig,
  { name, classes, channels, height, width }: Omit<Dataset, "train" | "test">,
  say: (message: string) => void,
): TrainingConfig {
  const own = chosenNetwork(config.model);
  const triedWith = (classes: number) => !own || tryNetwork(own, config, [channels, height, width], classes);
  const unable = classes === 0
    ? `the data set ${name} has`
    : config.conditional !== false && !triedWith(classes)
    ? `the network ${own?.file} takes`
    : undefined;
  if (unable === undefined && config.conditional !== false) return { ...config, conditional: true };
  if (config.conditional === true) {
    throw new ConfigError(
      `Cannot use --conditional: ${unable} no labels (expected labels, or --no-conditional)`,
    );
  }
  triedWith(0);
  if (config.conditional === false) return config;
  say(`Training without labels: ${unable} none`);
  return { ...config, conditional: false, guidance: unlabelled(config.guidance) };
}

/** Maximum number of values in the stored trajectories, or in their ends: 1 GiB. */
const maxValues = 2 ** 28;
/** Width of the widest GIF, and of the gap between its images, in pixels. */
const gif = { width: 65_535, gap: 6 };

/** Checks, before a run begins, that its pictures can be drawn: of images of a size, with a column for each class. */
export function checkPictures(
  config: TrainingConfig,
  size: readonly [C: number, H: number, W: number],
  classes = 0,
): void {
  const { flowSteps, pathSamples } = config;
  const [samples, flowSamples] = [config.samples, config.flowSamples].map((n) => roundToRows(n, classes));
  const values = size.reduce((product, length) => product * length, 1);
  if (samples > 0) checkGrid(samples, size);
  const flowValues = 2 * values * (flowSteps + 1); // images and velocities of one sample
  const inRow = Math.floor(gif.width / (size[2] + gif.gap));
  const limits = [
    ["flowSamples", flowSamples, Math.min(inRow, Math.floor(maxValues / flowValues))],
    ["pathSamples", pathSamples, Math.floor(maxValues / values)],
  ] as const;
  for (const [name, count, most] of limits) {
    if (count <= most) continue;
    throw new ConfigError(
      `Cannot use ${
        flagOf(name)
      } ${count} here: there would be too much to draw at the end (expected at most ${most})`,
    );
  }
}

/** Refuses a coupling that pairs within classes if the network gets no labels. */
export function checkCoupling({ coupling, conditional }: TrainingConfig): void {
  const { sees }: Coupling = makeVariant(couplings, coupling);
  if (sees !== "labels" || conditional === true) return;
  throw new ConfigError(
    `Cannot use --coupling ${coupling}: it pairs within classes, and the network gets no labels ` +
      "(expected --conditional and data with labels)",
  );
}

/** Refuses a schedule that follows the validation loss if there are no validation images. */
export function checkValidation(
  { schedule, valFraction, resume }: Pick<TrainingConfig, "schedule" | "valFraction" | "resume">,
  { train, validation }: ImageSplit,
): void {
  if (schedule !== "plateau" || validation.length > 0 || resume !== null) return;
  throw new ConfigError(
    `Cannot use --schedule plateau with --val-fraction ${valFraction}: that holds out none of ${train.length} images ` +
      "(expected at least one, as plateau follows the validation loss)",
  );
}
