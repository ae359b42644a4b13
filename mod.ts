/**
 * Flow matching on Deno and WebGPU: tensors and autograd, networks and solvers, pictures.
 *
 * Importing has no side effects. `init()` opens the device: a GPU, or else the CPU. Less common exports, such as single
 * kernels, solver stages and option types, are in `kernels/mod.ts`, `models/mod.ts` and `viz/mod.ts`.
 *
 * @example Sample from a trained model
 * ```ts
 * import { encodePng, imageGrid, init, openCheckpoint, sample } from "./mod.ts";
 *
 * await init();
 * const { model, range } = await openCheckpoint("checkpoints/mnist_residual.safetensors");
 * const x1 = sample(model, { count: 4 });
 * const png = encodePng(imageGrid(await x1.read(), [4, 28, 28], { range }));
 * console.log(png.length, "bytes of a picture of four digits");
 * ```
 *
 * @example Train your own network: any module with `velocity(x, t)`
 * ```ts
 * import { concat, fit, init, Linear, Module, reshape, sample, type Tensor, tensor } from "./mod.ts";
 *
 * class LinearField extends Module {
 *   map = new Linear(3, 2);
 *   velocity = (x: Tensor, t: Tensor) => this.map.forward(concat([x, reshape(t, [t.size, 1])], 1));
 * }
 *
 * await init();
 * const field = new LinearField();
 * const losses = await fit(field, tensor([3, 4, 3.5, 4.5, 2.5, 3.5], [3, 2]), { steps: 20, learningRate: 0.05 });
 * const points = sample(field, { count: 5 });
 * console.log(losses.at(-1), await points.read());
 * ```
 *
 * @example Use autograd alone
 * ```ts
 * import { gradients, init, multiply, sum, tensor } from "./mod.ts";
 *
 * await init();
 * const x = tensor([1, 2, 3]);
 * const [dx] = gradients(sum(multiply(x, x)), [x]);
 * console.log(await dx.read()); // [2, 4, 6]
 * ```
 *
 * @module
 */
export {
  abs,
  add,
  argmax,
  assign,
  attend,
  checkGradients,
  concat,
  conv2d,
  convTranspose2d,
  cos,
  crossEntropy,
  currentDevice,
  defineOp,
  type Device,
  type DeviceChoice,
  DeviceError,
  divide,
  exp,
  full,
  gatherRows,
  gelu,
  gradients,
  greater,
  groupNorm,
  init,
  less,
  linear,
  log,
  logSoftmax,
  matmul,
  max,
  maximum,
  maxPool2d,
  mean,
  meanSquaredError,
  type MemoryPlan,
  min,
  minimum,
  multiply,
  negate,
  type Op,
  type OpDefinition,
  permute,
  planMemory,
  randomNormal,
  randomUniform,
  record,
  type RecordedStep,
  relu,
  reshape,
  resizeBilinear,
  scope,
  type Shape,
  ShapeError,
  sigmoid,
  silu,
  sin,
  slice,
  softmax,
  sqrt,
  square,
  subtract,
  sum,
  tanh,
  type Tensor,
  tensor,
  transpose,
  UserError,
  where,
  withDevice,
  zeros,
} from "./kernels/mod.ts";

export {
  AdaptiveSampler,
  adaptiveSolvers,
  asBytes,
  Attention,
  autoguided,
  BatchOrder,
  type BatchSource,
  batchSource,
  bitsPerDimension,
  blankInitialiser,
  type ButcherTableau,
  type Checkpoint,
  CheckpointError,
  type CheckpointInfo,
  Classifier,
  classTransportPairs,
  constantSchedule,
  Conv2d,
  ConvTranspose2d,
  cosinePath,
  cosineSchedule,
  countParameters,
  type Coupling,
  couplings,
  createModel,
  createSchedule,
  decodeCheckpoint,
  decodeSafetensors,
  defineTableau,
  Ema,
  encodeSafetensors,
  type Estimate,
  fit,
  FitError,
  type FitOptions,
  type FitProgress,
  flowGeometry,
  flowMatching,
  flowMatchingLoss,
  fromPixels,
  GroupNorm,
  type GuidanceOptions,
  guided,
  HeldOutLoss,
  type Initialiser,
  type Judge,
  JudgeError,
  type Judgement,
  LabelEmbedding,
  Linear,
  linearPath,
  loadCheckpoint,
  loadJudge,
  loadState,
  logLikelihood,
  lossesOf,
  meanLoss,
  MeasureError,
  type Model,
  type ModelOptions,
  modelTypes,
  Module,
  namedParameters,
  noise,
  noneOf,
  type Normalization,
  type Objective,
  oneCycleSchedule,
  openCheckpoint,
  optimizer,
  type OptimizerKind,
  optimizerKinds,
  type OptimizerOptions,
  type Pairs,
  type Path,
  paths,
  plateauSchedule,
  type Points,
  type Prdc,
  prdc,
  predicting,
  type Prediction,
  predictions,
  progressAt,
  randomInitialiser,
  ResidualUNet,
  roundTrip,
  SafetensorsError,
  sample,
  type SampleOptions,
  Sampler,
  type SamplerOptions,
  saveCheckpoint,
  saveJudge,
  type Schedule,
  slerp,
  type Snapshot,
  solveFlow,
  SolverError,
  type SolverOptions,
  solvers,
  type State,
  StateError,
  stateOf,
  type TimeDistribution,
  timeDistributions,
  TimeEmbedding,
  timeGrids,
  toPixels,
  Trainer,
  type TrainerOptions,
  type TrainingData,
  trajectory,
  transportPairs,
  UNet,
  type VelocityField,
} from "./models/mod.ts";

export {
  arrowsFigure,
  captionedGrid,
  colormap,
  type ColormapName,
  colormapNames,
  encodeApng,
  encodeGif,
  encodePng,
  encodeRasterPng,
  evenTimes,
  figure,
  figureRow,
  filmstrip,
  flowFrames,
  flowGif,
  type GridOptions,
  imageGrid,
  lossFigure,
  notebookDisplay,
  pace,
  pacings,
  pathsFigure,
  type Picture,
  type PlotlyFigure,
  quiver,
  type Raster,
  rasterizer,
  showAs,
} from "./viz/mod.ts";
