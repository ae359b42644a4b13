/**
 * Tensors, reverse-mode autograd and the ops of small image networks, on WebGPU or the CPU.
 *
 * @module
 */
export { checkGradients, type GradientCheck, GradientError, gradients, jvp } from "./autograd/gradients.ts";
export { UserError } from "./core/checks.ts";
export { currentDevice, type DeviceChoice, init, withDevice } from "./core/context.ts";
export type { Storage } from "./core/memory.ts";
export {
  type Axis,
  type DataType,
  type InputNames,
  type OutputNames,
  type Port,
  type Shape,
  ShapeError,
} from "./core/shape.ts";
export { type GradientRule, type History, scope, Tensor, tensor } from "./core/tensor.ts";
export type { WasmCall, WasmKernel } from "./devices/cpu/wasm_call.ts";
export {
  type BufferRange,
  type ChoiceKey,
  type ChoiceStore,
  type ChosenBy,
  type CompileProgress,
  type Device,
  type DeviceBuffer,
  DeviceError,
  type Dims,
  type Kernel,
  type KernelCall,
  type KernelChoice,
  type NumberArray,
  type Pass,
  type PassBuffer,
  type TuneOptions,
  type Tuning,
  type Workgroups,
} from "./devices/device.ts";
export { defineOp, type Op, type OpArguments, type OpResult, type Tensors } from "./op.ts";
export type {
  AttributeTypes,
  AttributeValues,
  CallPlan,
  DefineOptions,
  OpDefinition,
  Sample,
  Saved,
  Values,
  WasmLowering,
} from "./op_definition.ts";
export {
  conv2d,
  type ConvolutionOptions,
  convTranspose2d,
  type PerAxis,
  type TransposedConvolutionOptions,
} from "./ops/conv2d/op.ts";
export {
  add,
  clamp,
  divide,
  greater,
  less,
  maximum,
  minimum,
  multiply,
  negate,
  subtract,
  where,
} from "./ops/elementwise/binary.ts";
export {
  abs,
  cos,
  exp,
  gelu,
  log,
  pow,
  relu,
  sigmoid,
  silu,
  sin,
  sqrt,
  square,
  tanh,
  type UnaryOp,
} from "./ops/elementwise/unary.ts";
export { gatherImages, gatherRows, packBytes } from "./ops/gather.ts";
export { groupNorm } from "./ops/group_norm/op.ts";
export { layerNorm } from "./ops/layer_norm.ts";
export { assign, concat, full, pad, permute, putAt, reshape, slice, stack, zeros } from "./ops/layout.ts";
export { linear, matmul, matmulTransposedA, matmulTransposedB, transpose } from "./ops/matmul/op.ts";
export { type Adam, adamL2Update, adamUpdate, emaUpdate, sgdUpdate, squaredNorm } from "./ops/optimizer.ts";
export {
  normals,
  randomBits,
  randomNormal,
  randomNormalRows,
  randomUniform,
  uniforms,
} from "./ops/random.ts";
export { mean, sum } from "./ops/reduce/reduce.ts";
export { attend, crossEntropy, logSoftmax, meanSquaredError, softmax } from "./ops/reduce/softmax.ts";
export { argmax, max, min, variance } from "./ops/reduce/statistics.ts";
export { averagePool2d, maxPool2d, resizeBilinear } from "./ops/resample.ts";
export type { MemoryPlan } from "./record/memory_plan.ts";
export {
  countMultiplyAdds,
  peek,
  planMemory,
  record,
  type RecordedStep,
  type RecordOptions,
} from "./record/record.ts";
