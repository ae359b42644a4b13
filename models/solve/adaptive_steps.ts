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
import { CountedField } from "./counted_field.ts";
import type { InterpolationWeights } from "./interpolation.ts";
import { step } from "./step.ts";
import type { EmbeddedTableau } from "./tableau.ts";

/** The device's part of an adaptive solver: the state of a batch, and recorded steps on it. */
export class AdaptiveSteps {
  /** The field, which counts its evaluations. */
  readonly field: CountedField;
  /** Where the batch is, f32[N, C, H, W]. */
  readonly x: Tensor;
  readonly #t: Tensor;
  readonly #dt: Tensor;
  readonly #rows: Tensor;
  /** Weights of the interpolation, f32[10, N]. */
  readonly #weights: Tensor;
  /** Velocity at x, and the norms of both, f32[2 N]. */
  readonly #start: RecordedStep<Tensor>;
  /** Norm of the change of velocity over a step of Euler's, f32[N]. */
  readonly #probe: RecordedStep<Tensor>;
  /** Tries a step: error by error allowed, f32[N]. */
  readonly #try: RecordedStep<Tensor>;
  /** Goes on with the rows of what was tried. */
  readonly #accept: RecordedStep<Tensor>;
  /** x within the step that was tried, and its slope. */
  readonly #within: RecordedStep<{ x: Tensor; slope: Tensor }>;

  /** Records the steps. @throws as the constructor of `AdaptiveSampler` */
  constructor(
    tableau: EmbeddedTableau,
    model: VelocityField,
    shape: Shape,
    { rtol, atol, condition }: { rtol: number; atol: number; condition: Tensor | undefined },
  ) {
    const N = shape[0];
    const P = shape.reduce((product, length) => product * length, 1) / N;
    const field = this.field = new CountedField(model);
    const x = this.x = zeros(shape);
    const v = zeros(shape);
    const t = this.#t = tensor(new Float32Array(N));
    const dt = this.#dt = tensor(new Float32Array(N));
    const rows = this.#rows = tensor(new Uint32Array(N));
    const weights = this.#weights = tensor(new Float32Array(10 * N), [10, N]);
    const axes = shape.map((_, axis) => axis).slice(1);
    const norm = (x: Tensor, allowed: Tensor) => sqrt(mean(square(divide(x, allowed)), axes));
    const allowedAt = (x: Tensor) => add(multiply(abs(x), rtol), atol);
    const each = (t: Tensor) => reshape(t, shape.map((_, axis) => axis === 0 ? N : 1));
    this.#start = record(() => {
      assign(v, field.velocity(x, t, condition));
      return concat([norm(x, allowedAt(x)), norm(v, allowedAt(x))], 0);
    });
    this.#probe = record(() => {
      const ahead = add(x, multiply(v, each(dt)));
      return norm(subtract(field.velocity(ahead, add(t, dt), condition), v), allowedAt(x));
    });
    const tried = { x: zeros(shape), v: zeros(shape), dense: tableau.dense && zeros(shape) };
    this.#try = record(() => {
      const next = step(tableau, field, x, t, dt, { ...condition && { condition }, first: v, dense: true });
      assign(tried.x, next.x);
      assign(tried.v, tableau.firstSameAsLast ? next.last : field.velocity(next.x, add(t, dt), condition));
      if (tried.dense) assign(tried.dense, next.dense!);
      return norm(next.error!, add(multiply(maximum(abs(x), abs(next.x)), rtol), atol));
    });
    this.#accept = record(() => {
      // Picked, not blended: a rejected step may hold NaN.
      const pick = (kept: Tensor, tried: Tensor) =>
        assign(kept, reshape(gatherRows(reshape(concat([kept, tried], 0), [2 * N, P]), rows), shape));
      pick(v, tried.v);
      return pick(x, tried.x);
    });
    const known = [x, tried.x, v, tried.v, ...tried.dense ? [tried.dense] : []];
    this.#within = record(() => {
      const weighted = (first: number) =>
        known.map((value, i) => multiply(value, each(reshape(slice(weights, 0, first + i, 1), [N]))))
          .reduce((a, b) => add(a, b));
      return { x: weighted(0), slope: weighted(5) };
    });
  }

  /** Begins at x; reads its norm and that of its velocity, by the error allowed, f32[2 N]. One evaluation. */
  start(x: Tensor, t: readonly number[]): Promise<Float32Array> {
    assign(this.x, x);
    this.#write(t, t.map(() => 0));
    this.#start.run();
    return this.#start.result.read();
  }

  /** Reads the norm of the change of velocity over a step of Euler's, f32[N]. One evaluation. */
  probe(t: readonly number[], dt: readonly number[]): Promise<Float32Array> {
    this.#write(t, dt);
    this.#probe.run();
    return this.#probe.result.read();
  }

  /** Tries a step; reads its error by the error allowed, f32[N]. */
  attempt(t: readonly number[], dt: readonly number[]): Promise<Float32Array> {
    this.#write(t, dt);
    this.#try.run();
    return this.#try.result.read();
  }

  /** Reads x and its slope within the step that was tried, before it is accepted, f32[N, C, H, W] each. */
  within(each: readonly InterpolationWeights[]): Promise<[x: Float32Array, slope: Float32Array]> {
    const N = each.length;
    const values = new Float32Array(10 * N);
    each.forEach(({ x, slope }, n) => [...x, ...slope].forEach((weight, i) => values[i * N + n] = weight));
    this.#weights.write(values);
    this.#within.run();
    return Promise.all([this.#within.result.x.read(), this.#within.result.slope.read()]);
  }

  /** Goes on with what was tried, for the samples that accept it. */
  accept(accepted: readonly boolean[]): void {
    const N = accepted.length;
    this.#rows.write(Uint32Array.from(accepted, (accepted, i) => accepted ? N + i : i));
    this.#accept.run();
  }

  #write(t: readonly number[], dt: readonly number[]): void {
    this.#t.write(Float32Array.from(t));
    this.#dt.write(Float32Array.from(dt));
  }
}
