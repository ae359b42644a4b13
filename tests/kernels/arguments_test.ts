/** Arguments that public functions refuse with a one-line error: numbers, options, lists and shapes. */

import assert from "node:assert/strict";
import * as k from "../../kernels/mod.ts";
import { Tensor } from "../../kernels/mod.ts";
import { registry } from "../../kernels/op.ts";
import { assertRefuses, type Counting, notCounts } from "../refusing.ts";
import { assertClose, testOnCpu } from "../testing.ts";

const { add, argmax, attend, averagePool2d, checkGradients, clamp, concat, conv2d, convTranspose2d } = k;
const { crossEntropy, full, gatherImages, gatherRows, gradients, groupNorm, init, layerNorm, linear } = k;
const { matmul, mean, min, pad, permute, pow, randomBits, randomNormal, randomNormalRows } = k;
const { randomUniform, record, reshape, resizeBilinear, scope, slice, softmax, square, stack, sum } = k;
const { tensor, transpose, variance, where, zeros } = k;

const image = () => full([1, 2, 4, 4], 1);
const key = () => tensor(Uint32Array.of(1, 2, 3));
const words = (...values: number[]) => tensor(Uint32Array.from(values));
const taps = () => zeros([1, 2, 3, 3]);
const notLengths = [...notCounts, 0];
/** Values that are neither axes nor indices of small tensors. */
const notAxes = [1.5, NaN, -7, Infinity, 2 ** 60];
const notWords = [1.5, NaN, -2, Infinity, 2 ** 32, "2" as unknown as number];

/** Public functions that take a number in a range, by the argument. */
const counting: Record<string, Counting | [Counting, readonly number[]]> = {
  "tensor() shape": (n) => tensor([1, 2], [n, 1]),
  "full() shape": (n) => full([n, 2], 1),
  "reshape() shape": (n) => reshape(image(), [n, 16]),
  "randomNormal() shape": (n) => randomNormal(key(), [n]),
  "randomNormalRows() shape": (n) => randomNormalRows(key(), words(1, 2), [2, n]),
  "randomUniform() shape": (n) => randomUniform(key(), [n, 2]),
  "slice() axis": [(n) => slice(image(), n, 0, 1), notAxes],
  "slice() start": (n) => slice(image(), 1, n, 1),
  "slice() length": (n) => slice(image(), 3, 0, n),
  "concat() axis": [(n) => concat([image(), image()], n), notAxes],
  "permute() order": [(n) => permute(zeros([2, 2]), [n, 0]), notAxes],
  "sum() axis": [(n) => sum(image(), [n]), notAxes],
  "resizeBilinear() height": [(n) => resizeBilinear(image(), n, 4), notLengths],
  "conv2d() padding": (n) => conv2d(image(), taps(), undefined, { padding: n }),
  "conv2d() stride": [(n) => conv2d(image(), taps(), undefined, { stride: [1, n] }), notLengths],
  "conv2d() dilation": [(n) => conv2d(image(), taps(), undefined, { dilation: n }), notLengths],
  "conv2d() groups": [(n) => conv2d(image(), taps(), undefined, { groups: n }), notLengths],
  "convTranspose2d() stride": [
    (n) => convTranspose2d(image(), zeros([2, 1, 2, 2]), undefined, { stride: n }),
    notLengths,
  ],
  "groupNorm() groups": [(n) => groupNorm(image(), zeros([2]), zeros([2]), { groups: n }), notLengths],
  "groupNorm() epsilon": [
    (n) => groupNorm(image(), zeros([2]), zeros([2]), { groups: 1, epsilon: n }),
    [NaN, -1, Infinity],
  ],
  "layerNorm() epsilon": [
    (n) => layerNorm(matrix(), zeros([3]), zeros([3]), { epsilon: n }),
    [NaN, -1, Infinity],
  ],
  "averagePool2d() size": [(n) => averagePool2d(image(), n), notLengths],
  "averagePool2d() stride": [(n) => averagePool2d(image(), 2, { stride: n }), notLengths],
  "averagePool2d() padding": [(n) => averagePool2d(image(), 2, { padding: n }), [...notCounts, 2]],
  "stack() axis": [(n) => stack([image(), image()], n), notAxes],
  "pad() side": (n) => pad(image(), [[0, n]]),
  "pow() exponent": [(n) => pow(image(), n), [NaN, Infinity, 1e39]],
  "clamp() ends": [(n) => clamp(image(), n, n - 1), [NaN, 1, -2]],
  "gatherImages() pixels": (n) => gatherImages(key(), words(0), { pixels: n, scale: 1, shift: 0 }),
  "randomBits() seed": [(n) => randomBits(n, 0, 0, 1), notWords],
  "randomBits() stream": [(n) => randomBits(0, n, 0, 1), notWords],
  "randomBits() counter": [(n) => randomBits(0, 0, n, 1), notWords],
  "randomBits() count": [(n) => randomBits(0, 0, 0, n), [1.5, NaN, -2, Infinity]],
  "checkGradients() tolerance": [
    (n) => checkGradients((x) => sum(x), [tensor([1])], { tolerance: n }),
    [NaN, -1, 0],
  ],
  "checkGradients() step": [
    (n) => checkGradients((x) => sum(x), [tensor([1])], { step: n }),
    [NaN, -1, 0, Infinity],
  ],
  "Tensor() shape": (n) => new Tensor(image().storage, [n]),
  "Tensor() offset": [(n) => new Tensor(image().storage, [16], "f32", n), [...notCounts, 17]],
  "Device.allocate()": (bytes) => image().device.allocate(bytes),
};

testOnCpu("numbers out of range are refused, and the device keeps working", async (device) => {
  for (const [name, entry] of Object.entries(counting)) {
    const [call, values] = Array.isArray(entry) ? entry : [entry, notCounts];
    await assertRefuses(name, call, values);
    assert.ok(
      Number.isFinite(device.allocatedBytes),
      `${name}: allocatedBytes is ${device.allocatedBytes}`,
    );
  }
  assertClose(await full([2], 3).read(), [3, 3], 0);
});

Deno.test("init() refuses threads that are not a whole number from 0 to 64, and unknown devices", async () => {
  for (const device of ["cpu", "webgpu", "auto"] as const) {
    await assertRefuses("init()", (threads) => init({ device, threads }), [1.5, NaN, -1, 65, Infinity]);
  }
  await assert.rejects(() => init({ device: "gpu" as "cpu" }), /Unknown device "gpu"/);
});

/** A value that TypeScript would reject. */
const any = (value: unknown) => value as never;
const x = () => tensor([1, 2]);
const matrix = () => zeros([2, 3]);
const weights = () => zeros([4, 2, 3, 3]);
const label = "labels:u32[N] -> y[N]";

/** Calls by their error message, with the class if it is not ShapeError. */
const refused: Readonly<Record<string, () => unknown>> = {
  // options
  "TypeError: Cannot run conv2d: unknown option strides (expected stride, padding, dilation, groups, residual)":
    () => conv2d(image(), weights(), zeros([4]), any({ padding: 0, strides: 2 })),
  "TypeError: Cannot run convTranspose2d: unknown option output_padding (expected stride, padding, dilation, groups, outputPadding)":
    () => convTranspose2d(image(), zeros([2, 3, 2, 2]), zeros([3]), any({ output_padding: 1 })),
  "TypeError: Cannot run conv2d: bias is an object of type Object (expected a tensor, or undefined for none; options come after it)":
    () => conv2d(image(), weights(), any({ padding: 1 })),
  "Cannot run conv2d: stride is [1] (expected a whole number of at least 1, or two: [vertical, horizontal])":
    () => conv2d(image(), weights(), undefined, any({ stride: [1] })),
  "TypeError: Cannot run groupNorm: unknown option eps (expected groups, epsilon, activation)": () =>
    groupNorm(image(), zeros([2]), zeros([2]), any({ groups: 1, eps: 1e-3 })),
  "TypeError: Cannot run groupNorm: unknown activation relu (known: none, gelu)": () =>
    groupNorm(image(), zeros([2]), zeros([2]), any({ groups: 1, activation: "relu" })),
  "TypeError: Cannot record a step: unknown option dtype (expected precision)": () =>
    record(() => square(x()), any({ dtype: "f16" })),
  "TypeError: Cannot check gradients: unknown option atol (expected tolerance, step)": () =>
    checkGradients(square, [x()], any({ atol: 1e-3 })),
  "TypeError: Cannot run layerNorm: unknown option eps (expected epsilon)": () =>
    layerNorm(matrix(), zeros([3]), zeros([3]), any({ eps: 1e-3 })),
  "TypeError: Cannot run averagePool2d: unknown option ceilMode (expected stride, padding)": () =>
    averagePool2d(image(), 2, any({ ceilMode: true })),
  "TypeError: Cannot run variance: unknown option correction (expected unbiased)": () =>
    variance(matrix(), [1], false, any({ correction: 0 })),
  // lists
  "TypeError: Cannot run stack: tensors are f32[2, 3] (expected a list of tensors)": () =>
    stack(any(matrix())),
  "TypeError: Cannot run pad: sides are 1 (expected a list of pairs, such as [[1, 1], [2, 2]])": () =>
    pad(matrix(), any(1)),
  "TypeError: Cannot run sum: axes are 1 (expected a list of axes, such as [0, 1])": () =>
    mean(matrix(), any(1)),
  "TypeError: Cannot run permute: order is 1 (expected a list of axes, such as [1, 0])": () =>
    permute(matrix(), any(1)),
  "TypeError: Cannot run concat: tensors are f32[2, 3] (expected a list of tensors)": () =>
    concat(any(matrix()), 0),
  "TypeError: Cannot take gradients: parameters are f32[2, 3] (expected a list of tensors)": () =>
    gradients(sum(x()), any(matrix())),
  // values that are not numbers
  "TypeError: Cannot keep values in f64 (expected precision f32 or f16)": () =>
    record(() => square(x()), any({ precision: "f64" })),
  "TypeError: Cannot make a tensor: value 0 is a list (expected a number; flatten nested lists, and give the shape as the second argument)":
    () => tensor(any([[1, 2], [3, 4]])),
  'TypeError: Cannot make a tensor: value 1 is "2" (expected a number)': () => tensor(any([1, "2"])),
  "TypeError: Cannot make a tensor: value 0 is 1 (expected a number)": () =>
    tensor(any(BigInt64Array.of(1n))),
  'TypeError: Cannot make a tensor from "12" (expected a list of numbers)': () => tensor(any("12")),
  "Cannot make a tensor of shape 3 (expected a list of lengths, such as [2, 3])": () => zeros(any(3)),
  "TypeError: Cannot write to a tensor f32[2]: the values are of type Int32Array (expected a Float32Array)":
    () => x().write(any(Int32Array.of(2))),
  "TypeError: Cannot write to a tensor u32[1]: the values are of type Float32Array (expected a Uint32Array)":
    () => words(1).write(Float32Array.of(1)),
  // types
  [`TypeError: Cannot run crossEntropy: labels is f32[3] (expected u32 in logits[N, C], ${label})`]: () =>
    crossEntropy(zeros([3, 2]), zeros([3])),
  "TypeError: Cannot run where: condition is f32[2] (expected u32 in condition:u32[C...], a[A...], b[B...] -> y[Y...])":
    () => where(x(), x(), 0),
  "TypeError: Cannot run where: b is 0.5, beside u32 (expected a whole number from 0 to 4294967295)": () =>
    where(words(1, 0), words(7, 8), 0.5),
  "TypeError: Cannot concat u32[0] with f32[2] (expected one type)": () =>
    concat([tensor(new Uint32Array(0), [0]), zeros([2])], 0),
  // shapes
  "Cannot run matmul: K is 3 in a but 4 in b: a f32[1, 2, 3], b f32[1, 4, 2] (expected a[A, M, K], b[B, K, N] -> y[Y, M, N])":
    () => matmul(matrix(), zeros([4, 2])),
  "Cannot broadcast f32[2, 3] with f32[4, 2]: lengths 2 and 4 meet (expected equal lengths or 1)": () =>
    add(matrix(), zeros([4, 2])),
  "Cannot broadcast [2, 1, 2, 1, 2] with [1, 2, 1, 2, 1]: they stretch in 5 groups of axes (expected at most 4; permute axes so that those which stretch alike are neighbours)":
    () => add(zeros([2, 1, 2, 1, 2]), zeros([1, 2, 1, 2, 1])),
  "TypeError: Cannot run pow: the exponent is f32[2] (expected a number; for a tensor of exponents, use exp(multiply(log(x), b)))":
    () => pow(x(), any(x())),
  "Cannot run layerNorm: C is 3 in x but 2 in gamma: x f32[2, 3], gamma f32[2], beta f32[3] (expected x[R, C], gamma[C], beta[C] -> y[R, C])":
    () => layerNorm(matrix(), zeros([2]), zeros([3])),
  "Cannot run layerNorm: x f32[] has no axis (expected at least one)": () =>
    layerNorm(zeros([]), zeros([1]), zeros([1])),
  "Cannot stack f32[2, 3] with f32[2] (expected one shape)": () => stack([matrix(), x()]),
  "Cannot stack: there are no tensors (expected at least one)": () => stack([]),
  "Cannot pad f32[2] by [[1,1],[0,2]] (expected a pair of whole numbers for each last axis)": () =>
    pad(x(), [[1, 1], [0, 2]]),
  "Cannot pad f32[2] by [1,1] (expected a pair of whole numbers for each last axis)": () =>
    pad(x(), any([1, 1])),
  "Cannot run averagePool2d: 4 x 4 pixels with padding 0 have no window of 5 x 5": () =>
    averagePool2d(image(), 5),
  "Cannot run linear: K is 3 in x but 4 in w: x f32[2, 3], w f32[5, 4], bias f32[5] (expected x[M, K], w[N, K], bias[N] -> y[M, N])":
    () => linear(matrix(), zeros([5, 4]), zeros([5])),
  "Cannot reshape f32[2, 3] to f32[5] (expected a shape of 6 elements)": () => reshape(matrix(), [5]),
  "Cannot run sum: axis 2 is outside a tensor of rank 2 (expected an axis from -2 to 1)": () =>
    sum(matrix(), [2]),
  "Cannot run argmax: axis 0 is outside a tensor of rank 0 (expected a tensor with axes)": () =>
    argmax(zeros([]), 0),
  "Cannot run conv2d: w f32[4, 2, 3, 3] covers 5 x 9 pixels (expected at most 6 x 4, the size of x f32[1, 2, 4, 4] with padding)":
    () => conv2d(image(), weights(), undefined, { padding: [1, 0], dilation: [2, 4] }),
  "Cannot run conv2d: groups is 3 for 2 to 4 channels (expected a divisor of both)": () =>
    conv2d(image(), weights(), undefined, { groups: 3 }),
  "Cannot run conv2d: w takes 4 channels, 2 in each of 2 groups (expected 2, as x has)": () =>
    conv2d(image(), weights(), undefined, { groups: 2 }),
  "Cannot run conv2d: residual is f32[1, 4, 1, 1] (expected f32[1, 4, 2, 2], as the result)": () =>
    conv2d(image(), weights(), undefined, { stride: 2, padding: 1, residual: zeros([1, 4, 1, 1]) }),
  "Cannot run convTranspose2d: w takes 3 channels (expected 2, as x has)": () =>
    convTranspose2d(image(), zeros([3, 3, 3, 2])),
  "Cannot run convTranspose2d: outputPadding is [2, 0] (expected less than the stride, 2)": () =>
    convTranspose2d(image(), zeros([2, 3, 3, 3]), undefined, { outputPadding: [2, 0] }),
  "Cannot run convTranspose2d: padding leaves -1 x 1 pixels of the result (expected at least 1 x 1)": () =>
    convTranspose2d(image(), zeros([2, 3, 3, 3]), undefined, { padding: [5, 4] }),
  "Cannot transpose f32[2] (expected at least two axes)": () => transpose(x()),
  "Cannot run softmax: x f32[] has no axis (expected at least one)": () => softmax(zeros([])),
  "Cannot run attend: q f32[2, 3, 4], k f32[2, 3, 5], v f32[2, 3, 5] (expected one shape [N, C, L])": () =>
    attend(zeros([2, 3, 4]), zeros([2, 3, 5]), zeros([2, 3, 5])),
  "Cannot run gatherRows: table is f32[2, 2, 2] (expected one or two axes)": () =>
    gatherRows(zeros([2, 2, 2]), words(0)),
  [`Cannot run crossEntropy: N is 3 in logits but 1 in labels: logits f32[3, 2], labels u32[1] (expected logits[N, C], ${label})`]:
    () => crossEntropy(zeros([3, 2]), words(0)),
  "Cannot run convTranspose2d: bias is f32[4] (expected f32[1], or f32[N, 1])": () =>
    convTranspose2d(image(), zeros([2, 1, 2, 2]), zeros([4])),
  "Cannot run conv2d: bias has 3 rows for a batch of 1 (expected one row, or one per image)": () =>
    conv2d(image(), weights(), zeros([3, 4])),
  "Cannot run conv2d: x is f32[2, 3], w is f32[4, 2, 3, 3] (expected x[N, C, H, W] and w of four axes)": () =>
    conv2d(matrix(), weights()),
  "Cannot run linear: bias is f32[7] for w f32[1, 3] (expected f32[1])": () =>
    linear(matrix(), zeros([1, 3]), zeros([7])),
  "Cannot run square: 2 shapes (expected 1, x[S...] -> y[S...])": () =>
    registry.get("square")!.plan([[1], [2]], {}),
  // empty inputs
  "Cannot run min: x f32[2, 0] has no element along the axes (expected at least one)": () =>
    min(zeros([2, 0]), [1]),
  "Cannot run argmax: x f32[2, 0] has no element along axis 1 (expected at least one)": () =>
    argmax(zeros([2, 0]), 1),
  "Cannot run conv2d: x f32[1, 0, 4, 4] is empty (expected at least one element)": () =>
    conv2d(zeros([1, 0, 4, 4]), zeros([2, 0, 3, 3]), zeros([2]), { padding: 1 }),
  // gradients
  "TypeError: Cannot check gradients: the function returned undefined (expected a tensor)": () =>
    checkGradients(() => any(undefined), [x()]),
  "TypeError: Cannot check gradients: the function returned a promise (expected a tensor from a synchronous function)":
    () => checkGradients(() => any(Promise.resolve(x())), [x()]),
  "TypeError: Cannot check gradients: input 0 is an array (expected a tensor)": () =>
    checkGradients(square, any([[1]])),
  "Cannot check gradients: a second call returned f32[1] (expected f32[2])": () => {
    let calls = 0;
    return checkGradients((a) => calls++ === 0 ? a : reshape(sum(a), [1]), [x()]);
  },
  "TypeError: Cannot take gradients: the loss is undefined (expected a tensor)": () =>
    gradients(any(undefined), [x()]),
  "TypeError: Cannot take gradients: parameter 1 is 3 (expected a tensor)": () =>
    gradients(sum(x()), any([x(), 3])),
  "Cannot take gradients of f32[2] (expected a single number: take its sum() or mean())": () =>
    gradients(x(), [x()]),
  "Error: Cannot take gradients: the loss does not depend on parameter 0, f32[2]": () =>
    gradients(sum(x()), [x()]),
  "TypeError: Cannot run an asynchronous function in a scope: read values after the scope": () =>
    scope(() => Promise.resolve()),
};

testOnCpu("invalid calls are refused with a one-line message", async () => {
  for (const [expected, call] of Object.entries(refused)) {
    const [, name = "ShapeError", message] = /^(?:(\w*Error): )?(.*)$/.exec(expected)!;
    await assert.rejects(async () => await call(), { name, message }, expected);
  }
});

testOnCpu("tensor() accepts any numbers, including NaN", async () => {
  assertClose(await tensor(Float64Array.of(1, 2)).read(), [1, 2], 0);
  assertClose(await tensor(Int8Array.of(-1)).read(), [-1], 0);
  assert.deepEqual([...await tensor([NaN, -Infinity]).read()], [NaN, -Infinity]);
  assert.deepEqual(tensor([], [0, 3]).shape, [0, 3]);
});
