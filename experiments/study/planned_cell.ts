import { countMultiplyAdds, tensor, zeros } from "../../kernels/mod.ts";
import { blankInitialiser, countParameters, createModel } from "../../models/mod.ts";
import { type Dataset, splitImages } from "../data/dataset.ts";
import { loadDataset } from "../data/load_dataset.ts";
import { checkCount } from "../evaluation/plan.ts";
import { ConfigError } from "../settings/setting.ts";
import type { TrainingConfig } from "../settings/training.ts";
import { checkCoupling } from "../training/check_coupling.ts";
import { checkPictures } from "../training/check_pictures.ts";
import { decideConditional } from "../training/conditional.ts";
import { modelOptions } from "../training/network.ts";
import type { PlannedEvaluation } from "./plan.ts";

/** What a network is made of, and what it computes. */
export interface NetworkSize {
  readonly parameters: number;
  /** Of one forward pass of one image. */
  readonly multiplyAdds: number;
}

/** The data sets of a plan, each loaded once. */
export class PlanData {
  readonly #loaded = new Map<string | null, Promise<Dataset>>();

  /** @throws {DataError} if it cannot be loaded */
  of({ data }: Pick<TrainingConfig, "data">): Promise<Dataset> {
    const known = this.#loaded.get(data) ?? loadDataset(data ?? undefined);
    this.#loaded.set(data, known);
    return known;
  }
}

/**
 * Checks a cell against its data, as its run would.
 *
 * @returns its settings, now that it is known whether the network gets labels
 * @throws {ConfigError} if the data does not have what the run or its evaluation needs
 */
export function checkedWithData(
  config: TrainingConfig,
  data: Dataset,
  { count, guidance }: PlannedEvaluation,
): TrainingConfig {
  const decided = decideConditional(config, data, () => {});
  checkCoupling(decided);
  const classes = classesOf(decided, data);
  checkPictures(decided, [data.channels, data.height, data.width], classes);
  checkCount(count, { data, trained: splitImages(data.train.count, decided).train });
  if (guidance !== undefined && guidance !== 1 && classes === 0 && decided.guidance === 1) {
    throw new ConfigError(
      `Cannot evaluate with guidance ${guidance}: the network is trained without classes, and nothing is kept to guide it ` +
        "away from (expected guidance 1, or the setting guidance above 1)",
    );
  }
  return decided;
}

/** Counts a network without making it. @throws {ShapeError} if it cannot be made */
export function networkSize(config: TrainingConfig, data: Dataset): NetworkSize {
  const classes = classesOf(config, data);
  const options = modelOptions(config, data.channels, classes);
  const multiplyAdds = countMultiplyAdds(() => {
    const x = zeros([1, data.channels, data.height, data.width]);
    const condition = classes > 0 ? tensor(new Uint32Array(1)) : undefined;
    createModel(options, blankInitialiser).velocity(x, tensor(new Float32Array(1)), condition);
  });
  return { parameters: countParameters(options), multiplyAdds };
}

function classesOf({ conditional }: TrainingConfig, { classes }: Dataset): number {
  return conditional === true ? classes : 0;
}
