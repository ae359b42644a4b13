/**
 * Tensors, reverse-mode autograd and the ops of small image networks, on WebGPU or the CPU.
 *
 * @module
 */
export { gradients } from "./autograd.ts";
export { checkGradients, type GradientCheck, GradientError } from "./check_gradients.ts";
export { currentDevice } from "./context.ts";
export {
  type BufferRange,
  type CompileProgress,
  type Device,
  type DeviceBuffer,
  DeviceError,
  type Dims,
  type Kernel,
  type KernelCall,
  type NumberArray,
  type Tuning,
  type Workgroups,
} from "./devices/device.ts";
export { type DeviceChoice, init, withDevice } from "./init.ts";
export {
  type AttributeTypes,
  type AttributeValues,
  defineOp,
  type NoAttributes,
  type Op,
  type OpArguments,
  type OpDefinition,
  type OpResult,
  type Sample,
  type Saved,
  type Tensors,
} from "./op.ts";
export { attend } from "./ops/attend.ts";
export { conv2d } from "./ops/conv2d.ts";
export { convTranspose2d } from "./ops/conv_transpose2d.ts";
export { add, divide, multiply, negate, subtract } from "./ops/elementwise.ts";
export { assign, full, put, zeros } from "./ops/fill.ts";
export { gatherImages, gatherRows, packBytes } from "./ops/gather.ts";
export { groupNorm } from "./ops/group_norm.ts";
export { meanSquaredError } from "./ops/loss.ts";
export { linear, matmul, matmulTransposedA, matmulTransposedB, transpose } from "./ops/matmul.ts";
export { concat, permute, reshape, slice } from "./ops/movement.ts";
export { type Adam, adamL2Update, adamUpdate, emaUpdate, sgdUpdate, squaredNorm } from "./ops/optimizer.ts";
export { maxPool2d } from "./ops/pool.ts";
export { randomNormal, randomUniform } from "./ops/random.ts";
export { mean, sum } from "./ops/reduce.ts";
export { resizeBilinear } from "./ops/resample.ts";
export { softmax } from "./ops/softmax.ts";
export { randomBits, uniforms } from "./ops/threefry.ts";
export { exp, gelu, log, relu, sigmoid, silu, sqrt, square, tanh } from "./ops/unary.ts";
export type { MemoryPlan } from "./memory_plan.ts";
export { planMemory, record, type RecordedStep, type RecordOptions } from "./record.ts";
export { scope } from "./scope.ts";
export { type Shape, ShapeError } from "./shape.ts";
export type { BareName, DataType, InputNames, OutputNames, Port, PortNames } from "./signature.ts";
export type { Storage } from "./storage.ts";
export { type History, Tensor, tensor } from "./tensor.ts";
