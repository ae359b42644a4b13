import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims } from "../../devices/device.ts";
import { isPlain, isTiling, swapped } from "./geometry.ts";

/** Number of parallel parts of a sum over images: the same on every machine, so that results agree. */
function partsOf(run: number): number {
  return Math.min(8, run);
}

/**
 * An axis of a convolution: target position p = phase + spread i reads source position stride i + (phase + origin + step
 * r) / spread for each of its taps r for which that is whole.
 */
interface Axis {
  readonly source: number;
  readonly target: number;
  readonly taps: number;
  readonly step: number;
  readonly origin: number;
  readonly stride: number;
  readonly spread: number;
}

/** An axis with the lowest source position that a tap reads, and the number of positions up to the highest. */
function reachOf(axis: Axis) {
  const { target, taps, step, origin, stride, spread } = axis;
  let low = Infinity, high = -Infinity;
  for (let phase = 0; phase < Math.min(spread, target); phase++) {
    const last = (Math.ceil((target - phase) / spread) - 1) * stride;
    for (let r = 0; r < taps; r++) {
      const first = (phase + origin + step * r) / spread;
      if (!Number.isInteger(first)) continue;
      low = Math.min(low, first);
      high = Math.max(high, first + last);
    }
  }
  return low <= high ? { ...axis, low, length: high - low + 1 } : { ...axis, low: 0, length: 0 };
}

/** The axes of a convolution from x to y, or of its transpose, as arguments of kernels. */
function axesOf({ H, W, P, Q, R, S, transposed = 0, ...dims }: Dims) {
  const axis = (x: number, y: number, taps: number, stride: number, padding: number, step: number) => {
    const ends = { source: x, target: y, taps };
    return reachOf(
      transposed
        ? { ...ends, step: -step, origin: padding, stride: 1, spread: stride }
        : { ...ends, step, origin: -padding, stride, spread: 1 },
    );
  };
  const named = <Name extends string>(name: Name, axis: ReturnType<typeof reachOf>) =>
    Object.fromEntries(Object.entries(axis).map(([field, value]) => [`${name}.${field}`, value])) as Readonly<
      Record<`${Name}.${keyof typeof axis}`, number>
    >;
  return {
    ...named("vertical", axis(H, P, R, dims.strideH, dims.paddingH, dims.dilationH)),
    ...named("horizontal", axis(W, Q, S, dims.strideW, dims.paddingW, dims.dilationW)),
  };
}

const is1x1 = (dims: Dims) =>
  isPlain(dims) && dims.R === 1 && dims.S === 1 && dims.paddingH === 0 && dims.paddingW === 0;

/**
 * Whether Winograd's transforms pay off: for 3x3, and for larger kernels of enough channels. Images must keep their
 * size.
 */
const suitsWinograd = (dims: Dims) => {
  const { R, S, paddingH, paddingW, C, K } = dims, isLarge = R % 2 === 1 && R > 3 && Math.min(C, K) >= 12;
  return isPlain(dims) && R === S && paddingH === R >> 1 && paddingW === R >> 1 && (R === 3 || isLarge);
};
const is2x2 = (dims: Dims) => dims.R === 2 && dims.S === 2 && isTiling(dims);

/** y = x convolved with w, or transposed, plus a bias and a residual if their addresses are not 0. */
export function convolutionCalls(
  { x, w, bias = 0, residual = 0, y }:
    & Readonly<Record<"x" | "w" | "y", number>>
    & Partial<Record<"bias" | "residual", number>>,
  dims: Dims,
): readonly WasmCall[] {
  const { N, C, H, W, K, B = 1, D, R, S, groups, transposed } = dims, taps = 4 * R * S;
  // Bytes from the weights of one channel to the next, of x and of y.
  const [strideC, strideK] = transposed ? [taps * D, taps] : [taps, taps * D];
  if (suitsWinograd(dims)) {
    const buffers = { source: x, w, target: y, bias, addend: residual };
    const args = { ...buffers, strideC, strideK, turned: transposed, N, C, H, W, K, B, taps: R };
    return [{ kernel: "winogradWeights", args }, { kernel: "winogradConvolve", args }];
  }
  if (is1x1(dims)) {
    const args = { x, w, bias, addend: residual, y, N, C, pixels: H * W, K, B, wk: strideK, wc: strideC };
    return [{ kernel: "conv1x1", args }];
  }
  if (transposed && B === 1 && !residual && is2x2(swapped(dims))) {
    return [{ kernel: "convTranspose2d", args: { x, w, bias, y, N, C, H, W, K } }];
  }
  if (!transposed && B === 1 && !residual && is2x2(dims)) {
    const args = { dy: x, w, bias, dx: y, N, K: C, C: K, H: dims.P, W: dims.Q };
    return [{ kernel: "convTranspose2dInputGradient", args }];
  }
  const args = {
    ...{ source: x, w, bias, addend: residual, target: y, N, B, groups, C: C / groups, K: K / groups },
    ...{ strideG: taps * D * (transposed ? C : K) / groups, strideK, strideC },
    ...axesOf(dims),
  };
  // Enough tasks for some threads.
  const splits = Math.max(
    1,
    Math.min(Math.ceil(8 / (N * groups)), args.K < 4 ? args.K : Math.ceil(args.K / 4)),
  );
  return [{ kernel: "convolveWeights", args }, { kernel: "convolve", args: { ...args, splits } }];
}

/** dw of each run of images. */
export function weightGradientCalls(
  { x, dy, dw }: Readonly<Record<"x" | "dy" | "dw", number>>,
  dims: Dims,
): readonly WasmCall[] {
  const { N, C, H, W, K, P, Q, R, S, D, run, groups, G: runs } = dims;
  const parts = partsOf(run);
  const sum = (n: number): WasmCall => ({ kernel: "sumParts", args: { y: dw, groups: runs, parts, n } });
  if (is1x1(dims) || is2x2(dims)) {
    // The four taps of 2x2 are channels of planes of half the height and width.
    const folded = R - 1, columns = R * S * C;
    const args = { a: dy, b: x, N, M: K, H: P, W: Q, K: columns, groups: runs, run, parts, folded };
    return [{ kernel: "correlateParts", args }, sum(K * columns)];
  }
  if (suitsWinograd(dims)) {
    const tiles = Math.ceil(H / 4) * Math.ceil(W / 4), all = C * (R > 3 ? Math.ceil((R - 1) / 4) : 1) ** 2;
    // Each part has its own C x K sums, which should not outnumber the run x tiles x (C + K) transformed tiles. Larger
    // kernels have so many sums that there must be far fewer parts.
    const most = Math.floor(run * tiles * (1 / all + 1 / K) / (R > 3 ? 4 : 1));
    const args = {
      ...{ x, dy, dw, N, C, H, W, K, taps: R, groups: runs, run },
      parts: Math.max(1, Math.min(parts, most)),
    };
    return [{ kernel: "winogradGradientParts", args }, { kernel: "winogradGradientSum", args }];
  }
  const args = { x, dy, N, groups, C: D, K: K / groups, runs, run, parts, ...axesOf(dims) };
  return [{ kernel: "convolveGradientParts", args }, sum(K * D * R * S)];
}
