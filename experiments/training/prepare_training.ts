import { parse } from "node:path";
import type { Device } from "../../kernels/mod.ts";
import { stageProgress, type Terminal } from "../cli/output.ts";
import { type Dataset, type ImageSplit, splitImages } from "../data/dataset.ts";
import { type ImageSource, sourceOf } from "../data/image_source.ts";
import { type DatasetOptions, loadDataset } from "../data/load_dataset.ts";
import { chosenNetwork, withAllOptions } from "../networks/own_network.ts";
import { normalizationTo } from "../settings/data.ts";
import type { RunConfig } from "../settings/run_config.ts";
import { fittingNetwork } from "./fit_memory.ts";
import { type InitialWeights, readInitialWeights } from "./initial_weights.ts";
import { makeNetwork, type Network } from "./network.ts";
import { checkStart, teacherOf } from "./teacher.ts";
import { checkCoupling, checkPictures, checkValidation, decideConditional } from "./training_data.ts";

/** A run that is ready to begin. */
export interface PreparedTraining {
  /** Its settings, including those that follow from data and device. */
  readonly config: RunConfig;
  readonly network: Network;
  readonly data: Dataset;
  readonly images: ImageSplit;
  readonly source: ImageSource;
  /** The network to distil. */
  readonly teacher: Awaited<ReturnType<typeof teacherOf>>;
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
  const ownNetwork = chosenNetwork(settings.model);
  const complete = { ...settings, model: withAllOptions(settings.model) };
  const data = await loadData(complete, terminal);
  const decided = decideConditional(complete, data, say);
  const { conditional, normalize } = decided;
  const source = sourceOf(data, "train", { conditional, normalization: normalizationTo(normalize) });
  const images = splitImages(data.train.count, decided);
  checkCoupling(decided);
  checkPictures(decided, source.shape, source.classes);
  checkValidation(decided, images);
  const teacher = await teacherOf(decided, data);
  const initial = await readInitialWeights(decided, source, data);
  let config: RunConfig = { ...decided, start: initial?.start ?? decided.start };
  let network: Network;
  if (teacher) network = makeNetwork(config, source, config.seed, { teacher, images: images.train });
  else ({ config, network } = fittingNetwork(config, device, source, say, initial?.write));
  if (teacher && ownNetwork) await checkStart(teacher, network.model, ownNetwork.file);
  const name = config.name ?? nameOf(config);
  return { config, network, data, images, source, teacher, initial, name };
}

/** The end of the name of a run's folder, if the user gives none. */
function nameOf({ distillation, model }: RunConfig): string {
  if (distillation) return "distill";
  return model.kind === "module" ? parse(model.file).name : model.name;
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
