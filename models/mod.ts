/**
 * Networks for flow matching, their training objective, solvers, optimizers and checkpoints.
 *
 * @module
 */

export { flowMatchingLoss, type Objective, type ObjectiveParts } from "./flow/objective.ts";
export type { Pairing } from "./flow/transport.ts";
export {
  type Coupling,
  couplings,
  type HostExamples,
  independentCoupling,
  maxPaired,
  type NoiseDraw,
  type TransportBatch,
  type TransportCoupling,
} from "./flow/coupling.ts";
export { type ImageEncoder, type VelocityField } from "./flow/field.ts";
export { BakeLoss } from "./distill/bake.ts";
export { type Distillation, TaughtLoss, type TaughtPoints } from "./distill/distillation.ts";
export { DriftLoss } from "./distill/drift.ts";
export { MeanMapLoss } from "./distill/mean_map.ts";
export { ReflowLoss } from "./distill/reflow.ts";
export { ShortcutMapLoss } from "./distill/shortcut_map.ts";
export { autoguided, type GuidanceOptions, guided } from "./flow/guidance.ts";
export { type Coefficients, linearPath, type Path, type PathName, paths } from "./flow/path.ts";
export {
  predicting,
  type Prediction,
  type PredictionName,
  predictions,
  velocityPrediction,
} from "./flow/prediction.ts";
export { type TimeDistribution, timeDistributions } from "./flow/time_distribution.ts";
export {
  type Checkpoint,
  CheckpointError,
  type CheckpointFile,
  type CheckpointInfo,
  decodeCheckpoint,
  loadCheckpoint,
  type LoadOptions,
  openCheckpoint,
  saveCheckpoint,
} from "./files/checkpoint.ts";
export { decodeSafetensors, encodeSafetensors, SafetensorsError } from "./files/safetensors.ts";
export { encodeNpy } from "./files/npy.ts";
export { checkFinite, type HostTensor, type State, StateError } from "./nn/state.ts";
export {
  type Classified,
  Classifier,
  type ClassifierOptions,
  featureCount,
  type JudgeName,
  judgeNames,
} from "./judge/classifier.ts";
export { bootstrap, type Estimate, meanEstimate, proportion, type Resampling } from "./measures/estimate.ts";
export {
  nearestNeighbours,
  type Neighbours,
  type OnPairs,
  type ProductBlock,
  productBlocks,
  type RowRange,
} from "./measures/neighbours.ts";
export {
  decodeJudge,
  Judge,
  JudgeError,
  type JudgeFile,
  type JudgeInfo,
  type Judgement,
  loadJudge,
  saveJudge,
} from "./judge/judge.ts";
export {
  checkPair,
  checkPoints,
  columnMeans,
  MeasureError,
  pickPoints,
  type Points,
} from "./measures/points.ts";
export {
  type PrecisionRecall,
  precisionRecall,
  type PrecisionRecallOptions,
} from "./measures/precision_recall.ts";
export {
  type CompleteOptions,
  countParameters,
  createModel,
  type Model,
  type ModelName,
  modelNameOf,
  modelNames,
  type ModelOptions,
  type ModelType,
  modelTypeOf,
  modelTypes,
  noneOf,
  type UNetModelOptions,
} from "./nets/networks.ts";
export {
  type CompleteOwnOptions,
  type NetworkMaker,
  type NoUNetOptions,
  type OptionValue,
  type OwnImages,
  type OwnModelOptions,
} from "./nets/own.ts";
export { ResidualBlock, ResidualDown, ResidualUNet, ResidualUp } from "./nets/residual_unet.ts";
export { Up } from "./nets/unet.ts";
export type { SharedOptions, UNetOptions } from "./nets/options.ts";
export { Dropout, withDropout } from "./nn/dropout.ts";
export { Attention, Conv2d, ConvTranspose2d, GroupNorm, LayerNorm, Linear } from "./nn/layers.ts";
export { Sequential, type SequentialLayer } from "./nn/sequential.ts";
export {
  blankInitialiser,
  createInitialiser,
  type Initialiser,
  type InitialiserName,
  randomInitialiser,
} from "./nn/initialiser.ts";
export {
  Embedding,
  LabelEmbedding,
  StepEmbedding,
  TimeEmbedding,
  type TimeEmbeddingName,
  timeEmbeddingNames,
} from "./nn/embeddings.ts";
export { loadState, Module, namedParameters, stateOf } from "./nn/module.ts";
export {
  asBytes,
  fromPixels,
  type Normalization,
  snapshotToPixels,
  toPixels,
  velocityToPixels,
} from "./files/normalization.ts";
export { noise, permutation, slerp, streams } from "./random.ts";
export { type AdaptiveRunOptions, AdaptiveSampler, type AdaptiveSolution } from "./solve/adaptive_sampler.ts";
export { DensityField } from "./solve/density_field.ts";
export {
  type FlowGeometry,
  flowGeometry,
  type FollowOptions,
  type RoundTrip,
  roundTrip,
} from "./solve/geometry.ts";
export {
  type BitsOptions,
  type BitsPerDimension,
  bitsPerDimension,
  type LikelihoodOptions,
  type LogLikelihood,
  logLikelihood,
} from "./solve/likelihood.ts";
export { sample, type SampleOptions, trajectory } from "./solve/sample.ts";
export {
  type OnShare,
  type RunOptions,
  Sampler,
  type SamplerOptions,
  type Snapshot,
  type Solution,
} from "./solve/sampler.ts";
export {
  type BatchOptions,
  SampleBatches,
  type SolvedFlow,
  solveFlow,
  type SolveFlowOptions,
} from "./solve/solve_flow.ts";
export {
  type AdaptiveSolverName,
  adaptiveSolvers,
  bosh3,
  dopri5,
  evaluationsOf,
  type FlowSolverName,
  flowSolverOf,
  flowSolvers,
  heun,
  midpoint,
  rk4,
  type SolverName,
  type SolverOptions,
  solvers,
} from "./solve/solvers.ts";
export {
  defaultMaxEvaluations,
  isAdaptive,
  SolverError,
  type ToleranceOptions,
  type TriedStep,
} from "./solve/step_control.ts";
export { type BatchSteps, euler, type FlowSolver, maxNoise, type NoiseOptions } from "./solve/flow_solver.ts";
export {
  type ButcherTableau,
  defineTableau,
  type EmbeddedTableau,
  evaluationsPerStep,
  type Tableau,
} from "./solve/tableau.ts";
export {
  gridTimes,
  type Span,
  type TimeGrid,
  type TimeGridName,
  timeGrids,
  timesOf,
  type TimesOptions,
  uniformTimes,
} from "./solve/time_grids.ts";
export {
  cosineSchedule,
  createSchedule,
  oneCycleSchedule,
  progressAt,
  type Schedule,
  type ScheduleName,
  scheduleNames,
  scheduleSettings,
} from "./train/schedule.ts";
export { BatchOrder } from "./train/batch_order.ts";
export {
  batchOf,
  type BatchSource,
  batchSource,
  type StagedBatch,
  type TrainingData,
} from "./train/batch_source.ts";
export { Ema } from "./train/ema.ts";
export { fit, FitError, type FitOptions, type FitProgress } from "./train/fit.ts";
export { flatten, type NamedTensors, shareParameters, withParameters } from "./nn/flat_parameters.ts";
export { HeldOutLoss, type HeldOutOptions, meanLoss, type TimedLosses } from "./train/held_out_loss.ts";
export {
  fewestChannels,
  isMuonWeight,
  type OptimizerKind,
  optimizerKinds,
  type OptimizerOptions,
} from "./train/update_rules.ts";
export { Optimizer, optimizer, type OptimizerState } from "./train/optimizer.ts";
export type { Stage, StepLoss } from "./train/step_loss.ts";
export { type StepMeasures, Trainer, type TrainerOptions } from "./train/trainer.ts";
export {
  decodeTrainerState,
  encodeTrainerState,
  type StateExtras,
  stateTensors,
  type TrainerState,
  trainerStateOf,
} from "./train/trainer_state.ts";
