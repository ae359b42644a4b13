import { type Coupling, couplings, mostPaired } from "../../../models/flow/coupling.ts";
import { makeVariant } from "../variant.ts";
import { ConfigError, flagOf } from "../setting.ts";
import type { TrainingConfig } from "./train.ts";

/** The settings of a network that can contradict each other. */
export type NetworkConfig = Pick<TrainingConfig, "model" | "filters" | "attn" | "groups">;

/**
 * Checks that the group normalisations of a network divide its channels: in the residual network those of every level,
 * with attention those of the last level.
 *
 * @throws {ConfigError} naming the level whose channels the groups do not divide
 */
export function checkGroups({ model, filters, attn, groups }: NetworkConfig): void {
  const last = filters.length - 1;
  const undivided = filters.findIndex((channels, level) => {
    return (model === "residual" || (attn && level === last)) && channels % groups !== 0;
  });
  if (undivided < 0) return;
  const reason = model === "residual"
    ? "the residual model normalises every level"
    : "--attn normalises the last";
  throw new ConfigError(
    `Cannot use --groups ${groups} with --filters ${filters}: ${groups} does not divide ` +
      `${filters[undivided]}, the channels of level ${undivided + 1} (${reason}; expected multiples of ` +
      `${groups}, or other --groups)`,
  );
}

/**
 * Checks the settings of a training run against each other.
 *
 * @throws {ConfigError} if the network cannot be built, the run would never end, or its schedule would see no loss
 */
export function checkConfig(config: TrainingConfig): void {
  checkGroups(config);
  if (config.timeEmbedding === "sinusoidal" && config.tEmb % 2 !== 0) {
    throw new ConfigError(
      `Cannot use --time-embedding sinusoidal with --t-emb ${config.tEmb}: waves come in pairs (expected an even number)`,
    );
  }
  if (config.epochs === 0 && config.maxSteps === 0 && config.maxMinutes === 0) {
    throw new ConfigError(
      "Cannot train without an end: --epochs, --max-steps and --max-minutes are all 0 (expected one above 0)",
    );
  }
  const { sees }: Coupling = makeVariant(couplings, config.coupling);
  if (sees !== undefined && config.batchSize > mostPaired) {
    throw new ConfigError(
      `Cannot use --coupling ${config.coupling} with --batch-size ${config.batchSize}: pairing more would take longer ` +
        `than a step (expected at most ${mostPaired})`,
    );
  }
  if (config.schedule === "plateau" && config.valFraction === 0) {
    throw new ConfigError(
      "Cannot use --schedule plateau with --val-fraction 0: it follows the validation loss (expected above 0)",
    );
  }
}

/** What a setting needs to have an effect: in words, and whether it is met. */
type Need = readonly [words: string, met: (config: Partial<TrainingConfig>) => boolean];

const adam: Need = ["--optimizer adamw, adam or muon", ({ optimizer }) => optimizer !== "sgd"];
const plateau: Need = ["--schedule plateau", ({ schedule }) => schedule === "plateau"];
const heldOut: Need = ["--val-fraction above 0", ({ valFraction }) => valFraction !== 0];
const labels: Need = ["--conditional", ({ conditional }) => conditional !== false];
const samples: Need = ["--samples above 0", (config) => config.samples !== 0];
const flow: Need = ["--flow-samples above 0", (config) => config.flowSamples !== 0];

/** Settings that have an effect only with others. */
const needs: { readonly [Name in keyof TrainingConfig]?: Need } = {
  muonLr: ["--optimizer muon", ({ optimizer }) => optimizer === "muon"],
  momentum: ["--optimizer sgd", ({ optimizer }) => optimizer === "sgd"],
  beta1: adam,
  beta2: adam,
  eps: adam,
  plateauFactor: plateau,
  plateauPatience: plateau,
  groups: ["--model residual or --attn", ({ model, attn }) => model === "residual" || attn === true],
  labelDropout: labels,
  valBatches: heldOut,
  valEpochs: heldOut,
  solver: samples,
  sampleSteps: samples,
  sampleEpochs: samples,
  flowSteps: flow,
  flowFrames: flow,
  pacing: flow,
  name: ["no --out, which names the folder itself", ({ out }) => typeof out !== "string"],
  threads: ["--device cpu or auto", ({ device }) => device !== "webgpu"],
  tune: ["--device webgpu or auto", ({ device }) => device !== "cpu"],
};

/** Values that turn something off: allowed where it is off anyway. */
const off: Partial<TrainingConfig> = { sampleEpochs: 0, valBatches: 0, threads: 0, tune: false };

/**
 * Checks that every given setting has an effect.
 *
 * @param given the settings on the command line
 * @param config all settings of the run
 * @throws {ConfigError} naming the setting and what it needs
 */
export function checkEffects(given: Partial<TrainingConfig>, config: Partial<TrainingConfig>): void {
  const idle = idleSettings(given, config)[0];
  if (idle === undefined) return;
  const [words] = needs[idle]!;
  throw new ConfigError(
    `Cannot use ${flagOf(idle)} here: it has an effect only with ${words} (leave it out)`,
  );
}

/** The given settings that have no effect with all settings of the run. */
export function idleSettings(
  given: Partial<TrainingConfig>,
  config: Partial<TrainingConfig>,
): (keyof TrainingConfig)[] {
  return (Object.keys(given) as (keyof TrainingConfig)[]).filter((name) => {
    const met = needs[name]?.[1] ?? (() => true);
    return !met(config) && !(name in off && given[name] === off[name]);
  });
}
