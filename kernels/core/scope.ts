import { refuse } from "./checks.ts";
import { owners, Scope } from "./memory.ts";
import { Tensor } from "./tensor.ts";

/** All tensors in a value: a tensor, or arrays, sets, maps and the public fields of objects that hold such values. */
export function tensorsIn(value: unknown, seen: Set<unknown> = new Set()): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || seen.has(value)) return [];
  seen.add(value);
  const parts = value instanceof Map || value instanceof Set ? [...value.values()] : Object.values(value);
  return parts.flatMap((part) => tensorsIn(part, seen));
}

/**
 * Runs a function and frees every tensor it made, except those it returns, also in arrays, sets, maps and the public
 * fields of objects, such as a network.
 *
 * Returned tensors keep their values but lose their history, since `gradients` cannot use freed memory. Tensors made
 * outside keep both.
 *
 * ```ts
 * import { init, multiply, scope, tensor } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const y = scope(() => {
 *   const x = tensor([1, 2, 3]);
 *   return multiply(x, multiply(x, x));
 * });
 * console.log(await y.read()); // [1, 8, 27]
 * ```
 */
export function scope<T>(run: () => T): T {
  const inner = new Scope(owners.scope);
  owners.scope = inner;
  let kept: Tensor[] = [];
  try {
    const result = run();
    if (result instanceof Promise) {
      refuse(TypeError, "run an asynchronous function in a scope: read values after the scope");
    }
    kept = tensorsIn(result);
    return result;
  } finally {
    owners.scope = inner.outer;
    inner.end(kept);
  }
}
