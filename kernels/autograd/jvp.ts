import { withDevice } from "../core/context.ts";
import { checkList, refuse } from "../core/checks.ts";
import { nextOrder, Storage } from "../core/memory.ts";
import { checkTensor, type History, Tensor } from "../core/tensor.ts";
import { add } from "../ops/elementwise/binary.ts";
import { zeros } from "../ops/layout/fill.ts";
import { reshape } from "../ops/layout/movement.ts";
import { applyRule, checkKept, opsBetween, pullBack, remade } from "./gradients.ts";

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
