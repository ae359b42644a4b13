import { add } from "../ops/elementwise/binary.ts";
import { full, zeros } from "../ops/layout/fill.ts";
import { reshape } from "../ops/layout/movement.ts";
import { withDevice } from "../core/context.ts";
import { checkList, refuse } from "../core/checks.ts";
import { checkTensor, type GradientRule, type History, type Tensor } from "../core/tensor.ts";
import { ShapeError } from "../core/shape.ts";
import { nextOrder } from "../core/memory.ts";
import { overwrittenSinceMade } from "./history.ts";

/**
 * Every op between results and the tensors they are differentiated with respect to, latest first.
 *
 * @param since event number before which no op depends on the sources
 */
export function opsBetween(
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
export function remade(history: History) {
  const since = nextOrder();
  const views = history.inputs.map((x) => reshape(x, x.shape));
  const output = history.composite?.(views);
  if (!output) refuseWithoutRule(history, 0);
  return { inputs: views, output, since };
}

export function checkKept(
  { overwritten, inputs }: History,
  i: number,
  between: ReadonlyMap<Tensor, History>,
): void {
  const by = overwritten?.get(i);
  if (by !== undefined && between.has(inputs[i])) refuseOverwritten(inputs[i], by);
}

/** Runs the gradient rule of an input. */
export function applyRule(history: History, i: number, rule?: GradientRule, before?: Tensor): Tensor {
  if (!rule) refuseWithoutRule(history, i);
  const [x, name] = [history.inputs[i], history.names[i]];
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
