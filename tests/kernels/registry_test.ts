import assert from "node:assert/strict";
import {
  add,
  full,
  gradients,
  multiply,
  ShapeError,
  square,
  sum,
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import { type RegisteredOp, registry } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { uniforms } from "../../kernels/ops/random/threefry.ts";
import { assertClose, testOnAllKernels } from "../testing.ts";
import { differences, mixedDifferences } from "./differences.ts";
import { inputsOf, oracle } from "./oracle.ts";

/** Allowed error of f32 kernels, relative to the largest value. */
const tolerance = 2e-5;

type Arrays = readonly (Float64Array | Uint32Array)[];

function tensorsOf(op: RegisteredOp, { shapes }: Sample, inputs: Arrays) {
  return op.inputs.map(({ name, type }, i) =>
    tensor(type === "u32" ? inputs[i] as Uint32Array : Float32Array.from(inputs[i]), shapes[name])
  );
}

/** Random numbers that f32 holds, in [-1, 1). */
const weightsOf = (stream: number, count: number) =>
  Float64Array.from(uniforms(11, 3, stream, count), (u) => Math.fround(2 * u - 1));

const asTensor = (values: Float64Array, { shape }: Tensor) => tensor(Float32Array.from(values), shape);

/** The outputs of a call by name, those updated in place too. */
function outputsOf(op: RegisteredOp, tensors: readonly Tensor[], attributes: Sample["attributes"] = {}) {
  const results = op.run(tensors, attributes);
  const fresh = op.outputs.filter(({ name }) => !op.inputs.some((input) => input.name === name));
  const all = [
    ...op.inputs.map(({ name }, i) => [name, tensors[i]] as const),
    ...fresh.map(({ name }, i) => [name, results[i]] as const),
  ];
  return new Map(all.filter(([name]) => op.outputs.some((output) => output.name === name)));
}

/** Sum of weighted squares of the first output: no derivative of it is zero because the op is linear. */
function lossOf(
  op: RegisteredOp,
  tensors: readonly Tensor[],
  { attributes = {} }: Sample,
  weights: Float64Array,
) {
  const [y] = op.run(tensors, attributes);
  return sum(multiply(square(y), asTensor(weights, y)));
}

/** The same in f64, by the op's reference. */
function exactLoss(op: RegisteredOp, sample: Sample, weights: Float64Array) {
  return (inputs: Arrays) => {
    const values = oracle(op, sample, inputs)[op.outputs[0].name];
    return weights.reduce((total, weight, i) => total + weight * values[i] ** 2, 0);
  };
}

/** Ops that refuse second derivatives. */
const refusing = new Set<string>();

for (const op of registry.values()) {
  op.samples.forEach((sample, k) => {
    const inputs = inputsOf(op, sample);
    testOnAllKernels(`${op.name}() equals its f64 reference, sample ${k}`, async () => {
      const expected = oracle(op, sample, inputs);
      for (const [name, y] of outputsOf(op, tensorsOf(op, sample, inputs), sample.attributes)) {
        assertClose(await y.read(), expected[name], tolerance, name);
      }
    });

    if (!op.differentiable || sample.smooth === false) return;
    const differentiable = op.inputs.flatMap(({ type }, i) => type === "f32" ? [i] : []);
    const size = oracle(op, sample, inputs)[op.outputs[0].name].length;
    const weights = weightsOf(k, size);
    const loss = exactLoss(op, sample, weights);
    const directions = differentiable.map((i) => weightsOf(100 + i, inputs[i].length));
    let slopes: Float64Array[] | undefined;
    let curvatures: Float64Array[] | undefined;

    testOnAllKernels(`${op.name}() has the gradient of its f64 reference, sample ${k}`, async () => {
      slopes ??= differentiable.map((i) => differences(loss, inputs, i));
      const tensors = tensorsOf(op, sample, inputs);
      const wanted = differentiable.map((i) => tensors[i]);
      const found = gradients(lossOf(op, tensors, sample, weights), wanted);
      for (const [at, i] of differentiable.entries()) {
        assert.deepEqual(found[at].shape, wanted[at].shape);
        assertClose(await found[at].read(), slopes[at], 5 * tolerance, `gradient of ${op.inputs[i].name}`);
      }
    });

    testOnAllKernels(
      `${op.name}() has the second derivatives of its reference or refuses, sample ${k}`,
      async () => {
        const tensors = tensorsOf(op, sample, inputs);
        const wanted = differentiable.map((i) => tensors[i]);
        const first = gradients(lossOf(op, tensors, sample, weights), wanted);
        let found: Tensor[];
        try {
          const slope = first.map((dx, at) => sum(multiply(dx, asTensor(directions[at], dx))));
          found = gradients(slope.reduce((total, part) => add(total, part)), wanted);
        } catch (error) {
          assert.match(
            (error as Error).message,
            /^Cannot take gradients through \w+: no rule leads from its output/,
          );
          refusing.add(op.name);
          return;
        }
        curvatures ??= differentiable.map((i) =>
          mixedDifferences(loss, inputs, i, differentiable, directions)
        );
        for (const [at, i] of differentiable.entries()) {
          assertClose(await found[at].read(), curvatures[at], 10 * tolerance, `of ${op.inputs[i].name}`);
        }
      },
    );
  });

  const [sample] = op.samples;
  if (!sample) continue;
  for (const { what, shapes } of emptied(op, sample)) {
    testOnAllKernels(`${op.name}() takes ${what} of length 0, or refuses it in words`, async () => {
      const inputs = op.inputs.map(({ name, type }) => {
        const count = shapes[name].reduce((n, length) => n * length, 1);
        const values = Array.from({ length: count }, (_, i) => sample.values?.[name]?.[i] ?? 0.5);
        return type === "u32" ? Uint32Array.from(values) : Float64Array.from(values);
      });
      const tensors = tensorsOf(op, { shapes }, inputs);
      let outputs: Map<string, Tensor> | undefined;
      try {
        outputs = outputsOf(op, tensors, sample.attributes);
      } catch (error) {
        assert.ok(error instanceof ShapeError, `${error}`);
        assert.match(error.message, /^Cannot /);
      }
      if (outputs) {
        const expected = oracle(
          op,
          { shapes, ...sample.attributes && { attributes: sample.attributes } },
          inputs,
        );
        for (const [name, y] of outputs) assertClose(await y.read(), expected[name], tolerance, name);
      }
      assertClose(await full([2], 3).read(), [3, 3], 0); // the device still works
    });
  }
}

/** Shapes of a sample with one axis of the signature, or the first of an `S...` axis, of length 0. */
function emptied(op: RegisteredOp, { shapes }: Sample) {
  const named = op.inputs.flatMap(({ axes }) => axes.filter(({ length }) => length === undefined));
  const names = new Set(named.map(({ name }) => name));
  return [...names].map((axis) => ({
    what: `axis ${axis}`,
    shapes: Object.fromEntries(op.inputs.map(({ name, axes }) => {
      const at = axes.findIndex((other) => other.name === axis);
      const shape = [...shapes[name]];
      if (at >= 0 && shape.length > at) shape[at] = 0;
      return [name, shape];
    })),
  }));
}

Deno.test("registry holds every op that its gradients need, and few ops refuse second derivatives", () => {
  assert.ok(registry.size > 40, `only ${registry.size} ops`);
  if (refusing.size > 0) assert.deepEqual([...refusing].sort(), ["attend", "groupNorm"]);
});
