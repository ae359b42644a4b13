import {
  add,
  assign,
  multiply,
  randomNormalRows,
  record,
  type Shape,
  subtract,
  type Tensor,
  tensor,
  zeros,
} from "../../kernels/mod.ts";
import { refuse } from "../../kernels/core/checks.ts";
import { isLearned, meanVelocityOf, pathOf, type VelocityField, velocityOf } from "../flow/field.ts";
import { copyOf, linearPath, perRow } from "../flow/path.ts";
import { checkName } from "../names.ts";
import { checkedSeed, streams } from "../random.ts";
import {
  adaptiveSolvers,
  type ButcherTableau,
  type EmbeddedTableau,
  euler,
  evaluationsPerStep,
  type SolverName,
  solvers,
  solverStep,
} from "./tableau.ts";
import { flowMapTimes, timesOf, type TimesOptions, timesOptions } from "./time_grids.ts";

/** Noise that a solver adds. */
export interface NoiseOptions {
  /** Strength of the noise: its variance grows by noise (1 - t) dt. By default 1. */
  readonly noise?: number;
  /** Seed of the noise, an integer in [0, 2^32); by default 0. */
  readonly seed?: number;
}

/** Names of these options. */
export const noiseOptions = ["noise", "seed"] as const satisfies readonly (keyof NoiseOptions)[];

/** How a solver ends at data. */
export interface EndOptions {
  /**
   * Runge-Kutta method of the last step from noise to data, which ends at t = 1. By default Euler's for networks, unless
   * the solver evaluates nothing at t = 1; else the solver itself, the textbook method.
   */
  readonly last?: SolverName | ButcherTableau;
}

/**
 * The method of the last step to data. Of a network it leaves no grain.
 *
 * A background of one value c has v = (c - x) / (1 - t), and an Euler step to t = 1 lands on c. At t = 1 no noise is left
 * to see, the network says v = 0, and a method that counts this leaves that share of the last step's noise. The order
 * falls to at most 2, since one step has an error of O(dt^2).
 *
 * Source: Karras et al. 2022, arXiv:2206.00364, algorithm 1
 */
export function lastMethod(
  tableau: ButcherTableau,
  field: VelocityField | undefined,
  last: EndOptions["last"],
): ButcherTableau {
  if (last === undefined) return field && isLearned(field) && tableau.c.includes(1) ? euler : tableau;
  if (typeof last === "object") return last;
  checkName("last method", last, Object.keys(solvers));
  return solvers[last];
}

/** Whether step i of these times is the last one to data. */
export function endsAtData(times: readonly number[], i: number): boolean {
  return i + 2 === times.length && times[i + 1] === 1 && times[i] < 1;
}

/** A method that advances batches along a flow, in steps between any times. */
export interface FlowSolver {
  /** A Runge-Kutta method of the same cost: the solver itself, if it is one. */
  readonly tableau: ButcherTableau;
  /** Steps by default. */
  readonly defaultSteps: number;
  /** Times of a number of steps, unless a grid is given; by default equal steps. */
  readonly timesFor?: (steps: number) => readonly number[];
  /** Whether it adds noise; then it takes {@linkcode NoiseOptions}, and only the linear path. */
  readonly addsNoise?: true;
  /** Whether it takes the steps of a flow map, a field with `meanVelocity`. */
  readonly needsMap?: true;
  /** Why it goes only from noise to data, such as `noise`; undefined if it goes both ways. */
  readonly forwardOnly?: string;
  /** For `--help`: its name and settings, and what it does; absent for Runge-Kutta methods. */
  readonly help?: readonly [example: string, doc: string];
  /** Checks the times of a run. */
  check?(times: readonly number[], options: NoiseOptions): void;
  /** Records the steps of a batch of a shape, [N, ...]. */
  record(
    field: VelocityField,
    shape: Shape,
    condition: Tensor | undefined,
    options: NoiseOptions & EndOptions,
  ): BatchSteps;
}

/** The state of a batch on the device, and recorded steps that change it. */
export interface BatchSteps {
  /** x, plus the velocity at x if the next step reuses it. */
  readonly state: readonly Tensor[];
  /**
   * Takes step i. Returns v(x, t) at its start, which the next step overwrites.
   *
   * @param first whether the state is new, so its velocity is unknown
   * @param row index of the first sample
   */
  take(times: readonly number[], i: number, first: boolean, row?: number): Tensor;
}

/** One step from a state [x, ...] at t by dt, f32[N]: v(x, t) at its start, and the next state. */
type Advance = (
  state: readonly Tensor[],
  t: Tensor,
  dt: Tensor,
) => { readonly v: Tensor; readonly next: readonly Tensor[] };

/** What {@linkcode stepsOf} records besides a step. */
interface OtherSteps {
  /** Computes a second part of a new state. */
  readonly begin?: (x: Tensor, t: Tensor) => Tensor;
  /** The last step to data, if it differs. */
  readonly end?: Advance;
  /** Writes what else a step reads. */
  readonly prepare?: (times: readonly number[], i: number, row: number) => void;
}

/** Records a step; the last one to data when it is first needed. */
function stepsOf(shape: Shape, advance: Advance, { begin, end, prepare }: OtherSteps = {}): BatchSteps {
  const [t, dt] = [0, 0].map(() => tensor(new Float32Array(shape[0])));
  const state = (begin ? [0, 0] : [0]).map(() => zeros(shape));
  const start = begin && record(() => assign(state[1], begin(state[0], t)));
  const recorded = (advance: Advance) =>
    record(() => {
      const { v, next } = advance(state, t, dt);
      const velocity = state.some(({ storage }) => storage === v.storage) ? copyOf(v) : v; // it is overwritten
      next.forEach((value, part) => assign(state[part], value));
      return velocity;
    });
  const usual = recorded(advance);
  let ending: typeof usual | undefined;
  return {
    state,
    take(times, i, first, row = 0) {
      fill(t, times[i]);
      fill(dt, times[i + 1] - times[i]);
      prepare?.(times, i, row);
      if (first) start?.run();
      const isEnd = end !== undefined && endsAtData(times, i);
      const step = isEnd ? ending ??= recorded(end) : usual;
      step.run();
      return step.result;
    },
  };
}

/** Steps of a Runge-Kutta method. */
export function rungeKutta(tableau: ButcherTableau): FlowSolver {
  const { firstSameAsLast: reuses } = tableau;
  return {
    tableau,
    defaultSteps: 20,
    record(field, shape, condition, { last }) {
      const advanceBy = (method: ButcherTableau): Advance => ([x, first], t, dt) => {
        const { v, ...next } = solverStep(method, field, x, t, dt, { condition, first });
        return { v, next: reuses && method === tableau ? [next.x, next.last] : [next.x] };
      };
      const end = lastMethod(tableau, field, last);
      return stepsOf(shape, advanceBy(tableau), {
        begin: reuses ? (x, t) => velocityOf(field, x, t, condition) : undefined,
        end: end === tableau ? undefined : advanceBy(end),
      });
    },
  };
}

/** Steps of a flow map, x + d u(x, t, d): one evaluation each, of any length; by default at {@linkcode flowMapTimes}. */
export const flowMap: FlowSolver = {
  tableau: euler,
  defaultSteps: 1,
  timesFor: flowMapTimes,
  needsMap: true,
  forwardOnly: "a flow map",
  help: ["map:steps=1", "jumps, with a distilled network"],
  record: (field, shape, condition) =>
    stepsOf(shape, ([x], t, d) => {
      const v = meanVelocityOf(field, x, t, d, condition);
      return { v, next: [add(x, multiply(v, perRow(d, x)))] };
    }),
};

/**
 * Euler-Maruyama steps of a stochastic differential equation with the marginals of the flow.
 *
 * On the linear path, the velocity gives both ends, E[x0 | x] = x - t v and E[x1 | x] = x + (1 - t) v, and the score
 * -E[x0 | x] / (1 - t). With g(t)^2 = noise (1 - t),
 *
 *     dx = (v + g^2 / 2 score) dt + g dW = (v - noise / 2 (x - t v)) dt + sqrt(noise (1 - t)) dW
 *
 * needs no division at either end. The last step adds no noise and goes straight to E[x1 | x].
 *
 * Source: Ma et al. 2024, SiT, arXiv:2401.08740, with the diffusion coefficient w = noise sigma
 */
export const eulerMaruyama: FlowSolver = {
  tableau: euler,
  defaultSteps: 20,
  addsNoise: true,
  forwardOnly: "noise",
  help: ["sde:steps=64,noise=1", "adds noise on the way"],
  check(times, { noise = 1 }) {
    const max = maxNoise(times);
    if (noise >= 0 && noise <= max) return;
    const range = `0 to ${Number(max.toPrecision(3))}, which is 2 / the longest step`;
    refuse(RangeError, `sample with noise ${noise} in ${times.length - 1} steps`, `${range}, or more steps`);
  },
  record(field, shape, condition, { noise = 1, seed = 0 }) {
    if ((pathOf(field) ?? linearPath) !== linearPath) {
      refuse(
        TypeError,
        "sample with noise: the field is for another path, with another score",
        "the linear path",
      );
    }
    checkedSeed(seed);
    const [half, strength] = [0, 0].map(() => tensor(new Float32Array(shape[0])));
    const [key, rows] = [tensor(new Uint32Array(3)), tensor(new Uint32Array(shape[0]))];
    return stepsOf(
      shape,
      ([x], t, dt) => {
        const v = field.velocity(x, t, condition);
        const drift = subtract(v, multiply(subtract(x, multiply(v, perRow(t, x))), perRow(half, x)));
        const dW = multiply(randomNormalRows(key, rows, shape), perRow(strength, x));
        return { v, next: [add(add(x, multiply(drift, perRow(dt, x))), dW)] };
      },
      {
        prepare(times, i, row) {
          const now = i + 2 < times.length ? noise : 0;
          fill(half, now / 2);
          fill(strength, Math.sqrt(now * (1 - times[i]) * (times[i + 1] - times[i])));
          key.write(Uint32Array.of(seed, streams.diffusion, i));
          rows.write(Uint32Array.from({ length: rows.size }, (_, n) => row + n));
        },
      },
    );
  },
};

/** The strongest noise allowed at increasing times: with more, the longest step would overshoot. */
export function maxNoise(times: readonly number[]): number {
  return 2 / times.slice(1).reduce((longest, t, i) => Math.max(longest, t - times[i]), 0);
}

function fill(x: Tensor, value: number): void {
  x.write(new Float32Array(x.size).fill(value));
}

/** Tolerances that make the steps adaptive. */
export interface ToleranceOptions {
  /** Relative error allowed per step, in (0, 1]; by default `atol`. */
  readonly rtol?: number;
  /** Absolute error allowed per step, in (0, 1]; by default `rtol`. */
  readonly atol?: number;
  /** Most evaluations per batch; by default 1,000. */
  readonly maxEvaluations?: number;
}

/** Names of these options. */
export const toleranceOptions = [
  "rtol",
  "atol",
  "maxEvaluations",
] as const satisfies readonly (keyof ToleranceOptions)[];

/** Default of `maxEvaluations`. */
export const defaultMaxEvaluations = 1000;

/** Whether options select adaptive steps. */
export function isAdaptive({ rtol, atol }: ToleranceOptions): boolean {
  return rtol !== undefined || atol !== undefined;
}

/** Name of any solver: a Runge-Kutta method, `sde` with noise, or `map` for the steps of a flow map. */
export type FlowSolverName = SolverName | "sde" | "map";

/** All solvers by name. */
export const flowSolvers: Readonly<Record<FlowSolverName, FlowSolver>> = {
  ...Object.fromEntries(
    Object.entries(solvers).map(([name, tableau]) => [name, rungeKutta(tableau)]),
  ) as Record<SolverName, FlowSolver>,
  sde: eulerMaruyama,
  map: flowMap,
};

/**
 * How to solve a flow: in given steps, `{ solver: "heun", steps: 20 }`, the default; in steps that each sample chooses,
 * `{ solver: "dopri5", rtol: 1e-3 }`; with noise, `{ solver: "sde", steps: 100, noise: 1 }`; or by a flow map,
 * `{ solver: "map", steps: 1 }`, its default.
 */
export interface SolverOptions extends TimesOptions, ToleranceOptions, NoiseOptions, EndOptions {
  /** Name or tableau of the solver; by default `heun`, or `dopri5` with a tolerance. */
  readonly solver?: FlowSolverName | ButcherTableau;
}

/** Names of all options of solvers. */
export const solverOptions = [
  "solver",
  ...timesOptions,
  ...toleranceOptions,
  ...noiseOptions,
  "last",
] as const;

/** The solver of a name or a tableau. */
export function flowSolverOf(solver: SolverOptions["solver"] = "heun"): FlowSolver {
  if (typeof solver === "object" && solver !== null) return rungeKutta(solver);
  if (Object.hasOwn(flowSolvers, solver)) return flowSolvers[solver];
  const names = Object.keys(flowSolvers);
  const [name, settings = ""] = String(solver).split(":");
  const fields = settings.split(",").map((field) => `, ${field.replace("=", ": ")}`).join("");
  const isFlag = settings && names.includes(name);
  if (!isFlag) checkName("solver", String(solver), names);
  refuse(TypeError, `use the solver "${solver}": it is written as a flag`, `{ solver: "${name}"${fields} }`);
}

/** Start and end times of a solver's steps. */
export function solverTimes(options: SolverOptions): readonly number[] {
  const { defaultSteps, timesFor } = flowSolverOf(options.solver);
  return timesOf(options, defaultSteps, timesFor);
}

/** The tableau of a solver that chooses its steps. */
export function embeddedTableauOf(solver: SolverOptions["solver"] = "dopri5"): EmbeddedTableau {
  const { tableau } = flowSolverOf(solver);
  if (hasError(tableau)) return tableau;
  const name = typeof solver === "string" ? `the solver ${solver}` : "this solver";
  const known = Object.keys(adaptiveSolvers).join(" or ");
  refuse(
    TypeError,
    `choose the steps of ${name}: it has no error estimate`,
    `${known}, or \`error\` in a tableau`,
  );
}

function hasError(tableau: ButcherTableau): tableau is EmbeddedTableau {
  return tableau.error !== undefined;
}

/**
 * Evaluations of the field per sample in given steps; undefined for adaptive ones.
 *
 * @param field by default one that is not learned; see `last`
 */
export function evaluationsOf(options: SolverOptions, field?: VelocityField): number | undefined {
  if (isAdaptive(options)) return undefined;
  const { tableau, needsMap, addsNoise } = flowSolverOf(options.solver);
  const times = solverTimes(options);
  const steps = times.length - 1;
  const first = tableau.firstSameAsLast ? 1 : 0;
  const all = first + evaluationsPerStep(tableau) * steps;
  const end = lastMethod(tableau, field, options.last);
  if (needsMap || addsNoise || end === tableau || !endsAtData(times, steps - 1)) return all;
  return all - evaluationsPerStep(tableau) + end.b.length - first; // the first velocity may be known
}
