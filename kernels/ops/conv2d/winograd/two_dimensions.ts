import { repeatLines } from "../../matmul/repeat_lines.ts";
import stepsWgsl from "./steps.wgsl" with { type: "text" };

/** A step of `steps.wgsl`: how many values it takes and gives. */
const steps = {
  sourceStep: [6, 6],
  weightStep: [3, 6],
  targetStep: [6, 4],
  gradientStep: [4, 6],
  weightGradientStep: [6, 3],
} as const;

/** WGSL of the steps, to stand before a kernel. */
export const stepsInWgsl: string = stepsWgsl;

/**
 * WGSL that applies a step down the columns, then along the rows. Element (i, j) of the result is `row_i[j]`.
 *
 * @param element WGSL expression of the tile's element (i, j)
 */
export function inTwoDimensions(
  step: keyof typeof steps,
  element: (i: number, j: number) => string,
): string {
  const [taken, given] = steps[step];
  const list = (item: (i: number) => string) =>
    `array<f32, ${taken}>(${Array.from({ length: taken }, (_, i) => item(i)).join(", ")})`;
  return `${repeatLines(taken, (j) => `  let column_${j} = ${step}(${list((i) => element(i, j))});`)}
${repeatLines(given, (i) => `  let row_${i} = ${step}(${list((j) => `column_${j}[${i}]`)});`)}`;
}
