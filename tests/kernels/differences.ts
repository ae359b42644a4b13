/** Derivatives of f64 functions by central differences. */

type Arrays = readonly (Float64Array | Uint32Array)[];

/** Inputs with one element moved. */
function moved(inputs: Arrays, at: number, i: number, by: number): Arrays {
  return inputs.map((x, k) => k === at ? x.with(i, x[i] + by) : x);
}

/** Derivatives of f by the elements of one input. */
export function differences(
  f: (inputs: Arrays) => number,
  inputs: Arrays,
  at: number,
  h = 1e-5,
): Float64Array {
  return Float64Array.from(
    inputs[at],
    (_, i) => (f(moved(inputs, at, i, h)) - f(moved(inputs, at, i, -h))) / (2 * h),
  );
}

/**
 * Derivatives, by the elements of one input, of the derivative of f along a direction.
 *
 * @param along the inputs that the direction has a part for
 * @param directions its parts
 */
export function mixedDifferences(
  f: (inputs: Arrays) => number,
  inputs: Arrays,
  at: number,
  along: readonly number[],
  directions: readonly Float64Array[],
  h = 1e-4,
): Float64Array {
  const shifted = [h, -h].map((by) =>
    inputs.map((x, k) => {
      const part = directions[along.indexOf(k)];
      return part && x instanceof Float64Array ? x.map((value, i) => value + by * part[i]) : x;
    })
  );
  const [ahead, behind] = shifted.map((x) => differences(f, x, at, h));
  return ahead.map((slope, i) => (slope - behind[i]) / (2 * h));
}
