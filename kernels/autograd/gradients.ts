import { add } from "../ops/elementwise/binary.ts";
import { full } from "../ops/layout/fill.ts";
import { reshape } from "../ops/layout/movement.ts";
import { ShapeError } from "../core/shape.ts";
import type { History, Tensor } from "../core/tensor.ts";

/** Every op between `loss` and the parameters, latest first. */
function opsBetween(loss: Tensor, parameters: ReadonlySet<Tensor>): [Tensor, History][] {
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
  return between.reverse();
}

/**
 * Gradients of a scalar with respect to tensors it was computed from, by reverse-mode differentiation.
 *
 * @param loss f32[], or a single element
 * @param parameters tensors of any shape
 * @returns one gradient a parameter, of its shape, in the same order
 * @throws {ShapeError} if the loss is not a single number
 * @throws {Error} if the loss does not depend on a parameter
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
  if (loss.size !== 1) {
    throw new ShapeError(`Cannot take gradients of ${loss} (expected a single number: sum or mean it)`);
  }
  const wanted = new Set(parameters);
  const between = opsBetween(loss, wanted);
  const flows = new Set<Tensor>([...wanted, ...between.map(([y]) => y)]);
  const gradient = new Map<Tensor, Tensor>([[loss, reshape(full([1], 1), loss.shape)]]);
  for (const [y, { inputs, backward }] of between) {
    const dy = gradient.get(y);
    if (!dy) continue;
    const thunks = backward(dy);
    inputs.forEach((x, i) => {
      const thunk = thunks[i];
      if (!thunk || !flows.has(x)) return;
      const dx = thunk();
      const before = gradient.get(x);
      gradient.set(x, before ? add(before, dx) : dx);
    });
  }
  return parameters.map((parameter, i) => {
    const found = gradient.get(parameter);
    if (!found) {
      throw new Error(`Cannot take gradients: the loss does not depend on parameter ${i}, ${parameter}`);
    }
    return found;
  });
}
