import { nextOrder } from "../core/order.ts";
import type { History, Tensor } from "../core/tensor.ts";
import { type Rule, runRule } from "./rule.ts";

/** A call of an op, and the rules of its gradients. */
interface Call {
  readonly op: string;
  /** Name of the output that the history is for. */
  readonly output: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Outputs that the rules may read. */
  readonly outputs?: () => Readonly<Record<string, Tensor>>;
  /** The gradient of each input that has one, given that of the output; made of differentiable ops. */
  readonly rules: (dy: Tensor) => Readonly<Record<string, (() => Tensor) | undefined>>;
}

/** The history of an op's result. Its rules refuse to read what was overwritten since. */
export function makeHistory({ op, output, inputs, outputs, rules }: Call): History {
  const names = Object.keys(inputs);
  const values = Object.values(inputs);
  let overwritten: Map<number, string> | undefined;
  values.forEach((x, i) => {
    const by = overwrittenSinceMade(x);
    if (by !== undefined) (overwritten ??= new Map()).set(i, by);
  });
  const order = nextOrder();
  return {
    order,
    op,
    output,
    names,
    inputs: values,
    ...overwritten && { overwritten },
    backward(dy) {
      const rule: Rule = { op, order, saved: { ...inputs, ...outputs?.() } };
      const given = runRule(rule, () => rules(dy));
      return names.map((name) => {
        const gradient = given[name];
        return gradient && (() => runRule(rule, gradient));
      });
    },
  };
}

/** What has overwritten the values that a tensor's history leads to, if anything did. */
export function overwrittenSinceMade({ history, storage, offset, size }: Tensor): string | undefined {
  return history && storage.overwritten(offset, size, history.order);
}
