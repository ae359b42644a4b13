import { context } from "./context.ts";
import type { Storage } from "./storage.ts";
import { Tensor } from "./tensor.ts";

/** The memory that was allocated while a function ran. */
export class Scope {
  readonly #storages = new Set<Storage>();
  /** Values of a step being recorded, whose memory belongs to the record. */
  readonly #planned = new WeakSet<Storage>();

  constructor(readonly outer: Scope | undefined) {}

  add(storage: Storage): void {
    this.#storages.add(storage);
  }

  addPlanned(storage: Storage): void {
    this.#planned.add(storage);
  }

  /** Frees all but `kept`, which passes to the scope around this one without the history of what is freed. */
  end(kept: readonly Tensor[]): void {
    for (const tensor of kept) {
      if (this.#planned.has(tensor.storage)) {
        tensor.detach();
        this.outer?.addPlanned(tensor.storage);
      } else if (this.#storages.has(tensor.storage)) tensor.detach();
    }
    for (const { storage } of kept) {
      if (!this.#storages.delete(storage)) continue;
      if (this.outer) this.outer.add(storage);
      else storage.leaveToCollector();
    }
    for (const storage of this.#storages) storage.free();
  }
}

/** All tensors in a value: a tensor, or arrays, sets, maps and the public fields of objects that hold such values. */
export function tensorsIn(value: unknown, seen: Set<unknown> = new Set()): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || seen.has(value)) return [];
  seen.add(value);
  const parts = value instanceof Map || value instanceof Set ? [...value.values()] : Object.values(value);
  return parts.flatMap((part) => tensorsIn(part, seen));
}

/**
 * Runs a function and frees every tensor that it made, except those in what it returns: tensors in arrays, sets, maps
 * and the public fields of objects, such as a network.
 *
 * Tensors that it made and returns keep their values but lose their history, since `gradients` cannot use freed memory.
 * Tensors made outside keep both.
 *
 * @throws {TypeError} if the function is asynchronous: read values after the scope
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
  const inner = new Scope(context.scope);
  context.scope = inner;
  let kept: Tensor[] = [];
  try {
    const result = run();
    if (result instanceof Promise) {
      throw new TypeError(
        "Cannot run an asynchronous function in a scope: await what it reads after the scope",
      );
    }
    kept = tensorsIn(result);
    return result;
  } finally {
    context.scope = inner.outer;
    inner.end(kept);
  }
}
