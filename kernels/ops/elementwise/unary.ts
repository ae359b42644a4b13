import { defineOp, type Op } from "../../op.ts";
import type { Sample } from "../../op_definition.ts";
import type { Tensor } from "../../core/tensor.ts";
import { Transcendental, Unary } from "../../devices/cpu/elementwise_functions.ts";
import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import { add, divide, multiply, negate, subtract } from "./binary.ts";
import { erfWgsl, geluOf, geluSlope, inQuads, nanWgsl } from "./shared.ts";
import { zeros } from "../layout.ts";
import { vectorOf } from "../matmul/product.ts";
import { refuse } from "../../core/checks.ts";

/**
 * sin(x + quarters pi / 2). The hardware's sine may be off by 5e-4, and is arbitrary for large x. Subtracting pi / 2 in
 * three parts keeps the remainder of x exact. Source: Cody and Waite 1980, chapter 8
 */
const sineWgsl = `fn sine(x: f32, quarters: u32) -> f32 {
  let bits = bitcast<u32>(x);
  if ((bits & 0x7f800000u) == 0x7f800000u) { return bitcast<f32>(bits | 0x7fc00000u); } // NaN for NaN and infinities
  let k = round(x * 0.63661977);
  let r = clamp(((x - k * 1.5703125) - k * 0.0004837512969970703) - k * 7.549790126404332e-8, -0.8, 0.8);
  let s = r * r;
  let odd = r + r * s * (-0.16666667 + s * (0.008333334 + s * (-0.0001984127 + s * 2.7557319e-6)));
  let even = 1.0 + s * (-0.5 + s * (0.041666668 + s * (-0.0013888889 + s * (2.4801588e-5 - s * 2.7557319e-7))));
  let quadrant = (bitcast<u32>(i32(k)) + quarters) & 3u;
  let value = select(odd, even, (quadrant & 1u) == 1u);
  return select(value, -value, (quadrant & 2u) == 2u);
}`;

/** WGSL of a number, or a vector of four, by its element at `at`. */
const ofEach = (width: number, element: (at: string) => string) =>
  width === 4 ? vectorOf((j) => element(`[${j}]`)) : element("");

/** A function of one number, its derivatives and its kernels. */
interface UnaryFunction {
  /** WGSL of f(x) and f'(x), as expressions in `v`. */
  readonly value: string;
  readonly slope: string;
  readonly apply: (x: number) => number;
  readonly derivative: (x: number) => number;
  /** f''(x) g in differentiable ops. */
  readonly curvature: (x: Tensor, g: Tensor) => Tensor;
  readonly functions?: string;
  readonly samples?: readonly Sample[];
}

const spread: Sample = {
  shapes: { x: [9] },
  values: { x: [-30, -6, -2.5, -0.75, -0.01, 0.02, 0.6, 3, 25] },
};

/** An op f(x), with the op of its gradient, f'(x) dy. */
export interface UnaryOp {
  /** f of each element. */
  (x: Tensor): Tensor;
  /** f'(x) dy. */
  readonly gradient: (x: Tensor, dy: Tensor) => Tensor;
}

/** Declares f and the op of its gradient, dx = f'(x) dy, whose gradients are f''(x) dy ddx and f'(x) ddx. */
function defineUnary(
  name: keyof typeof Unary | keyof typeof Transcendental,
  {
    value,
    slope,
    apply,
    derivative,
    curvature,
    functions = "",
    samples = [{ shapes: { x: [3, 5] } }, { shapes: { x: [2, 4] } }, spread],
  }: UnaryFunction,
): UnaryOp {
  const inSingle = Unary[name as keyof typeof Unary];
  const inDouble: number | undefined = Transcendental[name as keyof typeof Transcendental];
  const gradient: (x: Tensor, dy: Tensor) => Tensor = defineOp({
    name: `${name}Gradient`,
    signature: "x[S...], dy[S...] -> dx[S...]",
    ...inQuads(["x", "dy", "dx"], ({ S }) => S),
    wgsl: (_, { width }) =>
      `${functions}
fn slopeOf(v: f32) -> f32 { return ${slope}; }
fn kernel(i: u32) { let x_ = x[i]; dx[i] = dy[i] * ${ofEach(width, (at) => `slopeOf(x_${at})`)}; }`,
    backward: ({ x, dy, ddx }) => ({
      x: () => curvature(x, multiply(dy, ddx)),
      dy: () => gradient(x, ddx),
    }),
    reference({ x, dy, dx }) {
      for (let i = 0; i < dx.length; i++) dx[i] = dy[i] * derivative(x[i]);
    },
    wasm: ({ x, dy, dx }, { S: n }): readonly WasmCall[] =>
      inDouble === undefined
        ? [{ kernel: "unaryGradient", args: { x, dy, dx, n, f: inSingle } }]
        : [{ kernel: "transcendentalGradient", args: { x, dy, dx, n, f: inDouble } }],
    samples: samples.map(({ shapes, values }) => ({
      shapes: { ...shapes, dy: shapes.x },
      ...values && { values },
    })),
  });
  const op = defineOp({
    name,
    signature: "x[S...] -> y[S...]",
    ...inQuads(["x", "y"], ({ S }) => S),
    wgsl: (_, { width }) =>
      `${functions}
fn valueOf(v: f32) -> f32 { return ${value}; }
fn kernel(i: u32) { let x_ = x[i]; y[i] = ${ofEach(width, (at) => `valueOf(x_${at})`)}; }`,
    backward: ({ x, dy }) => ({ x: () => gradient(x, dy) }),
    reference({ x, y }) {
      for (let i = 0; i < y.length; i++) y[i] = apply(x[i]);
    },
    wasm: ({ x, y }, { S: n }): readonly WasmCall[] =>
      inDouble === undefined
        ? [{ kernel: "unary", args: { x, y, n, f: inSingle } }]
        : [{ kernel: "transcendental", args: { x, y, n, f: inDouble, p: 0 } }],
    samples,
  });
  return Object.assign(op, { gradient });
}

const logistic = (x: number) => 1 / (1 + Math.exp(-x));
const logisticWgsl = `${nanWgsl}
fn logistic(x: f32) -> f32 { return 1.0 / (1.0 + expOf(-x)); }`;
/** Near 0 the quotient loses digits, so a series takes over. */
const tanhWgsl = `${nanWgsl}
fn hyperbolicTangent(x: f32) -> f32 {
  let s = x * x;
  let series = x * (1.0 - s * (0.33333333 - s * (0.13333333 - s * 0.053968254)));
  return select(select(1.0 - 2.0 / (exp(2.0 * min(x, 40.0)) + 1.0), series, abs(x) < 0.2), x, isNan(x));
}`;
const positive: readonly Sample[] = [{ shapes: { x: [6] }, values: { x: [0.05, 0.5, 1, 1.5, 3, 20] } }];

/** GELU(x) = x Phi(x), exact. Source: Hendrycks and Gimpel 2016, arXiv:1606.08415 */
export const gelu: UnaryOp = defineUnary("gelu", {
  value: "v * normalCdf(v)",
  slope: "normalCdf(v) + v * 0.3989422804 * exp(-0.5 * v * v)",
  apply: geluOf,
  derivative: geluSlope,
  // phi(x) (2 - x^2)
  curvature(x, g) {
    const squared = square(x);
    const density = multiply(exp(multiply(squared, -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return multiply(g, multiply(density, subtract(2, squared)));
  },
  functions: erfWgsl,
});

/** SiLU(x) = x / (1 + exp(-x)). */
export const silu: (x: Tensor) => Tensor = defineUnary("silu", {
  value: "v * logistic(v)",
  slope: "logistic(v) * (1.0 + v * (1.0 - logistic(v)))",
  apply: (x) => x * logistic(x),
  derivative: (x) => logistic(x) * (1 + x * (1 - logistic(x))),
  // s' (2 + x (1 - 2 s)) with s the logistic function
  curvature(x, g) {
    const s = sigmoid(x);
    const slope = multiply(s, subtract(1, s));
    return multiply(g, multiply(slope, add(multiply(x, subtract(1, multiply(s, 2))), 2)));
  },
  functions: logisticWgsl,
});

/** ReLU(x) = max(x, 0), with slope 0 at 0. */
export const relu: (x: Tensor) => Tensor = defineUnary("relu", {
  value: "larger(v, 0.0)",
  slope: "select(0.0, 1.0, v > 0.0)",
  apply: (x) => Math.max(x, 0),
  derivative: (x) => x > 0 ? 1 : 0,
  curvature: (x) => zeros(x.shape),
  functions: nanWgsl,
});

/** Hyperbolic tangent. */
export const tanh: (x: Tensor) => Tensor = defineUnary("tanh", {
  value: "hyperbolicTangent(v)",
  slope: "1.0 - hyperbolicTangent(v) * hyperbolicTangent(v)",
  apply: Math.tanh,
  derivative: (x) => 1 - Math.tanh(x) ** 2,
  // -2 t (1 - t^2)
  curvature(x, g) {
    const t = tanh(x);
    return multiply(g, multiply(t, subtract(multiply(square(t), 2), 2)));
  },
  functions: tanhWgsl,
});

/** Logistic function, 1 / (1 + exp(-x)). */
export const sigmoid: (x: Tensor) => Tensor = defineUnary("sigmoid", {
  value: "logistic(v)",
  slope: "logistic(v) * (1.0 - logistic(v))",
  apply: logistic,
  derivative: (x) => logistic(x) * (1 - logistic(x)),
  // s (1 - s) (1 - 2 s)
  curvature(x, g) {
    const s = sigmoid(x);
    return multiply(g, multiply(multiply(s, subtract(1, s)), subtract(1, multiply(s, 2))));
  },
  functions: logisticWgsl,
});

/** x^2. */
export const square: (x: Tensor) => Tensor = defineUnary("square", {
  value: "v * v",
  slope: "2.0 * v",
  apply: (x) => x * x,
  derivative: (x) => 2 * x,
  curvature: (_, g) => multiply(g, 2),
});

/** e^x, elementwise: Infinity above 88.7, 0 or subnormal below -87.3, NaN for NaN. */
export const exp: (x: Tensor) => Tensor = defineUnary("exp", {
  value: "expOf(v)",
  slope: "expOf(v)",
  apply: Math.exp,
  derivative: Math.exp,
  curvature: (x, g) => multiply(g, exp(x)),
  functions: nanWgsl,
  samples: [{ shapes: { x: [3, 5] } }],
});

/** Natural logarithm, elementwise: -Infinity at 0, with slope Infinity; NaN for negative numbers and NaN. */
export const log: (x: Tensor) => Tensor = defineUnary("log", {
  value: "logOf(v)",
  slope: "1.0 / v",
  apply: Math.log,
  derivative: (x) => 1 / x,
  curvature: (x, g) => negate(divide(g, square(x))),
  functions: nanWgsl,
  samples: positive,
});

/** Square root, elementwise: NaN for negative numbers and NaN. Its slope at 0 is Infinity. */
export const sqrt: (x: Tensor) => Tensor = defineUnary("sqrt", {
  value: "sqrt(v)",
  slope: "0.5 / sqrt(v)",
  apply: Math.sqrt,
  derivative: (x) => 0.5 / Math.sqrt(x),
  // -1 / (4 x sqrt(x))
  curvature: (x, g) => multiply(divide(g, multiply(x, sqrt(x))), -0.25),
  samples: positive,
});

/** |x|, with slope 0 at 0. */
export const abs: (x: Tensor) => Tensor = defineUnary("abs", {
  value: "abs(v)",
  slope: "select(sign(v), v, isNan(v))",
  apply: Math.abs,
  derivative: Math.sign,
  curvature: (x) => zeros(x.shape),
  functions: nanWgsl,
  samples: [
    { shapes: { x: [3, 5] } },
    { shapes: { x: [1] } },
    { shapes: { x: [5] }, values: { x: [-20, -1, 0.5, 3, -0.02] } },
  ],
});

const samples: readonly Sample[] = [
  { shapes: { x: [3, 5] } },
  { shapes: { x: [1] } },
  { shapes: { x: [8] }, values: { x: [-30, -6, -0.7853982, -0.01, 1.5707964, 3.1415927, 100, 1000] } },
];

/**
 * Sine of x in radians; NaN for infinities.
 *
 * The error is below 1e-6 for |x| up to 10,000. On WebGPU it grows to about 1e-7 |x| beyond, like
 * the error of rounding x to f32.
 */
export const sin: (x: Tensor) => Tensor = defineUnary("sin", {
  value: "sine(v, 0u)",
  slope: "sine(v, 1u)",
  apply: Math.sin,
  derivative: Math.cos,
  curvature: (x, g) => negate(multiply(g, sin(x))),
  functions: sineWgsl,
  samples,
});

/** Cosine of x in radians; infinities and errors as in `sin`. */
export const cos: (x: Tensor) => Tensor = defineUnary("cos", {
  value: "sine(v, 1u)",
  slope: "-sine(v, 0u)",
  apply: Math.cos,
  derivative: (x) => -Math.sin(x),
  curvature: (x, g) => negate(multiply(g, cos(x))),
  functions: sineWgsl,
  samples,
});

const power: Op<"x[S...] -> y[S...]", { exponent: "f32" }> = defineOp({
  name: "pow",
  signature: "x[S...] -> y[S...]",
  attributes: { exponent: "f32" },
  wgsl: `${nanWgsl}
fn kernel(i: u32) {
  let v = x[i];
  let p = dims.exponent;
  let size = abs(v);
  let isWhole = floor(p) == p;
  let isOdd = isWhole && fract(0.5 * p) != 0.0;
  var value = pow(size, p);
  if (size == 0.0) { value = select(size, 1.0 / size, p < 0.0); }
  if (v < 0.0 && isOdd) { value = -value; }
  if (isNan(v) || (v < 0.0 && size < 3.4028234e38 && !isWhole)) { value = bitcast<f32>(bitcast<u32>(v) | 0x7fc00000u); }
  y[i] = select(value, 1.0, p == 0.0);
}`,
  backward: ({ x, dy }, { exponent }) => ({
    x: () =>
      exponent === 0
        ? zeros(x.shape)
        : multiply(dy, multiply(power(x, { exponent: exponent - 1 }), exponent)),
  }),
  reference({ x, y }, { exponent }) {
    for (let i = 0; i < y.length; i++) y[i] = x[i] ** exponent;
  },
  wasm: ({ x, y }, { S: n, exponent: p }) => [
    { kernel: "transcendental", args: { x, y, n, f: Transcendental.pow, p } },
  ],
  samples: [
    { shapes: { x: [3, 5] }, attributes: { exponent: 3 } },
    ...[-2, -1, 0, 1, 5].map((exponent) => ({
      shapes: { x: [6] },
      attributes: { exponent },
      values: { x: [-1.5, -1, -0.5, 0.75, 1, 2] },
    })),
    ...[1.5, -0.75, 70].map((exponent) => ({
      shapes: { x: [6] },
      attributes: { exponent },
      values: { x: [0.05, 0.5, 1, 1.25, 1.5, 1.75] },
    })),
  ],
});

/**
 * x to the power of a number, elementwise. NaN for a negative x and an exponent that is not whole; 1 for exponent 0.
 *
 * @param exponent a number; for a tensor b of exponents, `exp(multiply(log(x), b))`
 */
export function pow(x: Tensor, exponent: number): Tensor {
  if (typeof exponent !== "number" || !Number.isFinite(Math.fround(exponent))) {
    const expected = "a number; for a tensor of exponents, use exp(multiply(log(x), b))";
    refuse(TypeError, `run pow: the exponent is ${exponent}`, expected);
  }
  if (exponent === 2) return square(x);
  return exponent === 0.5 ? sqrt(x) : power(x, { exponent });
}
