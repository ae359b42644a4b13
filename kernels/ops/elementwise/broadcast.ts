import { broadcastShapes, broadcastStrides, type Shape, ShapeError } from "../../core/shape.ts";
import type { Dims } from "../../devices/device.ts";

/**
 * How to walk operands that broadcast: neighbouring axes that all of them step through alike are merged, and at most four
 * remain, of lengths n0 to n3. Operand `a` steps by a0 to a3. `flat` is 1 if all are read in order.
 *
 * @throws {ShapeError} if the shapes do not broadcast, or more than four groups of axes remain
 */
export function broadcastWalk(operands: Readonly<Record<string, Shape>>): Record<string, number | Shape> {
  const shapes = Object.values(operands);
  const y = shapes.reduce(broadcastShapes);
  const strides = shapes.map((shape) => broadcastStrides(shape, y));
  const lengths: number[] = [];
  const steps: number[][] = shapes.map(() => []);
  for (let axis = y.length - 1; axis >= 0; axis--) {
    if (y[axis] === 1) continue;
    const merges = lengths.length > 0 && steps.every((step, k) => strides[k][axis] === step[0] * lengths[0]);
    if (merges) lengths[0] *= y[axis];
    else {
      lengths.unshift(y[axis]);
      steps.forEach((step, k) => step.unshift(strides[k][axis]));
    }
  }
  if (lengths.length > 4) {
    const given = shapes.map((shape) => `[${shape.join(", ")}]`);
    throw new ShapeError(
      `Cannot broadcast ${
        given.join(" with ")
      }: they stretch in ${lengths.length} groups of axes (expected at most 4, ` +
        "neighbours that stretch alike being one); permute axes so that such are neighbours",
    );
  }
  const flat = shapes.every((shape) => shape.join() === shapes[0].join());
  const walk: Record<string, number | Shape> = { Y: y, flat: flat ? 1 : 0 };
  for (let k = 0; k < 4; k++) {
    const axis = k - 4 + lengths.length;
    walk[`n${k}`] = lengths[axis] ?? 1;
    Object.keys(operands).forEach((name, i) => walk[`${name}${k}`] = steps[i][axis] ?? 0);
  }
  return walk;
}

/**
 * WGSL of a kernel that walks operands.
 *
 * @param operands names of the buffers
 * @param result name of the buffer for the results
 * @param value expression of a result, in `a_` for the element of operand `a`
 */
export function broadcastWgsl(operands: readonly string[], result: string, value: string): string {
  const step = (name: string) =>
    `at_${name} = ${[0, 1, 2, 3].map((k) => `i${k} * dims.${name}${k}`).join(" + ")};`;
  return `fn kernel(i: u32) {
${operands.map((name) => `  var at_${name} = i;`).join("\n")}
  if (dims.flat == 0u) {
    let i3 = i % dims.n3; let r2 = i / dims.n3;
    let i2 = r2 % dims.n2; let r1 = r2 / dims.n2;
    let i1 = r1 % dims.n1; let i0 = r1 / dims.n1;
${operands.map((name) => `    ${step(name)}`).join("\n")}
  }
${operands.map((name) => `  let ${name}_ = ${name}[at_${name}];`).join("\n")}
  ${result}[i] = ${value};
}`;
}

/** Where each operand is read for result i. */
export function placesOf(operands: readonly string[], i: number, dims: Dims): number[] {
  const places = operands.map(() => 0);
  for (let k = 3, rest = i; k >= 0; k--) {
    const length = dims[`n${k}`], at = rest % length;
    operands.forEach((name, operand) => places[operand] += at * dims[`${name}${k}`]);
    rest = (rest - at) / length;
  }
  return places;
}
