import { refuse } from "../core/checks.ts";
import { nextOrder, overlap } from "../core/memory.ts";
import { type GradientRule, type History, Tensor } from "../core/tensor.ts";

/** The same values without a history: derivatives end here. */
export function withoutHistory({ storage, shape, type, offset }: Tensor): Tensor {
  return new Tensor(storage, shape, type, offset);
}

type Rules = Readonly<Record<string, GradientRule | undefined>>;
type Saved = Readonly<Record<string, Tensor>>;

interface Call extends Pick<History, "op" | "output" | "names" | "inputs"> {
  /** Outputs that the rules may read, by name. */
  readonly outputs?: () => readonly (readonly [string, Tensor])[];
  /** Gradients of the inputs from that of the output, by differentiable ops. */
  readonly rules: (saved: Saved, dy: Tensor) => Rules;
  /** The tangent of the output from those of the inputs by name; by default, the gradient rules give it. */
  readonly forward?: ((saved: Saved, tangents: Partial<Saved>) => Tensor) | undefined;
  /** The output computed by other ops, from the inputs by name. */
  readonly composite?: ((inputs: Saved) => Tensor | undefined) | undefined;
}

/** The history of an op's result. Its rules refuse values that were overwritten or moved to other memory since. */
export function makeHistory(
  { op, output, names, inputs, outputs, rules, forward, composite }: Call,
): History {
  let overwritten: Map<number, string> | undefined;
  for (let i = 0; i < inputs.length; i++) {
    const by = overwrittenSinceMade(inputs[i]);
    if (by !== undefined) (overwritten ??= new Map()).set(i, by);
  }
  const places = inputs.map(({ storage, offset }) => ({ storage, offset }));
  const order = nextOrder();
  const ruleNow = (): Rule => {
    const saved: Record<string, Tensor> = {};
    names.forEach((name, i) => saved[name] = inputs[i]);
    for (const [name, y] of outputs?.() ?? []) saved[name] = y;
    const moved = inputs.filter(({ storage, offset }, i) =>
      storage !== places[i].storage || offset !== places[i].offset
    );
    return { op, order, saved, moved };
  };
  const history: History = {
    ...{ order, op, output, names, inputs },
    backward(dy) {
      const rule = ruleNow();
      const gradients = runRule(rule, () => rules(rule.saved, dy));
      return names.map((name) => {
        const gradient = gradients[name];
        if (!gradient?.length) return gradient && (() => runRule(rule, gradient));
        return (before?: Tensor) => runRule(rule, () => gradient(before));
      });
    },
    ...forward && {
      forward(tangents: readonly (Tensor | undefined)[]) {
        const rule = ruleNow();
        const named = names.flatMap((name, i) => tangents[i] ? [[name, tangents[i]]] : []);
        return runRule(rule, () => forward(rule.saved, Object.fromEntries(named)));
      },
    },
    ...composite && {
      composite: (views: readonly Tensor[]) =>
        runRule(ruleNow(), () => composite(Object.fromEntries(names.map((name, i) => [name, views[i]])))),
    },
  };
  return overwritten ? { ...history, overwritten } : history;
}

/** What overwrote a tensor's values since they were computed, if anything. */
export function overwrittenSinceMade({ history, storage, offset, size }: Tensor): string | undefined {
  return history && storage.overwritten(offset, size, history.order);
}

/** The gradient rule of one call of an op. */
export interface Rule {
  /** Name of the op. */
  readonly op: string;
  /** Event number of the op's run. */
  readonly order: number;
  /** Inputs and outputs of the call that the rule may read, by name. */
  readonly saved: Readonly<Record<string, Tensor>>;
  /** Inputs that have moved to other memory since. */
  readonly moved: readonly Tensor[];
}

let current: Rule | undefined;

/** Runs part of a rule. Ops called by it check that the saved values they read are unchanged. */
function runRule<T>(rule: Rule, run: () => T): T {
  const outer = current;
  current = rule;
  try {
    return run();
  } finally {
    current = outer;
  }
}

/** Checks the inputs of an op that a gradient rule calls. */
export function checkSaved(tensors: readonly Tensor[]): void {
  const rule = current;
  if (!rule) return;
  for (const tensor of tensors) {
    const { storage, offset, size } = tensor;
    const moved = rule.moved.find((x) => overlap(x, tensor));
    if (moved) {
      const [name] = Object.entries(rule.saved).find(([, value]) => value === moved)!;
      const why =
        `${name} ${moved} has moved to other memory since the op ran, and its gradient needs the old values`;
      const advice = "take gradients before a parameter moves, for example inside withParameters()";
      refuse(Error, `take gradients through ${rule.op}: ${why}; ${advice}`);
    }
    const by = storage.overwritten(offset, size, rule.order);
    if (by === undefined) continue;
    const saved = Object.entries(rule.saved).find(([, value]) => value.storage === storage);
    if (!saved) continue;
    const lost = `${by} has overwritten ${saved[0]} ${saved[1]}, which its gradient needs`;
    refuse(Error, `take gradients through ${rule.op}: ${lost}; take gradients before, or overwrite a copy`);
  }
}
