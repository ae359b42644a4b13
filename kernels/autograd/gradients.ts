import { add } from "../ops/elementwise/binary.ts";
import { full, zeros } from "../ops/layout/fill.ts";
import { withDevice } from "../core/context.ts";
import { checkList } from "../core/checks.ts";
import { checkTensor, type History, type Tensor } from "../core/tensor.ts";
import { ShapeError } from "../core/shape.ts";
import { overwrittenSinceMade } from "./history.ts";

/** Every op between `loss` and the parameters, latest first. */
function opsBetween(loss: Tensor, parameters: ReadonlySet<Tensor>): Map<Tensor, History> {
  const found = new Map<Tensor, History>();
  const open = [loss];
  for (let y = open.pop(); y; y = open.pop()) {
    if (!y.history || found.has(y)) continue;
    found.set(y, y.history);
    open.push(...y.history.inputs);
  }
  const inOrder = [...found].sort(([, a], [, b]) => a.order - b.order);
  const reaches = new Set<Tensor>(parameters);
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
 * Second derivatives of `groupNorm`, and of `attend` with its GPU kernels, are not supported and throw.
 *
 * @param loss f32[], or a single element
 * @param parameters tensors of any shape
 * @returns one gradient per parameter, of its shape, in the same order. Some may share memory, such as those of a and b in
 * `add(a, b)`: copy one, for example with `add(da, 0)`, before an op overwrites it
 * @throws {TypeError} if the loss, a parameter or a rule's result is not a tensor, or the parameters are not a list
 * @throws {ShapeError} if the loss is not a single number, or a rule's gradient does not have the shape of its input
 * @throws {Error} if the loss does not depend on a parameter, an op in between has no gradient rule for an input, or a
 * value that a rule needs was overwritten or moved to other memory, as `withParameters` does with parameters
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
    throw new ShapeError(`Cannot take gradients of ${loss} (expected a single number: sum or mean it)`);
  }
  return withDevice(loss.device, () => backpropagate(loss, parameters));
}

/** Computes the gradients on the device in use. */
function backpropagate(loss: Tensor, parameters: readonly Tensor[]): Tensor[] {
  const wanted = new Set(parameters);
  const between = opsBetween(loss, wanted);
  const lost = between.has(loss) ? overwrittenSinceMade(loss) : undefined;
  if (lost !== undefined) throw overwrittenError(loss, lost);
  const gradient = new Map<Tensor, Tensor>([[loss, full(loss.shape, 1)]]);
  for (const [y, history] of between) {
    const rules = history.backward(gradient.get(y)!);
    history.inputs.forEach((x, i) => {
      if (!between.has(x) && !wanted.has(x)) return;
      const by = history.overwritten?.get(i);
      if (by !== undefined && between.has(x)) throw overwrittenError(x, by);
      const dx = applyRule(history, i, rules[i]);
      const before = gradient.get(x);
      gradient.set(x, before ? add(before, dx) : dx);
    });
  }
  return parameters.map((parameter, i) => {
    const found = gradient.get(parameter);
    if (found) return found;
    if (parameter.size === 0) return zeros(parameter.shape);
    throw new Error(`Cannot take gradients: the loss does not depend on parameter ${i}, ${parameter}`);
  });
}

function applyRule({ op, output, names, inputs }: History, i: number, rule?: () => Tensor): Tensor {
  const [x, name] = [inputs[i], names[i]];
  if (!rule) {
    throw new Error(
      `Cannot take gradients through ${op}: no rule leads from its output ${output} to its input ${name} ${x}; ` +
        "declare one in the op's backward, or detach() the input where gradients should end",
    );
  }
  const dx = rule();
  return checkTensor(`take gradients through ${op}`, `the rule of its input ${name} gives`, dx, x.shape);
}

function overwrittenError(y: Tensor, by: string): Error {
  return new Error(
    `Cannot take gradients through ${y.history?.op}: ${by} has overwritten its output ${y.history?.output} ${y} ` +
      "before it was used; take gradients before, or overwrite a copy",
  );
}

/** A tensor and all tensors that it was computed from, as far as histories reach. */
export function sourcesOf(y: Tensor): ReadonlySet<Tensor> {
  const found = new Set([y]);
  for (const { history } of found) {
    for (const x of history?.inputs ?? []) found.add(x); // the loop visits these, too
  }
  return found;
}
