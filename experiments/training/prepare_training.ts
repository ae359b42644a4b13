import { join, parse } from "node:path";
import { type Device, randomNormal, tensor } from "../../kernels/mod.ts";
import type { Model } from "../../models/mod.ts";
import { type Dataset, type ImageSplit, splitImages } from "../data/dataset.ts";
import { type ImageSource, sourceOf } from "../data/image_source.ts";
import { checkFit, readCheckpoint } from "../draw/load_network.ts";
import { chosenNetwork, loadWeights, withAllOptions } from "../networks/own_network.ts";
import type { Terminal } from "../cli/progress.ts";
import { readFile } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { type Teacher, teacherFile } from "../run/weights.ts";
import { formatNetwork } from "../cli/model_setting.ts";
import { ConfigError } from "../cli/setting.ts";
import { normalizationTo, type TrainingConfig } from "../cli/training.ts";
import { fittingNetwork } from "./fit_memory.ts";
import { type InitialWeights, readInitialWeights } from "./initial_weights.ts";
import { makeNetwork, type Network } from "./network.ts";
import {
  checkCoupling,
  checkPictures,
  checkValidation,
  decideConditional,
  loadData,
} from "./training_data.ts";

/** A run that is ready to begin. */
export interface PreparedTraining {
  /** Its settings, including those that follow from data and device. */
  readonly config: TrainingConfig;
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

/**
 * Loads the data, makes the network and checks that both fit, without writing anything.
 *
 * @throws as `runTraining`
 */
export async function prepareTraining(
  device: Device,
  settings: TrainingConfig,
  { say, terminal }: { readonly say: (message: string) => void; readonly terminal: Terminal | undefined },
): Promise<PreparedTraining> {
  const ownNetwork = chosenNetwork(settings.model);
  const complete = { ...settings, model: withAllOptions(settings.model) };
  const data = await loadData(complete, terminal);
  const decided = decideConditional(complete, data, say);
  const { conditional, normalize } = decided;
  const source = sourceOf(data, "train", { conditional, normalization: normalizationTo(normalize) });
  checkCoupling(decided);
  checkPictures(decided, source.shape, source.classes);
  const images = splitImages(data.train.count, decided);
  checkValidation(decided, images);
  const teacher = decided.teacher === null ? undefined : await teacherOf(decided, decided.teacher, data);
  const { init, resume } = decided;
  const initial = init === null || resume !== null
    ? undefined
    : await readInitialWeights({ ...decided, init }, source, data);
  const { config, network } = teacher
    ? {
      config: decided,
      network: makeNetwork(decided, source, decided.seed, { teacher, images: images.train }),
    }
    : fittingNetwork({ ...decided, init: initial?.init ?? init }, device, source, say, initial?.write);
  if (teacher && ownNetwork) await checkStart(teacher, network.model, ownNetwork.file);
  const name = config.name ??
    (teacher ? "distill" : ownNetwork ? parse(ownNetwork.file).name : config.model);
  return { config, network, data, images, source, teacher, initial, name };
}

/** The teacher of a run: the copy in its folder, once it has one. @throws {RunError} if it does not fit the data */
async function teacherOf(config: TrainingConfig, source: string, data: Dataset): Promise<Teacher> {
  const { resume } = config;
  const path = resume === null ? teacherFile(source) : join(resume, runFile.teacher);
  const bytes = resume === null ? await readCheckpoint(path) : await readFile(path, resume);
  const make = chosenNetwork(config.model)?.make;
  const teacher = { ...await loadWeights(bytes, path, { make }), bytes, path };
  checkFit("distil", path, { shape: teacher.shape, classes: teacher.info.config.classes ?? 0 }, data);
  return teacher;
}

/** @throws {ConfigError} if a network has a different velocity than the teacher whose weights it took over */
async function checkStart(
  { model, info: { config: { classes = 0 } }, shape, path }: Teacher,
  network: Model,
  file: string,
): Promise<void> {
  const x = randomNormal(tensor(new Uint32Array(3)), [2, ...shape]);
  const t = tensor([0.25, 0.75]);
  const labels = classes > 0 ? tensor(Uint32Array.of(0, classes)) : undefined;
  const [before, now] = await Promise.all(
    [model, network].map((field) => field.velocity(x, t, labels).read()),
  );
  const most = before.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  if (now.every((v, i) => Math.abs(v - before[i]) <= 1e-5 * most)) return;
  throw new ConfigError(
    `Cannot distil ${path} with ${file}: with its weights, ${file} has a different velocity at d = 0 (expected the same, as ` +
      "from layers that start at zero, such as StepEmbedding)",
  );
}

/** The network and the device of a run, in one line. */
export function networkLine(
  { config, network: { size, options } }: Pick<PreparedTraining, "config" | "network">,
  device: Device,
): string {
  const { preset, conditional } = config;
  return `${formatNetwork(config)}, ${size.toLocaleString("en")} parameters, ` +
    `${conditional ? `conditional on ${options.classes} classes, ` : ""}preset ${preset}, ` +
    `on ${device.description}`;
}
