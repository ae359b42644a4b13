import assert from "node:assert/strict";
import { Passes } from "../../kernels/ways.ts";
import type { CallPlan, Kernel } from "../../kernels/mod.ts";

/** An op whose only output has a shape. */
const gives = (shape: readonly number[]) => ({
  kernel: { name: `${shape}` } as Kernel,
  plan: (): CallPlan => ({ dims: { M: 1 }, outputs: [shape], hasEmptyInput: false }),
});

Deno.test("Passes.list hands buffers on, and numbers scratch memory from the largest on", () => {
  const passes = new Passes();
  const x = passes.buffer("x", [2]);
  const small = passes.run(gives([3]), [x], {});
  const large = passes.run(gives([5, 4]), [x, small], {});
  passes.run(gives([2]), [large, small], {}, "y");
  const smaller = { scratch: 1, elements: 3 }, larger = { scratch: 0, elements: 20 };
  assert.deepEqual(passes.list.map(({ buffers }) => buffers), [
    ["x", smaller],
    ["x", smaller, larger],
    [larger, smaller, "y"],
  ]);
});
