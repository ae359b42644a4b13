import { trace } from "./trace.ts";

/**
 * Multiply-adds of a step without gradients, counted without running it: those of its convolutions, with their padding,
 * products of matrices and attention.
 *
 * @throws {TypeError} if the step is asynchronous
 *
 * ```ts
 * import { countMultiplyAdds, init, matmul, zeros } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * console.log(countMultiplyAdds(() => matmul(zeros([2, 3]), zeros([3, 5])))); // 30
 * ```
 */
export function countMultiplyAdds(step: () => unknown): number {
  const { recording } = trace(step);
  recording.free();
  return recording.calls.reduce((sum, { kernel, dims }) => sum + (kernel.multiplyAdds?.(dims) ?? 0), 0);
}
