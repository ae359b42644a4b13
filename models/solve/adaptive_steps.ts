import {
  abs,
  add,
  assign,
  concat,
  divide,
  gatherRows,
  maximum,
  mean,
  multiply,
  record,
  type RecordedStep,
  reshape,
  type Shape,
  slice,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
  zeros,
} from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import { innerAxes, perRow } from "../flow/rows.ts";
import { type EmbeddedTableau, solverStep } from "./tableau.ts";

/** x and its slope within a step, as weights of x at both ends, v at both ends, and the correction. */
export type InterpolationWeights = Readonly<Record<"x" | "slope", readonly number[]>>;

/**
 * Dense output within a step: the cubic Hermite interpolant of x and v at both ends, plus the solver's correction s^2
 * (1 - s)^2 dt sum_i dense_i k_i, if it has one. The cubic has error O(dt^4), enough for order 3; with the correction,
 * dopri5 has O(dt^5).
 *
 * @param share s of the step, in [0, 1]; exact at both ends, to the bit
 * @param dt length of the step, not 0; already included in the correction
 * Source: Hairer, Nørsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.6
 */
export function interpolation(share: number, dt: number): InterpolationWeights {
  const [s, r] = [share, 1 - share];
  const fall = s * s * (3 - 2 * s);
  const change = 6 * s * r / dt;
  return {
    x: [1 - fall, fall, dt * s * r * r, -dt * s * s * r, s * s * r * r],
    slope: [-change, change, r * (1 - 3 * s), s * (3 * s - 2), 2 * s * r * (r - s) / dt],
  };
}

/** The state of a batch on the device, with recorded steps whose lengths the host chooses. */
export type AdaptiveSteps = ReturnType<typeof adaptiveSteps>;

/** Records adaptive steps of batches of a shape, [N, C, H, W]. */
export function adaptiveSteps(
  tableau: EmbeddedTableau,
  field: VelocityField,
  shape: Shape,
  { rtol, atol, condition }: { rtol: number; atol: number; condition: Tensor | undefined },
) {
  const N = shape[0];
  const [x, v, triedX, triedV] = [0, 0, 0, 0].map(() => zeros(shape));
  const triedDense = tableau.dense && zeros(shape);
  const [t, dt] = [0, 0].map(() => tensor(new Float32Array(N)));
  const rows = tensor(new Uint32Array(N));
  const weights = tensor(new Float32Array(10 * N), [10, N]);
  const norm = (x: Tensor, allowed: Tensor) => sqrt(mean(square(divide(x, allowed)), innerAxes(shape)));
  const allowedAt = (x: Tensor) => add(multiply(abs(x), rtol), atol);
  const start = record(() => {
    assign(v, field.velocity(x, t, condition));
    return concat([norm(x, allowedAt(x)), norm(v, allowedAt(x))], 0);
  });
  const probe = record(() => {
    const ahead = add(x, multiply(v, perRow(dt, x)));
    return norm(subtract(field.velocity(ahead, add(t, dt), condition), v), allowedAt(x));
  });
  const attempt = record(() => {
    const next = solverStep(tableau, field, x, t, dt, { condition, first: v, dense: true });
    assign(triedX, next.x);
    assign(triedV, tableau.firstSameAsLast ? next.last : field.velocity(next.x, add(t, dt), condition));
    if (triedDense) assign(triedDense, next.dense!);
    return norm(next.error!, add(multiply(maximum(abs(x), abs(next.x)), rtol), atol));
  });
  const accept = record(() => {
    // Select, don't blend: a rejected step may contain NaN.
    const pick = (kept: Tensor, tried: Tensor) =>
      assign(kept, reshape(gatherRows(reshape(concat([kept, tried], 0), [2 * N, x.size / N]), rows), shape));
    pick(v, triedV);
    return pick(x, triedX);
  });
  const terms = [x, triedX, v, triedV, ...triedDense ? [triedDense] : []];
  const within = record(() => {
    const weighted = (first: number) =>
      terms.map((value, i) => multiply(value, perRow(slice(weights, 0, first + i, 1), x)))
        .reduce((a, b) => add(a, b));
    return [weighted(0), weighted(5)] as const;
  });
  const runner = (step: RecordedStep<Tensor>) => (from: readonly number[], lengths: readonly number[]) => {
    t.write(Float32Array.from(from));
    dt.write(Float32Array.from(lengths));
    step.run();
    return step.result.read();
  };
  return {
    /** x, f32[N, C, H, W]; assign to it to start over. */
    x,
    /** Starts at x. Returns |x| and |v| relative to the allowed error, f32[2 N]. One evaluation. */
    start: runner(start),
    /** Takes a trial Euler step. Returns the norm of the change of velocity, f32[N]. One evaluation. */
    probe: runner(probe),
    /** Attempts a step. Returns its error relative to the allowed error, f32[N]. */
    attempt: runner(attempt),
    /** Interpolates x and its slope within the attempted step, before `accept`; f32[N, C, H, W] each. */
    within(each: readonly InterpolationWeights[]) {
      const values = new Float32Array(10 * N);
      each.forEach(({ x, slope }, n) => [...x, ...slope].forEach((weight, i) => values[i * N + n] = weight));
      weights.write(values);
      within.run();
      const [state, slope] = within.result;
      return Promise.all([state.read(), slope.read()]);
    },
    /** Advances the samples that accept the attempted step. */
    accept(accepted: readonly boolean[]) {
      rows.write(Uint32Array.from(accepted, (accepted, n) => accepted ? N + n : n));
      accept.run();
    },
  };
}
