import { nextOrder } from "../core/order.ts";
import type { History, Tensor } from "../core/tensor.ts";
import { type Rule, runRule } from "./rule.ts";

type Rules = Readonly<Record<string, (() => Tensor) | undefined>>;
type Saved = Readonly<Record<string, Tensor>>;

/** A call of an op, and the rules of its gradients. */
interface Call extends Pick<History, "op" | "output" | "names" | "inputs"> {
  /** Outputs, by name, that the rules may read. */
  readonly outputs?: () => readonly (readonly [string, Tensor])[];
  /** For each input that has one, its gradient given that of the output; made of differentiable ops. */
  readonly rules: (saved: Saved, dy: Tensor) => Rules;
}

/** The history of an op's result. Its rules refuse to read what was overwritten, or moved to other memory, since. */
export function makeHistory({ op, output, names, inputs, outputs, rules }: Call): History {
  let overwritten: Map<number, string> | undefined;
  for (let i = 0; i < inputs.length; i++) {
    const by = overwrittenSinceMade(inputs[i]);
    if (by !== undefined) (overwritten ??= new Map()).set(i, by);
  }
  const places = inputs.map(({ storage, offset }) => ({ storage, offset }));
  const order = nextOrder();
  const backward = (dy: Tensor) => {
    const saved: Record<string, Tensor> = {};
    names.forEach((name, i) => saved[name] = inputs[i]);
    for (const [name, y] of outputs?.() ?? []) saved[name] = y;
    const moved = inputs.filter(({ storage, offset }, i) =>
      storage !== places[i].storage || offset !== places[i].offset
    );
    const rule: Rule = { op, order, saved, moved };
    const given = runRule(rule, () => rules(saved, dy));
    return names.map((name) => {
      const gradient = given[name];
      return gradient && (() => runRule(rule, gradient));
    });
  };
  const history = { order, op, output, names, inputs, backward };
  return overwritten ? { ...history, overwritten } : history;
}

/** What has overwritten the values that a tensor's history leads to, if anything did. */
export function overwrittenSinceMade({ history, storage, offset, size }: Tensor): string | undefined {
  return history && storage.overwritten(offset, size, history.order);
}
