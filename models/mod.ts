/**
 * Networks for flow matching, their training objective, solvers, optimizers and checkpoints.
 *
 * @module
 */

export { constant, cosine, oneCycle } from "./train/annealing.ts";
export { Attention } from "./nn/attention.ts";
export {
  type Checkpoint,
  CheckpointError,
  type CheckpointInfo,
  loadCheckpoint,
  saveCheckpoint,
} from "./files/checkpoint.ts";
export { Ema } from "./train/ema.ts";
export { fit, FitError, type FitOptions, type FitProgress } from "./train/fit.ts";
export { flowMatchingLoss, path, type VelocityField } from "./flow/flow.ts";
export { blankInitialiser, type Initialiser, randomInitialiser } from "./nn/initialiser.ts";
export { Conv2d, ConvTranspose2d, GroupNorm, Linear } from "./nn/layers.ts";
export { loadState, Module, namedParameters, stateOf } from "./nn/module.ts";
export {
  completeOptions,
  countParameters,
  createModel,
  type Model,
  type ModelOptions,
  type ModelType,
  modelTypes,
} from "./nets/networks.ts";
export {
  fromPixels,
  type Normalization,
  snapshotToPixels,
  toPixels,
  velocityToPixels,
} from "./normalization.ts";
export { openCheckpoint } from "./files/open_checkpoint.ts";
export { Optimizer, optimizer, type TrainingState } from "./train/optimizer.ts";
export { FlatParameters, flatten, type Place, withParameters } from "./train/parameters.ts";
export { plateau } from "./train/plateau.ts";
export { ResidualBlock, ResidualDown, ResidualUNet, ResidualUp } from "./nets/residual_unet.ts";
export {
  decodeSafetensors,
  encodeSafetensors,
  SafetensorsError,
  type SafetensorsTensor,
} from "./files/safetensors.ts";
export { noise, sample, type Start, trajectory } from "./solve/sample.ts";
export { Sampler, type SamplerOptions, type Snapshot, type TrajectoryOptions } from "./solve/sampler.ts";
export { createSchedule, type Schedule, type ScheduleName, scheduleNames } from "./train/schedule.ts";
export {
  type ButcherTableau,
  euler,
  heun,
  midpoint,
  rk4,
  type SolverName,
  solvers,
  step,
} from "./solve/solvers.ts";
export { type State, StateError } from "./files/state.ts";
export { TimeEmbedding } from "./nn/time_embedding.ts";
export { UNet, type UNetOptions, Up } from "./nets/unet.ts";
export { type OptimizerKind, optimizerKinds, type OptimizerOptions } from "./train/update_rules.ts";
