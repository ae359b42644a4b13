import { parse } from "node:path";
import type { Device } from "../../kernels/mod.ts";
import { stageProgress, type Terminal } from "../cli/output.ts";
import { type Dataset, type ImageSplit, splitImages } from "../data/dataset.ts";
import { type ImageSource, sourceOf } from "../data/image_source.ts";
import { type DatasetOptions, loadDataOfRun, loadDataset } from "../data/load_dataset.ts";
import { ConfigError, flagOf } from "../cli/settings.ts";
import { roundToRows } from "../draw/conditioning.ts";
import { checkGrid } from "../draw/samples.ts";
import { chosenNetwork, withAllOptions } from "../networks/own_network.ts";
import { normalizationTo } from "../settings/data.ts";
import { readRecord } from "../tracking/record.ts";
import type { Teacher } from "../run/weights.ts";
import { unlabelled } from "../settings/presets.ts";
import type { RunConfig } from "../settings/run_config.ts";
import { fittingNetwork } from "./fit_memory.ts";
import type { InitialWeights } from "./initial_weights.ts";
import { makeNetwork, type Network, tryNetwork } from "./network.ts";

/** A run that is ready to begin. */
export interface PreparedTraining {
  /** Its settings, including those that follow from data and device. */
  readonly config: RunConfig;
  readonly network: Network;
  readonly data: Dataset;
  readonly images: ImageSplit;
  readonly source: ImageSource;
  /** The network to distil. */
  readonly teacher: Teacher | undefined;
  /** The weights that it starts from; undefined if it is resumed. */
  readonly initial: InitialWeights | undefined;
  /** The end of its folder's name. */
  readonly name: string;
}

/** Loads the data, makes the network and checks that both fit, without writing anything. */
export async function prepareTraining(
  device: Device,
  settings: RunConfig,
  { say, terminal }: { readonly say: (message: string) => void; readonly terminal: Terminal | undefined },
): Promise<PreparedTraining> {
  const complete = { ...settings, model: withAllOptions(settings.model) };
  const data = complete.start.kind === "resume"
    ? await dataToResume(complete.start.run, complete, terminal)
    : await loadData(complete, terminal);
  const decided = decideConditional(complete, data, say);
  const { conditional, normalize } = decided;
  const source = sourceOf(data, "train", { conditional, normalization: normalizationTo(normalize) });
  const images = splitImages(data.train.count, decided);
  checkCoupling(decided);
  checkPictures(decided, source.shape, source.classes);
  checkValidation(decided, images);
  const initial = await initialWeights(decided, source, data);
  let config: RunConfig = { ...decided, start: initial?.start ?? decided.start };
  let network: Network;
  let teacher: Teacher | undefined;
  if (config.distillation) {
    const { checkStudent, distillationOf, readTeacher } = await import("./distillation.ts");
    teacher = await readTeacher(config, data);
    const distilled = distillationOf(config, { teacher, images: images.train }, source);
    network = makeNetwork(config, source, config.seed, distilled);
    await checkStudent(config, teacher, network.model);
  } else {
    ({ config, network } = fittingNetwork(config, device, source, say, initial?.write));
  }
  const name = config.name ?? nameOf(config);
  return { config, network, data, images, source, teacher, initial, name };
}

/** The end of the name of a run's folder, if the user gives none. */
function nameOf({ distillation, model }: RunConfig): string {
  if (distillation) return "distill";
  return model.kind === "module" ? parse(model.file).name : model.name;
}

/** The weights that a run starts from, if it names some. */
async function initialWeights(
  config: RunConfig,
  source: ImageSource,
  data: Dataset,
): Promise<InitialWeights | undefined> {
  if (config.start.kind !== "weights") return undefined;
  const { readInitialWeights } = await import("./initial_weights.ts");
  return await readInitialWeights(config, config.start, source, data);
}

/** Loads the data set of a task, without data MNIST; shows progress if that takes a while on the clock `now`. */
export async function loadData(
  { data: source, ...how }: DatasetOptions & Pick<RunConfig, "data">,
  terminal: Terminal | undefined,
  now?: () => number,
): Promise<Dataset> {
  if (source === null) return await loadDataset(undefined, how);
  const progress = stageProgress(`reading images in ${source}`, terminal, now);
  return await loadDataset(source, { ...how, onRead: progress.update }).finally(progress.end);
}

/** Loads the data of a run that goes on, which must have the same images. */
async function dataToResume(
  run: string,
  config: RunConfig,
  terminal: Terminal | undefined,
): Promise<Dataset> {
  const digest = (await readRecord(run))?.dataset?.digest;
  const progress = stageProgress(
    `reading images in ${config.data}`,
    config.data === null ? undefined : terminal,
  );
  return await loadDataOfRun(`resume ${run}`, digest, config.data, { ...config, onRead: progress.update })
    .finally(progress.end);
}

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
