import { add, multiply } from "../ops/elementwise/binary.ts";
import { full, reshape, zeros } from "../ops/layout.ts";
import { withDevice } from "../core/context.ts";
import { checkList, refuse, refuseUnknown } from "../core/checks.ts";
import {
  checkTensor,
  type GradientRule,
  type History,
  overwrittenSinceMade,
  scope,
  Tensor,
  tensor,
} from "../core/tensor.ts";
import { ShapeError } from "../core/shape.ts";
import { nextOrder, Storage } from "../core/memory.ts";
import { sum } from "../ops/reduce/reduce.ts";
import { uniforms } from "../ops/random.ts";
import type { Kernel } from "../devices/device.ts";

/**
 * Every op between results and the tensors they are differentiated with respect to, latest first.
 *
 * @param since event number before which no op depends on the sources
 */
function opsBetween(
  results: readonly Tensor[],
  sources: ReadonlySet<Tensor>,
  since = 0,
): Map<Tensor, History> {
  const histories = new Map<Tensor, History>();
  const open = [...results];
  for (let y = open.pop(); y; y = open.pop()) {
    if (!y.history || y.history.order < since || histories.has(y)) continue;
    histories.set(y, y.history);
    open.push(...y.history.inputs);
  }
  const inOrder = [...histories].sort(([, a], [, b]) => a.order - b.order);
  const reaches = new Set<Tensor>(sources);
  const between = inOrder.filter(([y, { inputs }]) => inputs.some((x) => reaches.has(x)) && reaches.add(y));
  return new Map(between.reverse());
}

/**
 * Gradients of a scalar with respect to tensors it was computed from, by reverse-mode differentiation.
 *
 * Gradients have a history, so they can be differentiated again. It keeps all intermediate values in memory while a
 * gradient, or anything computed from one, is alive: `detach` what outlives a step, such as a running average of
 * gradients, or return it from a `scope`. Gradients end at tensors without a history: data, constants, detached tensors,
 * results of a scope, and tensors written in place.
 *
 * @param loss f32[], or a single element
 * @param parameters tensors of any shape
 * @returns one gradient per parameter, of its shape, in the same order. Some may share memory, such as those of a and b in
 * `add(a, b)`: copy one, for example with `add(da, 0)`, before an op overwrites it
 *
 * ```ts
 * import { gradients, init, multiply, sum, tensor } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const x = tensor([1, 2, 3]);
 * const [dx] = gradients(sum(multiply(x, x)), [x]);
 * console.log(await dx.read()); // [2, 4, 6]
 * ```
 * Source: Griewank and Walther 2008, Evaluating Derivatives, chapter 3
 */
export function gradients(loss: Tensor, parameters: readonly Tensor[]): Tensor[] {
  checkTensor("take gradients", "the loss is", loss);
  checkList("take gradients", "parameters are", parameters, "tensors");
  parameters.forEach((parameter, i) => checkTensor("take gradients", `parameter ${i} is`, parameter));
  if (loss.size !== 1) {
    refuse(ShapeError, `take gradients of ${loss}`, "a single number: take its sum() or mean()");
  }
  return withDevice(loss.device, () => {
    const all = pullBack(new Map([[loss, full(loss.shape, 1)]]), parameters);
    return parameters.map((parameter, i) => {
      const gradient = all[i];
      if (gradient) return gradient;
      if (parameter.size === 0) return zeros(parameter.shape);
      refuse(Error, `take gradients: the loss does not depend on parameter ${i}, ${parameter}`);
    });
  });
}

/**
 * Gradients of the sum of <y, dy> over results y, each with its cotangent dy, on the device in use.
 *
 * @param since event number before which nothing depends on the parameters
 * @returns one per parameter, undefined if no result depends on it
 */
export function pullBack(
  cotangents: ReadonlyMap<Tensor, Tensor>,
  parameters: readonly Tensor[],
  since?: number,
): readonly (Tensor | undefined)[] {
  const wanted = new Set(parameters);
  const between = opsBetween([...cotangents.keys()], wanted, since);
  const gradient = new Map(cotangents);
  for (const y of cotangents.keys()) {
    const lost = between.has(y) ? overwrittenSinceMade(y) : undefined;
    if (lost !== undefined) refuseOverwritten(y, lost);
  }
  for (const [y, history] of between) {
    const rules = rulesOf(history, gradient.get(y)!);
    history.inputs.forEach((x, i) => {
      if (!between.has(x) && !wanted.has(x)) return;
      checkKept(history, i, between);
      const before = gradient.get(x);
      const adds = rules[i]?.length === 1; // a rule with a parameter adds to the gradient so far
      const dx = applyRule(history, i, rules[i], adds ? before : undefined);
      gradient.set(x, before && !adds ? add(before, dx) : dx);
    });
  }
  return parameters.map((parameter) => gradient.get(parameter));
}

/** An op's rules for the gradient dy of its output: its own, or those of the ops that it is composed of. */
function rulesOf(history: History, dy: Tensor): readonly (GradientRule | undefined)[] {
  const own = history.backward(dy);
  if (own.some((rule) => rule) || !history.composite) return own;
  let pulled: readonly (Tensor | undefined)[] | undefined;
  const gradientOf = (i: number) => {
    if (!pulled) {
      const { inputs, output, since } = remade(history);
      pulled = pullBack(new Map([[output, dy]]), inputs, since);
    }
    return pulled[i] ?? zeros(history.inputs[i].shape);
  };
  return history.inputs.map((_, i) => () => gradientOf(i));
}

/**
 * Recomputes an op from the ops that it is composed of. Its inputs are views, so that differentiation can end at them.
 */
function remade(history: History) {
  const since = nextOrder();
  const views = history.inputs.map((x) => reshape(x, x.shape));
  const output = history.composite?.(views);
  if (!output) refuseWithoutRule(history, 0);
  return { inputs: views, output, since };
}

function checkKept(
  { overwritten, inputs }: History,
  i: number,
  between: ReadonlyMap<Tensor, History>,
): void {
  const by = overwritten?.get(i);
  if (by !== undefined && between.has(inputs[i])) refuseOverwritten(inputs[i], by);
}

/** Runs the gradient rule of an input. */
function applyRule(history: History, i: number, rule?: GradientRule, before?: Tensor): Tensor {
  if (!rule) refuseWithoutRule(history, i);
  const x = history.inputs[i];
  const name = history.names[i];
  const task = `take gradients through ${history.op}`;
  return checkTensor(task, `the rule of its input ${name} returned`, rule(before), x.shape);
}

function refuseWithoutRule({ op, output, names, inputs }: History, i: number): never {
  const why = `no rule leads from its output ${output} to its input ${names[i]} ${inputs[i]}`;
  const advice = "declare one in the op's backward, or detach() the input where gradients should end";
  refuse(Error, `take gradients through ${op}: ${why}; ${advice}`);
}

function refuseOverwritten(y: Tensor, by: string): never {
  const lost = `${by} has overwritten its output ${y.history?.output} ${y} before it was used`;
  const advice = "take gradients before, or overwrite a copy";
  refuse(Error, `take gradients through ${y.history?.op}: ${lost}; ${advice}`);
}

/** A tensor and all tensors that it was computed from, as far as histories reach. */
export function sourcesOf(y: Tensor): ReadonlySet<Tensor> {
  const sources = new Set([y]);
  for (const { history } of sources) {
    for (const x of history?.inputs ?? []) sources.add(x); // the loop visits these, too
  }
  return sources;
}

/**
 * A function's result and its derivative along a direction, by forward-mode differentiation: for y = f(x), y and
 * (dy/dx) tx. It costs about one more evaluation of f, regardless of the number of values and results.
 *
 * Both have a history, so they can be differentiated again, by `gradients` or `jvp`: `jvp` of `gradients` gives
 * products with a Hessian. Derivatives end where gradients end, such as at detached tensors, which count as constants.
 *
 * @param f a function of tensors that uses only device ops; it returns a tensor, or a list of tensors
 * @param values f32 tensors of any shape: the arguments of f. f may also read them directly, as a network reads its
 * parameters; a tensor that is given twice then moves along its first tangent
 * @param tangents the direction: one per value, of its shape
 * @returns what f returned, and its derivative in the same form
 *
 * ```ts
 * import { init, jvp, multiply, tensor } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const [y, dy] = jvp((x) => multiply(x, x), [tensor([1, 2, 3])], [tensor([1, 1, 0])]);
 * console.log(await y.read(), await dy.read()); // [1, 4, 9] and [2, 4, 0]
 * ```
 * Source: Griewank and Walther 2008, Evaluating Derivatives, chapter 3; Radul et al. 2023, arXiv:2204.10923
 */
export function jvp<T extends Tensor | readonly Tensor[]>(
  f: (...values: Tensor[]) => T,
  values: readonly Tensor[],
  tangents: readonly Tensor[],
): [T, T] {
  const task = "push tangents";
  checkList(task, "values are", values, "tensors");
  checkList(task, "tangents are", tangents, "tensors");
  values.forEach((value, i) => {
    checkTensor(task, `value ${i} is`, value);
    checkTensor(task, `tangent ${i} is`, tangents[i], value.shape);
  });
  // Tangents are kept by tensor, so a tensor that is given twice becomes a view of its own.
  const own = values.map((value, i) => values.indexOf(value) < i ? reshape(value, value.shape) : value);
  const result = f(...own);
  const results = [result].flat() as readonly Tensor[];
  results.forEach((y, i) => checkTensor(task, `result ${i} of the function is`, y));
  const pushed = pushForward(results, new Map(own.map((value, i) => [value, tangents[i]])));
  const filled = pushed.map((tangent, i) =>
    tangent ?? withDevice(results[i].device, () => zeros(results[i].shape))
  );
  return [result, (Array.isArray(result) ? filled : filled[0]) as T];
}

/**
 * Tangents of results, from those of the tensors they were computed from; undefined for a result that depends on none
 * of these.
 */
function pushForward(
  results: readonly Tensor[],
  tangents: ReadonlyMap<Tensor, Tensor>,
  since?: number,
): readonly (Tensor | undefined)[] {
  const between = opsBetween(results, new Set(tangents.keys()), since);
  const pushed = new Map(tangents);
  for (const [y, history] of [...between].reverse()) {
    if (pushed.has(y)) continue;
    const inputs = history.inputs.map((x, i) => {
      if (pushed.has(x)) checkKept(history, i, between);
      return pushed.get(x);
    });
    const tangent = withDevice(y.device, () => tangentOf(y, history, inputs));
    if (tangent) pushed.set(y, tangent);
  }
  return results.map((y) => pushed.get(y));
}

function tangentOf(
  y: Tensor,
  history: History,
  tangents: readonly (Tensor | undefined)[],
): Tensor | undefined {
  if (history.forward) return history.forward(tangents);
  if (!history.composite) return transposed(y, history, tangents);
  const { inputs, output, since } = remade(history);
  const moving = inputs.flatMap((x, i) => tangents[i] ? [[x, tangents[i]] as const] : []);
  return pushForward([output], new Map(moving), since)[0];
}

/**
 * The tangent of an op's output by its gradient rules. They are linear in the gradient dy of the output, dx = J^T dy; so
 * the gradient of <dx, tx> by dy is J tx. No value of dy is needed: ops on it run only symbolically.
 */
function transposed(
  y: Tensor,
  history: History,
  tangents: readonly (Tensor | undefined)[],
): Tensor | undefined {
  const since = nextOrder();
  const dy = new Tensor(Storage.symbolic(y.device, y.size), y.shape);
  const rules = history.backward(dy);
  const cotangents = new Map<Tensor, Tensor>();
  tangents.forEach((tx, i) => {
    if (!tx) return;
    const dx = applyRule(history, i, rules[i]);
    const before = cotangents.get(dx);
    cotangents.set(dx, before ? add(before, tx) : tx);
  });
  const [tangent] = pullBack(cotangents, [dy], since);
  if (!tangent?.storage.isSymbolic) return tangent;
  const why = `its gradient rules are not linear in the gradient of its output ${history.output}`;
  refuse(Error, `push tangents through ${history.op}: ${why}`, "a sum of products with it");
}

/** Thrown if a gradient differs from the derivative of its function. */
export class GradientError extends Error {
  /** Class name, kept in minified code. */
  override name = "GradientError";
}

/** Options of {@linkcode checkGradients}. */
export interface GradientCheck {
  /** Allowed error relative to the largest element of an input's gradient; by default 1e-3. */
  readonly tolerance?: number;
  /**
   * Step of the differences, by default 1/32; inputs move by up to two steps. With smaller steps, f32 rounding
   * dominates.
   */
  readonly step?: number;
}

/** Weights of f at x + 2h, x + h, x - h and x - 2h in 12h f'(x): the error falls as h^4. */
const stencil = [[2, -1], [1, 8], [-1, -8], [-2, 1]] as const;

/**
 * Checks the gradient of an op, or of any function of tensors, against central differences on the device in use.
 *
 * Moves the f32 inputs one element at a time; u32 inputs stay as they are. Outputs are summed with random weights in
 * [-1, 1), so that errors do not cancel.
 *
 * @param f a deterministic function, smooth within two steps of the inputs: avoid kinks such as relu's at 0
 * @param inputs small tensors: f runs four times for each element
 * @throws {GradientError} naming the input, the element, both values and the allowed error
 *
 * ```ts
 * import { checkGradients, init, multiply, tanh, tensor } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * await checkGradients((a, b) => multiply(tanh(a), b), [tensor([0.5, -1]), tensor([2, 3])]);
 * ```
 * Source: Fornberg 1988, Generation of finite difference formulas on arbitrarily spaced grids, table 1
 */
export async function checkGradients(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  { tolerance = 1e-3, step = 1 / 32, ...unknown }: GradientCheck = {},
): Promise<void> {
  refuseUnknown("check gradients", unknown, ["tolerance", "step"]);
  inputs.forEach((x, i) => checkTensor("check gradients", `input ${i} is`, x));
  for (const [name, value] of Object.entries({ tolerance, step })) {
    if (value > 0 && value < Infinity) continue;
    refuse(RangeError, `check gradients: ${name} is ${value}`, "a number above 0");
  }
  const copies = await Promise.all(inputs.map(async (x) => {
    return x.type === "u32" ? x : tensor(await x.read(), x.shape); // leaves the caller's tensors unchanged
  }));
  const run = () => scope(() => checkTensor("check gradients", "the function returned", f(...copies)));
  const y = run();
  const values = await y.read();
  const weights = uniforms(11, 3, 0, y.size).map((u) => 2 * u - 1);
  const moving = copies.filter(({ type }) => type === "f32");
  const computed = scope(() => {
    const again = checkTensor("check gradients", "a second call returned", f(...copies), y.shape);
    return gradients(sum(multiply(again, tensor(weights, y.shape))), moving);
  });
  const rounding = largest(values) * 2 ** -21 / step; // smaller differences of f32 numbers are noise

  for (const [k, x] of moving.entries()) {
    const dx = await computed[k].read();
    const expected = await differences(x);
    const allowed = tolerance * largest(expected) + rounding;
    for (const [i, value] of expected.entries()) {
      if (Math.abs(dx[i] - value) <= allowed) continue;
      const of = f.name === "" ? "" : ` of ${f.name}`;
      const found = `at element ${i} of ${inputName(copies.indexOf(x))} ${x} it is ${dx[i]}`;
      const what = `confirm the gradient${of}: ${found}, but central differences give ${value}`;
      refuse(GradientError, what, `within ${allowed.toPrecision(3)}`);
    }
  }

  /** Derivatives of the weighted outputs with respect to each element of an input. */
  async function differences(x: Tensor): Promise<Float64Array> {
    const before = await x.read();
    const slopes = new Float64Array(x.size);
    for (let i = 0; i < x.size; i++) {
      const moved = await Promise.all(stencil.map(([steps]) => {
        const near = before.slice();
        near[i] += steps * step;
        x.write(near);
        return run().read();
      }));
      moved.forEach((values, k) => {
        const weighted = values.reduce((total, value, j) => total + weights[j] * value, 0);
        slopes[i] += stencil[k][1] * weighted / (12 * step);
      });
    }
    x.write(before);
    return slopes;
  }

  function inputName(i: number): string {
    return "kernel" in f ? (f.kernel as Kernel).ports[i].name : `input ${i}`;
  }
}

function largest(values: Float32Array | Float64Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}
