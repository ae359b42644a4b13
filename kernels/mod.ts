/**
 * Tensors, reverse-mode autograd and the ops of small image networks, on WebGPU or the CPU.
 *
 * @module
 */
export { gradients } from "./autograd/gradients.ts";
export { jvp } from "./autograd/jvp.ts";
export { checkGradients, type GradientCheck, GradientError } from "./autograd/check_gradients.ts";
export type { Axis, DataType, InputNames, OutputNames, Port } from "./core/signature.ts";
export { currentDevice, type DeviceChoice, init, withDevice } from "./core/context.ts";
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
export type { WasmCall, WasmKernel } from "./devices/cpu/wasm_call.ts";
export { type CallPlan, defineOp, type Op, type OpArguments, type OpResult, type Tensors } from "./op.ts";
export type {
  AttributeTypes,
  AttributeValues,
  DefineOptions,
  OpDefinition,
  Sample,
  Saved,
  Values,
  WasmLowering,
} from "./op_definition.ts";
export { attend } from "./ops/attend.ts";
export {
  conv2d,
  type ConvolutionOptions,
  convTranspose2d,
  type PerAxis,
  type TransposedConvolutionOptions,
} from "./ops/conv2d/conv2d.ts";
export {
  abs,
  cos,
  exp,
  gelu,
  log,
  relu,
  sigmoid,
  silu,
  sin,
  sqrt,
  square,
  tanh,
  type UnaryOp,
} from "./ops/elementwise/unary.ts";
export { add, divide, multiply, negate, subtract } from "./ops/elementwise/binary.ts";
export { clamp, greater, less, maximum, minimum, where } from "./ops/elementwise/comparison.ts";
export { pow } from "./ops/elementwise/pow.ts";
export { assign, full, putAt, zeros } from "./ops/layout/fill.ts";
export { gatherImages, gatherRows, packBytes } from "./ops/layout/gather.ts";
export { groupNorm } from "./ops/group_norm/op.ts";
export { layerNorm } from "./ops/layer_norm.ts";
export { crossEntropy, meanSquaredError } from "./ops/reduce/losses.ts";
export { logSoftmax, softmax } from "./ops/reduce/softmax.ts";
export { linear, matmul, matmulTransposedA, matmulTransposedB, transpose } from "./ops/matmul/op.ts";
export { concat, pad, reshape, slice, stack } from "./ops/layout/movement.ts";
export { permute } from "./ops/layout/permute.ts";
export { type Adam, adamL2Update, adamUpdate, emaUpdate, sgdUpdate, squaredNorm } from "./ops/optimizer.ts";
export { averagePool2d, maxPool2d } from "./ops/resample/pool.ts";
export { normals, randomNormal, randomNormalRows, randomUniform } from "./ops/random/random.ts";
export { argmax, max, min } from "./ops/reduce/max.ts";
export { mean, sum } from "./ops/reduce/reduce.ts";
export { variance } from "./ops/reduce/variance.ts";
export { resizeBilinear } from "./ops/resample/resample.ts";
export { randomBits, uniforms } from "./ops/random/threefry.ts";
export { peek } from "./record/peek.ts";
export type { MemoryPlan } from "./record/memory_plan.ts";
export {
  countMultiplyAdds,
  planMemory,
  record,
  type RecordedStep,
  type RecordOptions,
} from "./record/record.ts";
export { scope } from "./core/scope.ts";
export { type Shape, ShapeError } from "./core/shape.ts";
export { UserError } from "./core/checks.ts";
export type { Storage } from "./core/memory.ts";
export { type GradientRule, type History, Tensor, tensor } from "./core/tensor.ts";
