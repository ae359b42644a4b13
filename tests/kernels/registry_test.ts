/** Tests of every declared op on every device: forward, gradient, second derivative, NaN and axes of length 0. */

import assert from "node:assert/strict";
import {
  add,
  full,
  gradients,
  jvp,
  maxPool2d,
  multiply,
  ShapeError,
  square,
  sum,
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import type { Tuning } from "../../kernels/devices/device.ts";
import { type RegisteredOp, registry } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { uniforms } from "../../kernels/ops/random.ts";
import { assertClose, testOnAllKernels, testOnCheckedKernels, testOnGpuKernels } from "../testing.ts";
import {
  type Arrays,
  type Directions,
  inputsOf,
  lazily,
  oracle,
  outputsOf,
  shadersOf,
  slopeAlong,
  tensorsOf,
} from "./oracle.ts";

/** Allowed error of f32 kernels, relative to the largest value. */
const tolerance = 2e-5;

/** Ops that only WebGPU runs: the CPU device makes Winograd's convolution in one kernel. */
const isForWebGpu = (name: string) => name.startsWith("winograd");

Deno.test("every op has a kernel on the CPU device", () => {
  const lacking = [...registry.values()].filter(({ name, inputs, kernel, samples, plan }) =>
    !isForWebGpu(name) && samples.some(({ shapes, attributes = {} }) => {
      const { dims } = plan(inputs.map((input) => shapes[input.name]), attributes);
      const addresses = Object.fromEntries(kernel.ports.map((port) => [port.name, 64]));
      return kernel.wasm?.(addresses, dims) === undefined;
    })
  );
  assert.deepEqual(lacking.map(({ name }) => name), []);
});

/** Random numbers in [-1, 1), exact in f32. */
const weightsOf = (stream: number, count: number) =>
  Float64Array.from(uniforms(11, 3, stream, count), (u) => Math.fround(2 * u - 1));

const asTensor = (values: Float64Array, { shape }: Tensor) => tensor(Float32Array.from(values), shape);

/** Weighted sum of squares of the first output, so that second derivatives of linear ops are not zero. */
function lossOf(
  op: RegisteredOp,
  tensors: readonly Tensor[],
  { attributes = {} }: Sample,
  weights: Float64Array,
) {
  const [y] = op.run(tensors, attributes);
  return sum(multiply(square(y), asTensor(weights, y)));
}

/** The same loss in f64, by the op's reference. */
function exactLoss(op: RegisteredOp, sample: Sample, weights: Float64Array) {
  return (inputs: Arrays) => {
    const values = oracle(op, sample, inputs)[op.outputs[0].name];
    return Float64Array.of(weights.reduce((total, weight, i) => total + weight * values[i] ** 2, 0));
  };
}

/** Random directions of an input, along which its gradient is compared: an error shows in each. */
const probesOf = (i: number, { length }: ArrayLike<number>) =>
  [200, 300, 400].map((stream) => weightsOf(stream + i, length));

/** The parts of a gradient along the probes of input i. */
async function partsAlong(gradient: Tensor, i: number): Promise<number[]> {
  const values = await gradient.read();
  return probesOf(i, values).map((probe) => probe.reduce((sum, part, at) => sum + part * values[at], 0));
}

/** Expected gradients of a sample, computed once for all devices. */
function gradientCase(op: RegisteredOp, sample: Sample, k: number) {
  const inputs = inputsOf(op, sample);
  const wanted = op.inputs.flatMap(({ type }, i) => type === "f32" ? [i] : []);
  const weights = weightsOf(k, oracle(op, sample, inputs)[op.outputs[0].name].length);
  const loss = exactLoss(op, sample, weights);
  const directions = wanted.map((i) => weightsOf(100 + i, inputs[i].length));
  const all = new Map(wanted.map((i, at) => [i, directions[at]]));
  const eachProbe = (slope: (along: Directions) => Float64Array) =>
    wanted.map((i) => probesOf(i, inputs[i]).map((probe) => slope(new Map([[i, probe]]))[0]));
  const start = () => {
    const tensors = tensorsOf(op, sample, inputs);
    const by = wanted.map((i) => tensors[i]);
    return { tensors, by, along: by.map((x, at) => asTensor(directions[at], x)) };
  };
  const slopesOf = ({ tensors, by }: ReturnType<typeof start>) =>
    gradients(lossOf(op, tensors, sample, weights), by);
  return {
    k,
    /** The differentiable inputs as tensors, and their gradients. */
    run() {
      const started = start();
      return { by: started.by, found: slopesOf(started) };
    },
    /** The tangent of the first output along the directions. */
    push() {
      const { tensors, by, along } = start();
      return jvp(() => op.run(tensors, sample.attributes ?? {})[0], by, along)[1];
    },
    /** The same in f64. */
    tangent: lazily(() =>
      slopeAlong((x) => Float64Array.from(oracle(op, sample, x)[op.outputs[0].name]), inputs, all, 1e-5)
    ),
    /** The tangents of the gradients along the directions. */
    byTangents() {
      const started = start();
      return jvp(() => slopesOf(started), started.by, started.along)[1];
    },
    directions,
    nameOf: (at: number) => `gradient of ${op.inputs[wanted[at]].name}, sample ${k}`,
    wanted,
    /** The parts of the gradients along the probes, in f64. */
    slopes: lazily(() => eachProbe((probe) => slopeAlong(loss, inputs, probe, 1e-5))),
    /** Their derivatives along the directions. */
    curvatures: lazily(() =>
      eachProbe((probe) => slopeAlong((x) => slopeAlong(loss, x, probe, 1e-4), inputs, all, 1e-4))
    ),
  };
}

for (const op of registry.values()) {
  const expectedOf = op.samples.map((sample) => lazily(() => oracle(op, sample, inputsOf(op, sample))));
  testOnCheckedKernels(`${op.name}() equals its f64 reference`, async ({ kind, tuning }) => {
    for (const [k, sample] of op.samples.entries()) {
      if (kind === "webgpu" && tuning.software && hasOneShader(op, sample, tuning)) continue; // a GPU's is tested, too
      for (const [name, y] of outputsOf(op, tensorsOf(op, sample, inputsOf(op, sample)), sample.attributes)) {
        assertClose(await y.read(), expectedOf[k]()[name], tolerance, `${name} of sample ${k}`);
      }
    }
  });

  const [first] = op.samples;
  if (!first) continue;
  // Differences of larger samples would take a minute; their kernels are compared by values.
  const isSmall = (sample: Sample) => inputsOf(op, sample).every(({ length }) => length <= 2000);
  const smooth = op.differentiable
    ? op.samples.filter((sample) => sample.smooth !== false && isSmall(sample))
    : [];
  const cases = smooth.map((sample, k) => gradientCase(op, sample, k));
  if (cases.length > 0) {
    // The kernels that gradients are made of have forward tests of their own, on all devices.
    testOnGpuKernels(`${op.name}() has the gradient of its f64 reference`, async ({ kind }) => {
      for (const { run, slopes, wanted, nameOf } of kind === "cpu" ? cases : cases.slice(0, 1)) {
        const { by, found } = run();
        for (const [at, dx] of found.entries()) {
          assert.deepEqual(dx.shape, by[at].shape);
          assertClose(await partsAlong(dx, wanted[at]), slopes()[at], tolerance, nameOf(at));
        }
      }
    });

    testOnGpuKernels(`${op.name}() pushes tangents like its f64 reference`, async ({ kind }) => {
      for (const { push, tangent, k } of kind === "cpu" ? cases : cases.slice(0, 1)) {
        const pushed = push();
        assertClose(await pushed.read(), tangent(), 5 * tolerance, `tangent, sample ${k}`);
      }
    });

    testOnGpuKernels(
      `${op.name}() has the second derivatives of its reference, computed in two ways`,
      async () => {
        const { run, byTangents, directions, curvatures, wanted, nameOf } = cases[0];
        const { by, found } = run();
        const slope = found.map((dx, at) => sum(multiply(dx, asTensor(directions[at], dx))));
        const second = gradients(slope.reduce((total, part) => add(total, part)), by);
        for (const [at, d2] of [...second, ...byTangents()].entries()) {
          const i = at % by.length;
          assertClose(await partsAlong(d2, wanted[i]), curvatures()[i], 5 * tolerance, nameOf(i));
        }
      },
    );
  }

  testOnGpuKernels(`${op.name}() propagates NaN like its reference`, async (device) => {
    for (const [k, sample] of (device.kind === "cpu" ? op.samples.filter(isSmall) : [first]).entries()) {
      const inputs = inputsOf(op, sample);
      for (const [at, { name, type }] of op.inputs.entries()) {
        if (type !== "f32") continue;
        const spread = (k > 0 || device.kind === "webgpu") && multipliesZeros(op.name, name);
        for (const place of new Set([0, inputs[at].length >> 1, inputs[at].length - 1])) {
          const withNaN = inputs.with(at, inputs[at].with(place, NaN));
          const expected = oracle(op, sample, withNaN);
          const what = `for NaN in ${name} of sample ${k} at ${place}`;
          for (const [output, y] of outputsOf(op, tensorsOf(op, sample, withNaN), sample.attributes)) {
            if (spread && !expected[output].some(Number.isNaN)) continue; // it met only zeros
            const plane = spread ? y.shape.slice(-2).reduce((a, b) => a * b, 1) : 1;
            assertSame(await y.read(), expected[output], plane, `${output} ${what}`);
          }
        }
      }
    }
  });

  testOnGpuKernels(`${op.name}() accepts axes of length 0, or refuses them with a message`, async () => {
    for (const { axis, shapes } of emptied(op, first)) {
      const inputs = op.inputs.map(({ name, type }) => {
        const count = shapes[name].reduce((n, length) => n * length, 1);
        const values = Array.from({ length: count }, (_, i) => first.values?.[name]?.[i] ?? 0.5);
        return type === "u32" ? Uint32Array.from(values) : Float64Array.from(values);
      });
      const sample = { ...first, shapes };
      try {
        for (const [name, y] of outputsOf(op, tensorsOf(op, sample, inputs), first.attributes)) {
          assertClose(await y.read(), oracle(op, sample, inputs)[name], tolerance, `${name} without ${axis}`);
        }
      } catch (error) {
        assert.ok(error instanceof ShapeError, `${axis}: ${error}`);
        assert.match(error.message, /^Cannot /);
      }
      assertClose(await full([2], 3).read(), [3, 3], 0); // the device still works
    }
  });
}

/** Whether software adapters run the shaders of GPUs. */
function hasOneShader({ inputs, kernel, plan }: RegisteredOp, sample: Sample, tuning: Tuning): boolean {
  const { dims } = plan(inputs.map(({ name }) => sample.shapes[name]), sample.attributes ?? {});
  const [one, other] = [true, false].map((software) => shadersOf({ kernel, dims }, { ...tuning, software }));
  return one === other;
}

/**
 * Whether kernels may multiply an input with the zeros around an image, so that NaN in it spreads over a plane. References
 * and the CPU kernels of the commonest convolutions, the first samples, skip these products.
 */
function multipliesZeros(op: string, input: string): boolean {
  return op.startsWith("conv2d") && (input === "w" || op.endsWith("WeightGradient"));
}

/**
 * Asserts that values are equal and NaN where expected; in planes with an expected NaN, other values may be NaN, too.
 */
function assertSame(actual: Float32Array, expected: ArrayLike<number>, plane: number, what: string): void {
  assert.equal(actual.length, expected.length, what);
  const planeOf = (i: number) => Math.floor(i / plane);
  const lost = new Set(Array.from(expected, (value, i) => Number.isNaN(value) ? planeOf(i) : -1));
  const isFree = Array.from(actual, (value, i) => plane > 1 && Number.isNaN(value) && lost.has(planeOf(i)));
  const numbers = (values: ArrayLike<number>) =>
    Array.from(values, (value, i) => isFree[i] || Number.isNaN(value) ? 0 : value);
  const where = (values: ArrayLike<number>) =>
    Array.from(values, (value, i) => isFree[i] || Number.isNaN(value) ? "NaN" : "-").join(" ");
  assert.equal(where(actual), where(expected), what);
  assertClose(numbers(actual), numbers(expected), 5e-5, what);
}

/** Shapes of a sample with one axis of the signature (of `S...`, the first one) set to length 0. */
function emptied(op: RegisteredOp, { shapes }: Sample) {
  const named = op.inputs.flatMap(({ axes }) => axes.filter(({ length }) => length === undefined));
  return [...new Set(named.map(({ name }) => name))].map((axis) => ({
    axis,
    shapes: Object.fromEntries(op.inputs.map(({ name, axes }) => {
      const at = axes.findIndex((other) => other.name === axis);
      return [name, shapes[name].map((length, i) => i === at ? 0 : length)];
    })),
  }));
}

testOnAllKernels("maxPool2d() and its gradients treat the first NaN of a window as its maximum", async () => {
  const windows = Array.from({ length: 81 }, (_, code) => {
    const digits = [code % 3, Math.floor(code / 3) % 3, Math.floor(code / 9) % 3, Math.floor(code / 27)];
    return digits.map((digit) => digit === 2 ? NaN : digit);
  });
  const rowOf = (from: number) => windows.flatMap((values) => values.slice(from, from + 2));
  const x = tensor([...rowOf(0), ...rowOf(2)], [1, 1, 2, 162]);
  const y = maxPool2d(x);
  const slopes = await gradients(sum(y), [x])[0].read();
  for (const [i, value] of (await y.read()).entries()) {
    const values = windows[i];
    const first = values.findIndex(Number.isNaN);
    const top = first >= 0 ? first : values.indexOf(Math.max(...values));
    assert.equal(value, values[top], `window ${values}`);
    const slopesAt = [0, 1, 162, 163].map((at) => slopes[2 * i + at]);
    assert.deepEqual(slopesAt, values.map((_, k) => k === top ? 1 : 0), `window ${values}`);
  }
});

Deno.test("the registry holds all ops, none with more storage buffers than every WebGPU device allows", () => {
  assert.ok(registry.size > 40, `only ${registry.size} ops`);
  const most = [...registry.values()].filter(({ kernel }) => kernel.ports.length > 8);
  assert.deepEqual(most.map(({ name }) => name), []);
});
