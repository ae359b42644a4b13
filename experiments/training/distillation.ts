import { assign, full, type Tensor } from "../../kernels/mod.ts";
import {
  BakeLoss,
  createModel,
  type Distillation,
  DriftLoss,
  MeanMapLoss,
  type Model,
  type ModelOptions,
  namedParameters,
  permutation,
  ReflowLoss,
  ShortcutMapLoss,
  type Stage,
  StateError,
  type StepLoss,
  streams,
} from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { stageProgress, type Terminal } from "../cli/progress.ts";
import { type PlannedStage, stagesOf } from "../cli/stages.ts";
import type { TrainingConfig } from "../cli/training.ts";
import { PairStore } from "./pair_store.ts";
import { taughtField, type Teacher } from "../run/weights.ts";

/** Times of the flow at which the teacher encodes images: it sees different features at each. */
const encodedAt = [0.95, 0.8, 0.6];

/**
 * Makes the flow map: the teacher's weights, and an embedding of d that starts at zero.
 *
 * @throws {StateError | ShapeError} if the teacher is another network than the options describe
 */
export function makeStudent(
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

/** What the work before a run's first step needs: a folder, a signal, and where messages go. */
export interface Preparation {
  readonly run: string;
  readonly signal: AbortSignal;
  readonly say: (message: string) => void;
  readonly terminal: Terminal | undefined;
}

/** The stages of a distillation for a trainer, and the work before the first step. */
export interface PreparedStages {
  readonly stages: readonly Stage[];
  /** Draws or reads the pairs that a stage needs, until it is stopped. */
  prepare(preparation: Preparation): Promise<void>;
}

/** Makes the losses of a configuration's stages. */
export function distillationStages(
  config: TrainingConfig,
  teacher: Teacher,
  student: Model,
  source: ImageSource,
  images: Uint32Array,
): PreparedStages {
  const { batchSize, seed } = config;
  const field = config.maxGuidance > 1 ? teacher.model : taughtField(teacher, config.teacherGuidance);
  const distillation: Distillation = { student, teacher: field, source, batchSize };
  let comparesPixels = false;
  const stores: { readonly store: PairStore; readonly steps: number; readonly count: number }[] = [];
  const lossOf = ({ name, settings }: PlannedStage): StepLoss => {
    switch (name) {
      case "bake":
        return new BakeLoss(distillation);
      case "mean":
        return new MeanMapLoss(distillation);
      case "shortcut":
        return new ShortcutMapLoss(distillation);
      case "reflow": {
        const [count, steps] = [settings.pairs, settings.steps].map(Math.round);
        const store = new PairStore({ shape: source.shape, count, classes: source.classes, seed });
        stores.push({ store, steps, count });
        return new ReflowLoss(distillation, store.source, { count, whole: settings.whole });
      }
      case "drift":
        comparesPixels ||= !teacher.model.encode;
        return new DriftLoss(distillation, {
          encode: (x: Tensor) =>
            encodedAt.flatMap((t) => teacher.model.encode?.(x, full([x.shape[0]], t)) ?? []),
          references: permutation(seed, streams.references, 0, images.length)
            .slice(0, Math.round(settings.references)).map((place) => images[place]),
          others: settings.others,
          push: settings.push,
          classes: source.classes,
          evaluations: Math.round(settings.evaluations),
        });
    }
  };
  return {
    stages: stagesOf(config)!.map((stage) => {
      const own = lossOf(stage);
      const turns = Math.round(stage.settings.keep ?? 0);
      const losses = turns > 0 ? [...Array(turns - 1).fill(own), new ShortcutMapLoss(distillation)] : [own];
      return { steps: stage.steps, losses };
    }),
    async prepare({ run, signal, say, terminal }) {
      if (comparesPixels) {
        say("drift compares only the pixels of images: the network has no encode(images, t)");
      }
      for (const { store, steps, count } of stores) {
        const progress = stageProgress("drawing pairs", terminal);
        const onProgress = (done: number) => progress.update(done, count);
        await store.fill(run, field, steps, { signal, onProgress }).finally(progress.end);
      }
    },
  };
}
