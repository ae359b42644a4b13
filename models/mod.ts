/**
 * Networks for flow matching, their training objective, solvers, optimizers and checkpoints.
 *
 * @module
 */

export { constant, cosine, oneCycle } from "./annealing.ts";
export { Attention } from "./attention.ts";
export {
  type Checkpoint,
  CheckpointError,
  type CheckpointInfo,
  loadCheckpoint,
  saveCheckpoint,
} from "./checkpoint.ts";
export { Ema } from "./ema.ts";
export { fit, FitError, type FitOptions, type FitProgress } from "./fit.ts";
export { flowMatchingLoss, path, type VelocityField } from "./flow.ts";
export { blankInitialiser, type Initialiser, randomInitialiser } from "./initialiser.ts";
export { Conv2d, ConvTranspose2d, GroupNorm, Linear } from "./layers.ts";
export { loadState, Module, namedParameters, stateOf } from "./module.ts";
export {
  completeOptions,
  countParameters,
  createModel,
  type Model,
  type ModelOptions,
  type ModelType,
  modelTypes,
} from "./networks.ts";
export { openCheckpoint } from "./open_checkpoint.ts";
export { Optimizer, optimizer, type TrainingState } from "./optimizer.ts";
export { FlatParameters, flatten, type Place, withParameters } from "./parameters.ts";
export { plateau } from "./plateau.ts";
export { ResidualBlock, ResidualDown, ResidualUNet, ResidualUp } from "./residual_unet.ts";
export {
  decodeSafetensors,
  encodeSafetensors,
  SafetensorsError,
  type SafetensorsTensor,
} from "./safetensors.ts";
export { noise, sample, type Start, trajectory } from "./sample.ts";
export { Sampler, type SamplerOptions, type Snapshot, type TrajectoryOptions } from "./sampler.ts";
export { createSchedule, type Schedule, type ScheduleName, scheduleNames } from "./schedule.ts";
export {
  type ButcherTableau,
  euler,
  heun,
  midpoint,
  rk4,
  type SolverName,
  solvers,
  step,
} from "./solvers.ts";
export { type State, StateError } from "./state.ts";
export { TimeEmbedding } from "./time_embedding.ts";
export { UNet, type UNetOptions, Up } from "./unet.ts";
export { type OptimizerKind, optimizerKinds, type OptimizerOptions } from "./update_rules.ts";
