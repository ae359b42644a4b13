import { join } from "node:path";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import {
  assign,
  full,
  randomNormal,
  randomNormalRows,
  type Shape,
  slice,
  type Tensor,
  tensor,
  zeros,
} from "../../kernels/mod.ts";
import {
  type BatchSource,
  batchSource,
  createModel,
  type Distillation,
  DriftStage,
  encodeSafetensors,
  flowMapTimes,
  MeanMapLoss,
  type Model,
  type ModelOptions,
  namedParameters,
  PairsLoss,
  permutation,
  solveFlow,
  StateError,
  type StepLoss,
  streams,
  type VelocityField,
} from "../../models/mod.ts";
import { stageProgress } from "../cli/output.ts";
import { ConfigError } from "../cli/settings.ts";
import { unlessStopped } from "../cli/task.ts";
import type { Dataset } from "../data/dataset.ts";
import type { ImageSource } from "../data/image_source.ts";
import { checkFit, readCheckpoint } from "../draw/load_network.ts";
import { chosenNetwork, loadWeights } from "../networks/own_network.ts";
import { fileAt, runFile, runFolder } from "../run/files.ts";
import { makeFolder, readFile, readIfThere, writeAtomic } from "../run/run_folder.ts";
import { type RunConfig, stagesOf } from "../settings/run_config.ts";
import type { PlannedStage } from "../settings/stages.ts";
import { taughtField, type Teacher, TensorFile, tensorsOf, weightsPath } from "../run/weights.ts";
import type { DistilledNetwork, PreparedStages } from "./network.ts";

/** What a distillation learns from: the network to distil, and the training images. */
export interface Taught {
  readonly teacher: Teacher;
  readonly images: Uint32Array;
}

/** Reads the network to distil: the copy in the run's folder, once it has one. */
export async function readTeacher(config: RunConfig, data: Dataset): Promise<Teacher> {
  const { start } = config;
  let path: string;
  let bytes: Uint8Array<ArrayBuffer>;
  if (start.kind === "resume") {
    path = join(start.run, runFile.teacher);
    bytes = await readFile(path, start.run);
  } else {
    path = weightsPath(config.distillation!.teacher, "distil");
    bytes = await readCheckpoint(path);
  }
  const make = chosenNetwork(config.model)?.make;
  const teacher = { ...await loadWeights(bytes, path, { make }), bytes, path };
  checkFit("distil", path, { shape: teacher.shape, classes: teacher.info.config.classes ?? 0 }, data);
  return teacher;
}

/** Refuses a network that has a different velocity than the teacher whose weights it took over. */
async function checkStart(teacher: Teacher, network: Model, file: string): Promise<void> {
  const { model, info: { config: { classes = 0 } }, shape, path } = teacher;
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

/** The network and the stages of a distillation, for `makeNetwork`. */
export function distillationOf(config: RunConfig, taught: Taught, source: ImageSource): DistilledNetwork {
  return {
    make: (options, initial) => makeStudent(taught.teacher, options, initial),
    stages: (student) => distillationStages(config, taught, student, source),
  };
}

/** Refuses a student of a module that does not begin as its teacher. */
export async function checkStudent(config: RunConfig, teacher: Teacher, student: Model): Promise<void> {
  if (config.model.kind === "module") await checkStart(teacher, student, config.model.file);
}

/** Times of the flow at which the teacher encodes images: it sees different features at each. */
const encodedAt = [0.95, 0.8, 0.6];

/** Makes the flow map: the teacher's weights, and an embedding of d that starts at zero. */
function makeStudent(
  teacher: Teacher,
  options: ModelOptions,
  initial: Parameters<typeof createModel>[1],
): Model {
  const student = createModel(options, initial);
  const parameters = namedParameters(student);
  for (const [name, weights] of namedParameters(teacher.model)) {
    const own = parameters.get(name);
    if (!own) {
      throw new StateError(
        `Cannot distil ${teacher.path}: the run's network has no "${name}"; is it another network?`,
      );
    }
    assign(own, weights);
  }
  return student;
}

/** Times of the evaluations whose last one drift trains, besides the whole step from noise to image. */
const partial = [flowMapTimes(2), flowMapTimes(2).slice(0, 2), flowMapTimes(3)];

/** The order of a drift stage: `count` whole steps before each other one. */
function inTurn(count: number, [whole, ...others]: readonly StepLoss[]): readonly StepLoss[] {
  return others.flatMap((other) => [...Array<StepLoss>(count).fill(whole), other]);
}

/** Makes the losses of a configuration's stages. */
export function distillationStages(
  config: RunConfig,
  { teacher, images }: Taught,
  student: Model,
  source: ImageSource,
): PreparedStages {
  const { batchSize, seed } = config;
  const { maxGuidance, teacherGuidance } = config.distillation!; // a teacher comes with it
  const field = maxGuidance > 1 ? teacher.model : taughtField(teacher, teacherGuidance);
  const distillation: Distillation = { student, teacher: field, source, batchSize };
  let comparesPixels = false;
  const stores: { readonly store: PairStore; readonly steps: number }[] = [];
  const drifts: DriftStage[] = [];
  const lossesOf = ({ name, settings }: PlannedStage): readonly StepLoss[] => {
    switch (name) {
      case "mean":
        return [new MeanMapLoss(distillation)];
      case "pairs": {
        const count = Math.round(settings.count);
        const steps = Math.round(settings.steps);
        const store = new PairStore(count, source.shape, source.classes, seed);
        stores.push({ store, steps });
        return [new PairsLoss(distillation, store.source, { count, whole: settings.whole })];
      }
      case "drift": {
        comparesPixels ||= !teacher.model.encode;
        const drift = new DriftStage(distillation, {
          encode: (x: Tensor, r: number) =>
            (r === 1 ? encodedAt : [r])
              .flatMap((t) => teacher.model.encode?.(x, full([x.shape[0]], t)) ?? []),
          references: permutation(seed, streams.references, 0, images.length)
            .slice(0, Math.round(settings.references)).map((place) => images[place]),
          others: settings.others,
          push: settings.push,
          classes: source.classes,
        }, [flowMapTimes(1), ...partial]);
        drifts.push(drift);
        return inTurn(Math.round(settings.whole), drift.losses);
      }
    }
  };
  return {
    stages: stagesOf(config)!.map((stage) => ({ steps: stage.steps, losses: lossesOf(stage) })),
    async prepare({ run, signal, say, terminal }) {
      if (comparesPixels) {
        say("drift compares only the pixels of images: the network has no encode(images, t)");
      }
      for (const { store, steps } of stores) {
        const progress = stageProgress("drawing pairs", terminal);
        const onProgress = (done: number) => progress.update(done, store.count);
        await store.fill(run, field, steps, { signal, onProgress }).finally(progress.end);
      }
      for (const drift of drifts) {
        const progress = stageProgress("encoding images", terminal);
        const onImages = async (done: number, all: number) => {
          progress.update(done, all);
          await yieldToEvents();
          signal.throwIfAborted();
        };
        await unlessStopped(signal, () => drift.encode(onImages)).finally(progress.end);
      }
    },
  };
}

/** Pairs per file, which are drawn in one batch. */
const perFile = 256;

/**
 * Pairs of noise and the images that a flow generates from it. The images are stored in the run's folder.
 */
export class PairStore {
  /** The pairs, once {@linkcode fill} has made them. */
  readonly source: BatchSource;
  readonly #noise: Tensor;
  readonly #images: Tensor;
  /** The label of each row; classes take turns. */
  readonly #labels: Uint32Array<ArrayBuffer> | undefined;

  /** Draws the noise, and reserves the memory of images [C, H, W]. */
  constructor(readonly count: number, shape: Shape, classes: number, seed: number) {
    const rows = Uint32Array.from({ length: count }, (_, row) => row);
    const key = tensor(Uint32Array.of(seed, streams.pairNoise, 0));
    this.#noise = randomNormalRows(key, tensor(rows), [count, ...shape]);
    this.#images = zeros([count, ...shape]);
    this.#labels = classes > 0 ? rows.map((row) => row % classes) : undefined;
    const condition = this.#labels && { condition: tensor(this.#labels) };
    this.source = batchSource({ x0: this.#noise, x1: this.#images, ...condition });
  }

  /**
   * Reads the stored pairs of a run, and draws and stores the missing ones by `steps` steps of Heun's method. Returns false
   * if it was stopped.
   */
  async fill(
    run: string,
    field: VelocityField,
    steps: number,
    { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (done: number) => void },
  ): Promise<boolean> {
    const { count } = this;
    const shape = this.#images.shape.slice(1);
    const images = new Float32Array(this.#images.size);
    await makeFolder(run, runFolder.pairs);
    for (let first = 0; first < count; first += perFile) {
      const N = Math.min(perFile, count - first);
      const path = join(run, fileAt(runFile.pairs, first / perFile));
      const bytes = await readIfThere(path, run);
      let values: Float32Array;
      if (bytes) {
        const file = new TensorFile(bytes, path, "delete the file to draw its pairs again");
        values = file.read("x1", N, ...shape);
      } else {
        const labels = this.#labels?.slice(first, first + N);
        const drawn = await unlessStopped(signal, () =>
          solveFlow(field, slice(this.#noise, 0, first, N), {
            solver: "heun",
            steps,
            ...labels && { condition: tensor(labels) },
            onProgress: async () => {
              await yieldToEvents();
              signal.throwIfAborted();
            },
          }));
        if (!drawn) return false;
        values = drawn.samples;
        await writeAtomic(path, encodeSafetensors(tensorsOf({ x1: [N, ...shape] }, { x1: values }), {}));
      }
      images.set(values, first * images.length / count);
      onProgress(first + N);
    }
    this.#images.write(images);
    return true;
  }
}
