/**
 * Networks for flow matching, their training objective, solvers, optimizers and checkpoints.
 *
 * @module
 */

export {
  flowMatchingLoss,
  type Objective,
  type ObjectiveParts,
  predicting,
  type Prediction,
  type PredictionName,
  predictions,
  velocityPrediction,
} from "./flow/objective.ts";
export {
  type Coupling,
  couplings,
  type HostExamples,
  independentCoupling,
  maxPaired,
  type NoiseDraw,
  type Pairing,
  type TransportBatch,
  type TransportCoupling,
} from "./flow/coupling.ts";
export type { ImageEncoder, VelocityField } from "./flow/field.ts";
export type { Distillation } from "./distill/distillation.ts";
export { type DriftOptions, DriftStage } from "./distill/drift.ts";
export { MeanMapLoss } from "./distill/mean_map.ts";
export { PairsLoss } from "./distill/pairs.ts";
export { autoguided, type GuidanceOptions, guided } from "./flow/guidance.ts";
export {
  type Coefficients,
  linearPath,
  type Path,
  type PathName,
  paths,
  type TimeDistribution,
  timeDistributions,
} from "./flow/path.ts";
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
export {
  checkFinite,
  type HostTensor,
  loadState,
  Module,
  namedParameters,
  type State,
  StateError,
  stateOf,
} from "./nn/module.ts";
export {
  type Classified,
  Classifier,
  type ClassifierOptions,
  decodeJudge,
  featureCount,
  Judge,
  JudgeError,
  type JudgeFile,
  type JudgeInfo,
  type Judgement,
  type JudgeName,
  judgeNames,
  loadJudge,
  saveJudge,
} from "./judge/judge.ts";
export {
  bootstrap,
  type Estimate,
  meanEstimate,
  type PrecisionRecall,
  precisionRecall,
  type PrecisionRecallOptions,
  proportion,
  type Resampling,
} from "./measures/estimate.ts";
export {
  checkPair,
  checkPoints,
  columnMeans,
  MeasureError,
  nearestNeighbours,
  type Neighbours,
  type OnPairs,
  pickPoints,
  type Points,
  type ProductBlock,
  productBlocks,
  type RowRange,
} from "./measures/points.ts";
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
export type {
  CompleteOwnOptions,
  NetworkMaker,
  NoUNetOptions,
  OptionValue,
  OwnImages,
  OwnModelOptions,
  SharedOptions,
  UNetOptions,
} from "./nets/options.ts";
export {
  Attention,
  Conv2d,
  ConvTranspose2d,
  Dropout,
  GroupNorm,
  LayerNorm,
  Linear,
  Sequential,
  type SequentialLayer,
  withDropout,
} from "./nn/layers.ts";
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
export {
  asBytes,
  fromPixels,
  type Normalization,
  snapshotToPixels,
  toPixels,
  velocityToPixels,
} from "./files/normalization.ts";
export { noise, permutation, slerp, streams } from "./random.ts";
export {
  type AdaptiveRunOptions,
  AdaptiveSampler,
  type AdaptiveSolution,
  SolverError,
} from "./solve/adaptive_sampler.ts";
export {
  type BitsOptions,
  type BitsPerDimension,
  bitsPerDimension,
  DensityField,
  type LikelihoodOptions,
  type LogLikelihood,
  logLikelihood,
} from "./solve/likelihood.ts";
export {
  type FlowGeometry,
  flowGeometry,
  type FollowOptions,
  type RoundTrip,
  roundTrip,
} from "./solve/geometry.ts";
export {
  type BatchOptions,
  sample,
  SampleBatches,
  type SampleOptions,
  type SolvedFlow,
  solveFlow,
  type SolveFlowOptions,
  trajectory,
} from "./solve/sample.ts";
export {
  NotFiniteError,
  type OnShare,
  type RunOptions,
  Sampler,
  type SamplerOptions,
  type Snapshot,
  type Solution,
  type TriedStep,
} from "./solve/sampler.ts";
export {
  type AdaptiveSolverName,
  adaptiveSolvers,
  bosh3,
  type ButcherTableau,
  defineTableau,
  dopri5,
  type EmbeddedTableau,
  euler,
  evaluationsPerStep,
  heun,
  midpoint,
  rk4,
  type SolverName,
  solvers,
  type Tableau,
} from "./solve/tableau.ts";
export {
  type BatchSteps,
  defaultMaxEvaluations,
  type EndOptions,
  evaluationsOf,
  type FlowSolver,
  type FlowSolverName,
  flowSolverOf,
  flowSolvers,
  isAdaptive,
  maxNoise,
  type NoiseOptions,
  type SolverOptions,
  type ToleranceOptions,
} from "./solve/solvers.ts";
export {
  flowMapTimes,
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
export {
  batchOf,
  BatchOrder,
  type BatchSource,
  batchSource,
  type StagedBatch,
  type TrainingData,
} from "./train/batches.ts";
export { Ema, Optimizer, optimizer, type OptimizerState } from "./train/optimizer.ts";
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
export {
  decodeTrainerState,
  encodeTrainerState,
  type Stage,
  type StateExtras,
  stateTensors,
  type StepLoss,
  type StepMeasures,
  Trainer,
  type TrainerOptions,
  type TrainerState,
  trainerStateOf,
} from "./train/trainer.ts";
