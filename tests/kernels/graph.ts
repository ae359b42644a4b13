/** Graphs of the public ops, and the derivatives of a loss made of them. */

import assert from "node:assert/strict";
import * as k from "../../kernels/mod.ts";
import { assertClose } from "../testing.ts";
import type { Shape, Tensor } from "../../kernels/mod.ts";

/** One call of an op: its inputs are numbers of leaves and earlier calls, in this order. */
export interface Call {
  readonly op: string;
  readonly inputs: readonly number[];
  /** What else it is given, as JSON. */
  readonly options: readonly unknown[];
}

/** A graph with the values of its leaves, to be rounded to f32. */
export interface Graph {
  readonly leaves: readonly { readonly shape: Shape; readonly values: readonly number[] }[];
  readonly calls: readonly Call[];
  /** Whether all of its ops have second derivatives. */
  readonly twice: boolean;
}

/** The loss of a graph, its gradients with respect to the leaves, and the gradients of sum(gradient direction). */
export interface Derivatives {
  readonly loss: number;
  readonly first: readonly (readonly number[])[];
  readonly second: readonly (readonly number[])[];
}

type Runs = Readonly<Record<string, (inputs: readonly Tensor[], ...options: never[]) => Tensor>>;

const unary = [
  ...(["abs", "cos", "exp", "gelu", "log", "negate", "relu", "sigmoid", "silu", "sin", "sqrt"] as const),
  ...(["square", "tanh", "softmax", "logSoftmax", "transpose"] as const),
];
const binary = ["add", "subtract", "multiply", "divide", "maximum", "minimum"] as const;
const matrices = ["matmul", "matmulTransposedA", "matmulTransposedB"] as const;
export const reductions = ["sum", "mean", "max", "min"] as const;
const lists = ["concat", "stack"] as const;

/** How each op of a graph runs. */
export const runs: Runs = {
  ...Object.fromEntries(unary.map((op) => [op, ([x]) => k[op](x)])),
  ...Object.fromEntries(
    binary.map((op) => [op, ([a, b], number?: number) => k[op](a, b ?? number!)]),
  ),
  ...Object.fromEntries(matrices.map((op) => [op, ([a, b]) => k[op](a, b)])),
  ...Object.fromEntries(
    reductions.map((op) => [op, ([x], axes: number[], keep: boolean) => k[op](x, axes, keep)]),
  ),
  ...Object.fromEntries(lists.map((op) => [op, (parts, axis: number) => k[op](parts, axis)])),
  variance: ([x], axes: number[], keep: boolean, unbiased: boolean) =>
    k.variance(x, axes, keep, { unbiased }),
  pow: ([x], exponent: number) => k.pow(x, exponent),
  clamp: ([x], low: number, high: number) => k.clamp(x, low, high),
  where: ([a, b]) => k.where(k.greater(a, b), a, k.multiply(b, 0.5)),
  whereLess: ([a, b]) => k.where(k.less(a, b), k.square(a), b),
  reshape: ([x], shape: Shape) => k.reshape(x, shape),
  permute: ([x], order: number[]) => k.permute(x, order),
  slice: ([x], axis: number, start: number, length: number) => k.slice(x, axis, start, length),
  pad: ([x], sides: [number, number][]) => k.pad(x, sides),
  linear: ([x, w, bias]) => k.linear(x, w, bias),
  layerNorm: ([x, gamma, beta]) => k.layerNorm(x, gamma, beta, { epsilon: 0.01 }),
  groupNorm: ([x, gamma, beta], groups: number, activation: "none" | "gelu") =>
    k.groupNorm(x, gamma, beta, { groups, epsilon: 0.01, activation }),
  crossEntropy: ([x]) => k.crossEntropy(x, k.argmax(k.negate(x), 1)),
  meanSquaredError: ([a, b]) => k.meanSquaredError(a, b),
  gatherRows: ([table], indices: number[]) => k.gatherRows(table, k.tensor(Uint32Array.from(indices))),
  attend: ([q, key, v]) => k.attend(q, key, v),
  conv2d: ([x, w, bias, residual], padding: number, stride: number, groups: number) =>
    k.conv2d(x, w, bias, { padding, stride, groups, ...residual && { residual } }),
  convTranspose2d: ([x, w, bias]) => k.convTranspose2d(x, w, bias),
  maxPool2d: ([x]) => k.maxPool2d(x),
  averagePool2d: ([x], size: number, stride: number, padding: number) =>
    k.averagePool2d(x, size, { stride, padding }),
  resizeBilinear: ([x], height: number, width: number) => k.resizeBilinear(x, height, width),
};

/** All ops that graphs are made of. */
export const graphOps: readonly string[] = Object.keys(runs);

/** Every value of a graph, leaves first. */
function valuesOf(graph: Graph, leaves: readonly Tensor[]): Tensor[] {
  const values = [...leaves];
  for (const { op, inputs, options } of graph.calls) {
    values.push(runs[op](inputs.map((i) => values[i]), ...options as never[]));
  }
  return values;
}

/** The fixed direction of second derivatives. */
const directionOf = (size: number) => Float32Array.from({ length: size }, (_, i) => ((i * 37) % 11 - 5) / 8);

/** The loss of a graph, the sum of the mean squares of all values that no op uses, and its derivatives. */
export async function derivativesOf(graph: Graph): Promise<Derivatives> {
  const leaves = graph.leaves.map(({ shape, values }) => k.tensor(values, shape));
  const results = k.scope(() => {
    const values = valuesOf(graph, leaves);
    const used = new Set(graph.calls.flatMap(({ inputs }) => inputs));
    const total = (terms: readonly Tensor[]) => terms.reduce((a, b) => k.add(a, b));
    const loss = total(values.filter((_, i) => !used.has(i)).map((value) => k.mean(k.square(value))));
    const first = k.gradients(loss, leaves);
    if (!graph.twice) return [loss, ...first];
    const along = first.map((dx) => k.sum(k.multiply(dx, k.tensor(directionOf(dx.size), dx.shape))));
    const none = leaves.map((x) => k.multiply(k.sum(k.square(x)), 0)); // a leaf may have no second derivative
    return [loss, ...first, ...k.gradients(total([...along, ...none]), leaves)];
  });
  const read = await Promise.all(results.map((result) => result.read()));
  return {
    loss: read[0][0],
    first: read.slice(1, 1 + leaves.length).map((values) => [...values]),
    second: read.slice(1 + leaves.length).map((values) => [...values]),
  };
}

/** Allowed error of a loss, a gradient or a second one, relative to its largest value or the loss's size. */
const tolerance = 2e-4;

/** @throws {AssertionError} if a loss or derivative differs from that expected by more than rounding */
export function assertSameDerivatives(graph: Graph, found: Derivatives, expected: Derivatives): void {
  const ops = graph.calls.map(({ op }) => op).join(" ");
  assertClose([found.loss], [expected.loss], tolerance, `losses of ${ops}`);
  for (const order of ["first", "second"] as const) {
    assert.equal(found[order].length, expected[order].length);
    found[order].forEach((dx, i) => {
      assertClose(dx, expected[order][i], tolerance, `${order} derivatives of leaf ${i} of ${ops}`);
    });
  }
}
