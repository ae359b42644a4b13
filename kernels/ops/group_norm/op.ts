import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims, NumberArray } from "../../devices/device.ts";
import { defineOp, type Op } from "../../op.ts";
import { describeValue, isCount, refuse, refuseUnknown } from "../../core/checks.ts";
import { type Shape, ShapeError } from "../../core/shape.ts";
import { type Tensor, withoutHistory } from "../../core/tensor.ts";
import { pullBack } from "../../autograd/gradients.ts";
import { add, addCall, divide, multiply, subtract } from "../elementwise/binary.ts";
import { gelu, sqrt, square } from "../elementwise/unary.ts";
import { concat, full, reshape, zeros } from "../layout.ts";
import { mean, summingKernels, sumPair, workgroupSumWgsl } from "../reduce/reduce.ts";
import { erfWgsl, geluOf, geluSlope } from "../elementwise/shared.ts";
import {
  forwardWgsl,
  forwardWorkgroupWgsl,
  gradientWgsl,
  gradientWorkgroupWgsl,
  type SharedGroup,
} from "./wgsl.ts";

/** Activations of the normalised value z that the kernel can apply: f and f'. */
const activations = [
  { name: "none", value: "z", slope: "1.0", apply: (z: number) => z, derivative: () => 1 },
  {
    name: "gelu",
    value: "z * normalCdf(z)",
    slope: "normalCdf(z) + z * 0.3989422804 * exp(-0.5 * z * z)",
    apply: geluOf,
    derivative: geluSlope,
  },
] as const;

/** WebGPU kernels for one group of an image: an invocation on software adapters, a workgroup on GPUs. */
function groupNormKernels(invocationWgsl: string, workgroupWgsl: (group: SharedGroup) => string) {
  const functionsOf = (at: number) => {
    const { value, slope } = activations[at];
    return `${erfWgsl}
fn activate(z: f32) -> f32 { return ${value}; }
fn activationSlope(z: f32) -> f32 { return ${slope}; }`;
  };
  const single = {
    specialise: ({ activation }: Dims) => ({ activation }),
    grid: ({ N, G }: Dims) => N * G,
    wgsl: (dims: Dims) => `${functionsOf(dims.activation)}\n${invocationWgsl}`,
  };
  const shared = (lanes: number) => ({
    specialise: ({ activation, C, G, H, W }: Dims) => ({ activation, channels: C / G, pixels: H * W }),
    grid: ({ N, G }: Dims) => ({ count: N * G, lanes }),
    wgsl: ({ activation, channels, pixels }: Dims) =>
      `${functionsOf(activation)}
${workgroupSumWgsl(lanes)}
${workgroupWgsl({ lanes, channels, pixels })}`,
  });
  return summingKernels(single, shared, ({ C, G, H, W }) => 4 * C / G * H * W); // held in registers: few for each lane
}

const perChannel = (v: Tensor) => reshape(v, [1, v.size, 1, 1]);

const sampleOf = (x: Shape, G: number, activation: number) => ({
  shapes: { x, gamma: [x[1]], beta: [x[1]] },
  attributes: { G, epsilon: 1e-5, activation },
});

const normalise: Op<
  "x[N, C, H, W], gamma[C], beta[C] -> y[N, C, H, W], stats[N, G, 2]",
  { G: "u32"; epsilon: "f32"; activation: "u32" }
> = defineOp({
  name: "groupNorm",
  signature: "x[N, C, H, W], gamma[C], beta[C] -> y[N, C, H, W], stats[N, G, 2]",
  attributes: { G: "u32", epsilon: "f32", activation: "u32" },
  ...groupNormKernels(forwardWgsl, forwardWorkgroupWgsl),
  backward({ x, gamma, beta, stats, dy }, { epsilon, activation }) {
    let parts: readonly Tensor[] | undefined, ofBoth: readonly Tensor[] | undefined;
    const run = (before?: Tensor) => {
      const inputs = [x, gamma, beta, withoutHistory(stats), dy] as const;
      return parts ??= before
        ? groupNormGradientAdd(...inputs, before, { epsilon, activation })
        : groupNormGradient(...inputs, { epsilon, activation });
    };
    const both = () => ofBoth ??= sumPair(run()[1]);
    return { x: (before?: Tensor) => run(before)[0], gamma: () => both()[0], beta: () => both()[1] };
  },
  forward({ x, gamma, beta, stats }, tangents, { G, epsilon, activation }): Tensor {
    const [one, none] = [full(gamma.shape, 1), zeros(gamma.shape)];
    const plain = { epsilon, activation: 0 };
    // The derivative of xhat with respect to x is symmetric: the kernel that pulls dy back also pushes the tangent of x
    // forward.
    const parts = [
      tangents.x &&
      multiply(
        groupNormGradient(x, one, none, withoutHistory(stats), tangents.x, plain)[0],
        perChannel(gamma),
      ),
      tangents.gamma && multiply(normalise(x, one, none, { G, ...plain })[0], perChannel(tangents.gamma)),
      tangents.beta && multiply(full(x.shape, 1), perChannel(tangents.beta)),
    ].filter((part) => part !== undefined);
    const dz = parts.reduce((a, b) => add(a, b));
    return activation === 0 ? dz : gelu.gradient(normalise(x, gamma, beta, { G, ...plain })[0], dz);
  },
  reference({ x, gamma, beta, y, stats }, { N, C, H, W, G, epsilon, activation }) {
    const channels = C / G, pixels = H * W, count = channels * pixels;
    for (let n = 0; n < N; n++) {
      for (let g = 0; g < G; g++) {
        const from = (n * C + g * channels) * pixels;
        let m = 0, variance = 0;
        for (let i = 0; i < count; i++) m += x[from + i] / count;
        for (let i = 0; i < count; i++) variance += (x[from + i] - m) ** 2 / count;
        const r = 1 / Math.sqrt(variance + epsilon);
        stats.set([m, r], (n * G + g) * 2);
        for (let i = 0; i < count; i++) {
          const c = g * channels + Math.floor(i / pixels);
          y[from + i] = activations[activation].apply((x[from + i] - m) * r * gamma[c] + beta[c]);
        }
      }
    }
  },
  wasm: "groupNorm",
  samples: [
    sampleOf([2, 6, 3, 5], 3, 0),
    sampleOf([2, 6, 3, 5], 2, 1),
    sampleOf([1, 6, 19, 20], 1, 1),
    sampleOf([1, 4, 1, 2], 4, 0),
    sampleOf([1, 2, 67, 70], 1, 1), // a long sum
  ],
});

/**
 * With z = gamma xhat + beta and dz = f'(z) dy for an activation f:
 * dx = rstd (gamma dz - mean(gamma dz) - xhat mean(gamma dz xhat)), means over the group;
 * dgamma and dbeta are the sums over n of `sums` = sum(dz xhat) and sum(dz) of each image and channel.
 */
const gradientInputs = "x[N, C, H, W], gamma[C], beta[C], stats[N, G, 2], dy[N, C, H, W]";
const gradientOutputs = "dx[N, C, H, W], sums[2, N, C]";
const gradientAttributes = { epsilon: "f32", activation: "u32" } as const;

function gradientComposite(
  { x, gamma, beta, stats, dy }: Readonly<Record<"x" | "gamma" | "beta" | "stats" | "dy", Tensor>>,
  { epsilon, activation }: { readonly epsilon: number; readonly activation: number },
) {
  const [N, C] = x.shape;
  const ofImages = (v: Tensor) => add(zeros([N, C, 1, 1]), perChannel(v));
  const [scale, shift] = [ofImages(gamma), ofImages(beta)];
  const grouped = reshape(x, [N, stats.shape[1], x.size / N / stats.shape[1]]);
  const centred = subtract(grouped, mean(grouped, [2], true));
  const deviation = sqrt(add(mean(square(centred), [2], true), epsilon));
  const z = add(multiply(reshape(divide(centred, deviation), x.shape), scale), shift);
  const [dx, ...sums] = pullBack(new Map([[activation === 0 ? z : gelu(z), dy]]), [x, scale, shift]);
  return [dx!, concat(sums.map((part) => reshape(part!, [1, N, C])), 0)] as const;
}

function gradientReference(
  { x, gamma, beta, stats, dy, dx, sums }: Readonly<
    Record<"x" | "gamma" | "beta" | "stats" | "dy" | "dx" | "sums", NumberArray>
  >,
  { N, C, H, W, G, activation }: Dims,
) {
  const channels = C / G, pixels = H * W, count = channels * pixels;
  const { derivative } = activations[activation];
  for (let n = 0; n < N; n++) {
    for (let g = 0; g < G; g++) {
      const [m, r] = stats.subarray((n * G + g) * 2);
      let meanShift = 0, meanScale = 0;
      for (let c = g * channels; c < (g + 1) * channels; c++) {
        let scale = 0, shift = 0;
        for (let i = (n * C + c) * pixels; i < (n * C + c + 1) * pixels; i++) {
          const xhat = (x[i] - m) * r;
          const dz = dx[i] = dy[i] * derivative(xhat * gamma[c] + beta[c]);
          scale += dz * xhat;
          shift += dz;
        }
        sums[n * C + c] = scale;
        sums[(N + n) * C + c] = shift;
        meanScale += gamma[c] * scale / count;
        meanShift += gamma[c] * shift / count;
      }
      for (let c = g * channels; c < (g + 1) * channels; c++) {
        for (let i = (n * C + c) * pixels; i < (n * C + c + 1) * pixels; i++) {
          dx[i] = r * (gamma[c] * dx[i] - meanShift - (x[i] - m) * r * meanScale);
        }
      }
    }
  }
}

function gradientCall(
  { sums, x, gamma, beta, stats, dy, dx }: Readonly<
    Record<"x" | "gamma" | "beta" | "stats" | "dy" | "dx" | "sums", number>
  >,
  { N, C, H, W, G, activation }: Dims,
): WasmCall {
  const addresses = { x, gamma, beta, stats, dy, dx, scales: sums, shifts: sums + 4 * N * C };
  return { kernel: "groupNormGradient", args: { ...addresses, N, C, H, W, G, activation } };
}

const gradientSamples = [
  { x: [2, 6, 3, 5], groups: 3, activation: 0 },
  { x: [2, 6, 3, 5], groups: 3, activation: 1 },
  { x: [1, 2, 91, 101], groups: 2, activation: 0 }, // long sums
].map(({ x, groups, activation }) => ({
  shapes: { x, gamma: [x[1]], beta: [x[1]], stats: [x[0], groups, 2], dy: x },
  attributes: { epsilon: 1e-5, activation },
}));

const groupNormGradient = defineOp({
  name: "groupNormGradient",
  signature: `${gradientInputs} -> ${gradientOutputs}`,
  attributes: gradientAttributes,
  ...groupNormKernels(gradientWgsl(""), (group) => gradientWorkgroupWgsl(group, () => "")),
  composite: gradientComposite,
  reference: gradientReference,
  wasm: (addresses, dims) => [gradientCall(addresses, dims)],
  samples: gradientSamples,
});

/** The same, with dx added to the gradient so far: saves a pass. */
const groupNormGradientAdd = defineOp({
  name: "groupNormGradientAdd",
  signature: `${gradientInputs}, before[N, C, H, W] -> ${gradientOutputs}`,
  attributes: gradientAttributes,
  ...groupNormKernels(
    gradientWgsl(" + before[at]"),
    (group) => gradientWorkgroupWgsl(group, (at) => ` + before[${at}]`),
  ),
  composite({ before, ...inputs }, attributes) {
    const [dx, sums] = gradientComposite(inputs, attributes);
    return [add(dx, before), sums];
  },
  reference({ before, ...arrays }, dims) {
    gradientReference(arrays, dims);
    for (let i = 0; i < before.length; i++) arrays.dx[i] += before[i];
  },
  wasm: ({ before, ...addresses }, dims) => [
    gradientCall(addresses, dims),
    addCall(addresses.dx, before, dims.N * dims.C * dims.H * dims.W),
  ],
  samples: gradientSamples.map(({ shapes, attributes }) => ({
    shapes: { ...shapes, before: shapes.x },
    attributes,
  })),
});

/**
 * Group normalisation: each group of channels of an image is scaled to mean 0 and variance 1, then each channel by its
 * gamma and beta.
 *
 * @param x f32[N, C, H, W]
 * @param gamma f32[C]
 * @param beta f32[C]
 * @param groups number of groups; must divide C
 * @param epsilon added to the variance, 1e-5 by default
 * @param activation applied to the result in the same kernel, `none` by default
 * @returns f32[N, C, H, W]
 * Source: Wu and He 2018, arXiv:1803.08494
 */
export function groupNorm(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  { groups, epsilon = 1e-5, activation = "none", ...unknown }: {
    groups: number;
    epsilon?: number;
    activation?: "none" | "gelu";
  },
): Tensor {
  refuseUnknown("run groupNorm", unknown, ["groups", "epsilon", "activation"]);
  if (!isCount(groups, 1) || x.shape[1] % groups !== 0) {
    refuse(ShapeError, `run groupNorm: ${describeValue(groups)} groups do not divide the channels of x ${x}`);
  }
  if (!(epsilon >= 0 && epsilon < Infinity)) {
    refuse(RangeError, `run groupNorm: epsilon is ${epsilon}`, "a number of at least 0");
  }
  const chosen = activations.findIndex(({ name }) => name === activation);
  if (chosen < 0) {
    const known = activations.map(({ name }) => name).join(", ");
    refuse(TypeError, `run groupNorm: unknown activation ${activation} (known: ${known})`);
  }
  return normalise(x, gamma, beta, { G: groups, epsilon, activation: chosen })[0];
}
