/** Random graphs of the public ops. */

import { sizeOf } from "../../kernels/core/shape.ts";
import { type Shape, type Tensor, tensor, uniforms } from "../../kernels/mod.ts";
import { type Call, type Graph, reductions, runs } from "./graph.ts";

/** Random numbers of a seed. */
class Draw {
  #counter = 0;
  constructor(readonly seed: number) {}

  /** Numbers in [-2, 2) with five decimals. */
  numbers(count: number): number[] {
    return [...uniforms(this.seed, 17, this.#counter++, count)].map((u) => Math.round(4e5 * u - 2e5) / 1e5);
  }

  /** A whole number from 0 to n - 1. */
  below(n: number): number {
    return Math.floor(uniforms(this.seed, 18, this.#counter++, 1)[0] * n);
  }

  /** A whole number from a to b. */
  between(a: number, b: number): number {
    return a + this.below(b - a + 1);
  }

  one<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  some<T>(items: readonly T[]): T[] {
    return items.filter(() => this.below(2) === 0);
  }

  shuffled<T>(items: readonly T[]): T[] {
    const left = [...items];
    return items.map(() => left.splice(this.below(left.length), 1)[0]);
  }
}

/** Most elements of a value. */
const maxElements = 400;

/** Makes a graph call by call. Every call runs immediately, so that shapes and sizes of results are known. */
class Builder {
  readonly #made: (Graph["leaves"][number] | Call)[] = [];
  readonly #values: Tensor[] = [];

  constructor(readonly draw: Draw) {}

  /** Shape of a value. */
  shape(value: number): Shape {
    return this.#values[value].shape;
  }

  leaf(shape: Shape): number {
    const values = this.draw.numbers(sizeOf(shape));
    this.#made.push({ shape, values });
    return this.#values.push(tensor(values, shape)) - 1;
  }

  call(op: string, inputs: readonly number[], ...options: unknown[]): number {
    const y = runs[op](inputs.map((i) => this.#values[i]), ...options as never[]);
    this.#made.push({ op, inputs, options });
    return this.#values.push(y) - 1;
  }

  /** Scales a value that has become large, and so keeps derivatives in the range of f32. */
  async tamed(value: number): Promise<number> {
    const largest = (await this.#values[value].read()).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    return largest > 4 ? this.call("multiply", [value], Math.fround(2 / largest)) : value;
  }

  /** The graph so far, with its leaves before its calls. */
  get graph(): Graph {
    const isCall = this.#made.map((made) => "op" in made);
    const order = [...isCall.keys()].sort((a, b) => Number(isCall[a]) - Number(isCall[b]) || a - b);
    const leaves = this.#made.filter((made) => !("op" in made)) as Graph["leaves"];
    const calls = this.#made.filter((made) => "op" in made)
      .map((call) => ({ ...call, inputs: call.inputs.map((i) => order.indexOf(i)) }));
    return { leaves, calls, twice: !calls.some(({ op }) => op === "groupNorm" || op === "attend") };
  }
}

/** A value as images of at least 2 x 2 pixels; undefined if it has too few elements. */
function asImages(b: Builder, v: number): number | undefined {
  const size = sizeOf(b.shape(v));
  const sides = [2, 3, 4, 5, 6].flatMap((H) => [2, 3, 4, 5, 7].map((W) => [H, W]));
  const fitting = sides.filter(([H, W]) => size % (H * W) === 0);
  if (fitting.length === 0) return undefined;
  const [H, W] = b.draw.one(fitting), planes = size / (H * W);
  const C = b.draw.one([1, 2, 3, 4, 6].filter((n) => planes % n === 0));
  return b.call("reshape", [v], [planes / C, C, H, W]);
}

/** A value of a rank: leading axes are merged, or axes of length 1 added in front. */
function ofRank(b: Builder, v: number, rank: number): number {
  const shape = b.shape(v);
  if (shape.length === rank) return v;
  const extra = shape.length - rank + 1;
  const wanted = extra > 0
    ? [sizeOf(shape.slice(0, extra)), ...shape.slice(extra)]
    : [...Array(rank - shape.length).fill(1), ...shape];
  return b.call("reshape", [v], wanted);
}

/** A leaf whose shape broadcasts with that of a value. */
function beside(b: Builder, v: number): number {
  const shape = b.shape(v).slice(-3);
  return b.leaf(shape.slice(b.draw.below(shape.length + 1)).map((length) => b.draw.below(3) ? length : 1));
}

/** A value with only positive numbers: its square plus a half. */
const positive = (b: Builder, v: number) => b.call("add", [b.call("square", [v])], 0.5);

type Step = (b: Builder, v: number) => number | undefined;

/** What may happen to a value in a graph; undefined if its shape does not fit. */
const steps: Readonly<Record<string, Step>> = {
  ...Object.fromEntries(
    (["abs", "cos", "gelu", "negate", "relu", "sigmoid", "silu", "sin", "square", "tanh"] as const)
      .map((op): [string, Step] => [op, (b, v) => b.call(op, [v])]),
  ),
  exp: (b, v) => b.call("exp", [b.call("tanh", [v])]),
  log: (b, v) => b.call("log", [positive(b, v)]),
  sqrt: (b, v) => b.call("sqrt", [positive(b, v)]),
  pow: (b, v) =>
    b.draw.below(2)
      ? b.call("pow", [v], b.draw.one([1, 3, 4]))
      : b.call("pow", [positive(b, v)], b.draw.one([-1, 1.5, -0.5])),
  clamp: (b, v) => b.call("clamp", [v], -0.75, b.draw.one([0.5, 1.25])),
  ...Object.fromEntries(
    (["add", "subtract", "multiply", "maximum", "minimum", "where", "whereLess"] as const)
      .map((op): [string, Step] => [op, (b, v) => b.call(op, b.draw.shuffled([v, beside(b, v)]))]),
  ),
  divide: (b, v) => b.call("divide", [v, positive(b, beside(b, v))]),
  ...Object.fromEntries(
    [...reductions, "variance"].map((op): [string, Step] => [op, (b, v) => {
      const axes = b.draw.some(b.shape(v).map((_, axis) => axis));
      const unbiased = op === "variance" && axes.reduce((n, axis) => n * b.shape(v)[axis], 1) > 1;
      return b.call(op, [v], axes, b.draw.below(2) === 1, ...op === "variance" ? [unbiased] : []);
    }]),
  ),
  transpose: (b, v) => b.shape(v).length < 2 ? undefined : b.call("transpose", [v]),
  permute: (b, v) => b.call("permute", [v], b.draw.shuffled(b.shape(v).map((_, axis) => axis))),
  slice(b, v) {
    const shape = b.shape(v);
    if (shape.length === 0) return undefined;
    const axis = b.draw.below(shape.length), start = b.draw.below(shape[axis]);
    return b.call("slice", [v], axis, start, b.draw.between(1, shape[axis] - start));
  },
  pad: (b, v) => b.call("pad", [v], b.draw.some(b.shape(v)).map(() => [b.draw.below(2), b.draw.below(3)])),
  concat(b, v) {
    const shape = b.shape(v);
    if (shape.length === 0) return undefined;
    const axis = b.draw.below(shape.length);
    const others = [b.leaf(shape.with(axis, b.draw.between(1, 3))), v].slice(0, b.draw.between(1, 2));
    return b.call("concat", b.draw.shuffled([v, ...others]), axis);
  },
  stack(b, v) {
    const parts = [v, ...Array.from({ length: b.draw.below(3) }, () => b.leaf(b.shape(v)))];
    return b.call("stack", b.draw.shuffled(parts), b.draw.between(0, b.shape(v).length));
  },
  softmax: (b, v) => b.shape(v).length === 0 ? undefined : b.call("softmax", [v]),
  logSoftmax: (b, v) => b.shape(v).length === 0 ? undefined : b.call("logSoftmax", [v]),
  layerNorm(b, v) {
    const C = b.shape(v).at(-1);
    return C === undefined || C < 2 ? undefined : b.call("layerNorm", [v, b.leaf([C]), b.leaf([C])]);
  },
  linear(b, v) {
    const C = b.shape(v).at(-1);
    if (C === undefined) return undefined;
    const outputs = b.draw.between(1, 9), x = b.shape(v).length < 2 ? ofRank(b, v, 2) : v;
    return b.call("linear", [x, b.leaf([outputs, C]), b.leaf([outputs])]);
  },
  matmul(b, v) {
    const x = b.shape(v).length < 2 ? ofRank(b, v, 2) : v, [K] = b.shape(x).slice(-1);
    const batch = b.draw.below(2) ? b.shape(x).slice(0, -2) : [];
    return b.call("matmul", [x, b.leaf([...batch, K, b.draw.between(1, 9)])]);
  },
  matmulTransposedA(b, v) {
    const x = ofRank(b, v, 2), [K] = b.shape(x);
    return b.call("matmulTransposedA", [x, b.leaf([K, b.draw.between(1, 9)])]);
  },
  matmulTransposedB(b, v) {
    const x = ofRank(b, v, 3), [batch, , K] = b.shape(x);
    return b.call("matmulTransposedB", [x, b.leaf([batch, b.draw.between(1, 9), K])]);
  },
  meanSquaredError: (b, v) => b.call("meanSquaredError", [v, b.leaf(b.shape(v))]),
  crossEntropy: (b, v) => b.call("crossEntropy", [ofRank(b, v, 2)]),
  gatherRows(b, v) {
    const table = ofRank(b, v, 2), [rows] = b.shape(table);
    return b.call(
      "gatherRows",
      [table],
      Array.from({ length: b.draw.between(1, 5) }, () => b.draw.below(rows)),
    );
  },
  attend(b, v) {
    const q = ofRank(b, v, 3);
    return b.call("attend", [q, b.leaf(b.shape(q)), b.leaf(b.shape(q))]);
  },
  conv2d(b, v) {
    const x = asImages(b, v);
    if (x === undefined) return undefined;
    const [N, C, H, W] = b.shape(x), R = b.draw.one([1, 2, 3]), stride = b.draw.between(1, 2);
    const groups = b.draw.one([1, C]), K = groups * b.draw.between(1, 3);
    const padding = R === 3 ? 1 : b.draw.below(2);
    const out = (length: number) => Math.floor((length + 2 * padding - R) / stride) + 1;
    const tensors = [x, b.leaf([K, C / groups, R, R]), b.leaf([K])];
    const residual = b.draw.below(2) ? [b.leaf([N, K, out(H), out(W)])] : [];
    return b.call("conv2d", [...tensors, ...residual], padding, stride, groups);
  },
  convTranspose2d(b, v) {
    const x = asImages(b, v);
    if (x === undefined) return undefined;
    const [, C] = b.shape(x), K = b.draw.between(1, 3);
    return b.call("convTranspose2d", [x, b.leaf([C, K, 2, 2]), b.leaf([K])]);
  },
  groupNorm(b, v) {
    const x = asImages(b, v);
    if (x === undefined) return undefined;
    const [, C] = b.shape(x), groups = b.draw.one([1, 2, 3, 6].filter((n) => C % n === 0));
    return b.call("groupNorm", [x, b.leaf([C]), b.leaf([C])], groups, b.draw.one(["none", "gelu"]));
  },
  maxPool2d(b, v) {
    const x = asImages(b, v);
    return x === undefined ? undefined : b.call("maxPool2d", [x]);
  },
  averagePool2d(b, v) {
    const x = asImages(b, v);
    const [size, stride, padding] = b.draw.one([[2, 2, 0], [2, 1, 1], [2, 3, 0], [3, 2, 1]]);
    return x === undefined ? undefined : b.call("averagePool2d", [x], size, stride, padding);
  },
  resizeBilinear(b, v) {
    const x = asImages(b, v);
    return x === undefined
      ? undefined
      : b.call("resizeBilinear", [x], b.draw.between(1, 7), b.draw.between(1, 7));
  },
};

/** Names of all steps. Graph number n begins with step n, so that a few graphs have all ops. */
const stepNames: readonly string[] = Object.keys(steps);

/** Makes a random graph on the device in use, the same for the same seed. */
export async function randomGraph(seed: number): Promise<Graph> {
  const draw = new Draw(seed), b = new Builder(draw);
  let v = b.leaf(draw.one([[2, 3, 4, 6], [4, 5, 6], [6, 10], [24], [2, 2, 3, 4, 5]]));
  const wanted = draw.between(4, 9);
  for (let made = 0, tries = 0; made < wanted && tries < 40; tries++) {
    const name = tries === 0 ? stepNames[seed % stepNames.length] : draw.one(stepNames);
    const next = sizeOf(b.shape(v)) <= maxElements ? steps[name](b, v) : b.call("mean", [v], [0], false);
    if (next === undefined) continue;
    v = await b.tamed(next);
    made++;
  }
  return b.graph;
}
