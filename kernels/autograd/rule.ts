import { context } from "../core/context.ts";
import { overlap } from "../core/overlap.ts";
import type { Tensor } from "../core/tensor.ts";

/** The gradient rule of one call of an op. */
export interface Rule {
  /** Name of the op. */
  readonly op: string;
  /** When the op ran, in the order of events. */
  readonly order: number;
  /** Inputs and outputs of the call by name: what the rule may read. */
  readonly saved: Readonly<Record<string, Tensor>>;
  /** Those of the inputs that have been moved to other memory since. */
  readonly moved: readonly Tensor[];
}

/** Runs a part of a rule. Ops that it calls check that the saved values they read are still those of then. */
export function runRule<T>(rule: Rule, run: () => T): T {
  const outer = context.rule;
  context.rule = rule;
  try {
    return run();
  } finally {
    context.rule = outer;
  }
}

/**
 * Checks what an op is about to read, if a gradient rule called it.
 *
 * @throws {Error} if a value that the rule's op read or gave was overwritten since, or its tensor moved to other memory
 */
export function checkSaved(tensors: readonly Tensor[]): void {
  const { rule } = context;
  if (!rule) return;
  for (const tensor of tensors) {
    const { storage, offset, size } = tensor;
    const moved = rule.moved.find((x) => x.storage === storage && overlap(x, tensor));
    if (moved) throw movedError(rule, moved);
    const by = storage.overwritten(offset, size, rule.order);
    if (by === undefined) continue;
    const saved = Object.entries(rule.saved).find(([, value]) => value.storage === storage);
    if (!saved) continue;
    throw new Error(
      `Cannot take gradients through ${rule.op}: ${by} has overwritten ${saved[0]} ${saved[1]}, ` +
        "which its gradient needs; take gradients before, or overwrite a copy",
    );
  }
}

function movedError({ op, saved }: Rule, x: Tensor): Error {
  const [name] = Object.entries(saved).find(([, value]) => value === x)!;
  return new Error(
    `Cannot take gradients through ${op}: ${name} ${x} lies in other memory than when the op ran, and its gradient ` +
      "needs the values of then; take gradients before a parameter moves, such as inside withParameters()",
  );
}
