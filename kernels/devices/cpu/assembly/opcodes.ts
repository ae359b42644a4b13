/** What a call does; read by the host and by the kernels. */
export enum Opcode {
  convWeights,
  convolve,
  convWeightGradientParts,
  convWeightGradientSum,
  matmul,
  mixChannels,
  convTranspose,
  convTransposeInputGradient,
  correlateParts,
  sumParts,
  groupNorm,
  groupNormGradient,
  unary,
  unaryGradient,
  binary,
  broadcast,
  affine,
  fill,
  put,
  copyRows,
  gatherImages,
  sumChunks,
  spreadChunks,
  squaredErrors,
  squaredErrorsGradient,
  softmax,
  softmaxGradient,
  maxPool,
  maxPoolGradient,
  resizeBilinear,
  randomUniform,
  randomNormal,
  adamUpdate,
  sgdUpdate,
  emaUpdate,
}

/** Functions of one array. */
export enum Unary {
  gelu,
  silu,
  relu,
  sigmoid,
  square,
  sqrt,
  exp,
}

/** Functions of two arrays. */
export enum Binary {
  add,
  subtract,
  multiply,
  divide,
}
