import { colormap } from "../image/colormap.ts";
import type { Evolution } from "../flow/evolution.ts";
import { pace, type Pacing } from "../flow/pacing.ts";
import type { Comparison, Paths, ReportData, ReportRun, Series, Solved, TimeBin } from "./data.ts";
import { base64, quantise, type Quantised } from "./quantise.ts";
import { smoothed, thinned } from "./series.ts";

/** What a page computes with, as JSON. */
export interface Payload {
  readonly runs: readonly RunPayload[];
  readonly comparison?: ComparisonPayload;
  /** Palettes, u8[256, 3] in base64. */
  readonly palettes: { readonly magma: string; readonly diverging: string };
  /** For each pacing the positions of the slider, in [0, 100], that a player visits. */
  readonly pacings: Record<Pacing, readonly number[]>;
}

/** The drawn part of a run. */
export interface RunPayload {
  readonly name: string;
  readonly trainLoss: Series;
  readonly trainSmoothed: Series;
  readonly valLoss: Series;
  readonly learningRate: Series;
  readonly lossByTime: readonly TimeBin[];
  readonly flow?: FlowPayload;
  readonly paths?: PathsPayload;
  /** Why the page cannot sample from it; with flow and live data alone. */
  readonly notLive?: string;
}

/** Snapshots of samples, thinned to what the page can hold. */
export interface FlowPayload {
  readonly shape: readonly [S: number, M: number, H: number, W: number];
  readonly t: readonly number[];
  /** [S, M, H, W] */
  readonly image: Quantised;
  /** [S, M, H, W]; at the end, where there is none, that of the last step that has one. */
  readonly velocity: Quantised;
  /** Time of the velocity at each snapshot. */
  readonly velocityT: readonly number[];
  readonly solved?: Solved;
}

/** {@linkcode Paths} as the page holds it. */
export interface PathsPayload {
  readonly shape: Paths["shape"];
  readonly t: readonly number[];
  readonly position: Quantised;
  readonly velocity: Quantised;
  readonly image: Quantised;
  readonly classes: readonly number[];
  readonly real: { readonly position: Quantised; readonly classes: readonly number[] };
  /** Tenths of the samples at each time but the last: 10 %, 50 % and 90 %. */
  readonly speed: Quantiles;
  readonly straightness: Quantiles;
}

/** Numbers that a tenth, half and nine tenths of the samples stay under, at each time. */
export type Quantiles = Record<"low" | "median" | "high", readonly number[]>;

/** {@linkcode Comparison} as the page holds it. */
export interface ComparisonPayload {
  readonly shape: Comparison["shape"];
  readonly t: readonly number[];
  readonly points: readonly Quantised[];
  readonly velocities: readonly (readonly Quantised[])[];
  /** `difference[p][a][b][i]`: root mean square of v_a - v_b over the points of run p at time i. */
  readonly difference: readonly (readonly (readonly (readonly number[])[])[])[];
}

/** Bytes of base64 that the snapshots of all runs may take; the rest of a page is small beside them. */
const flowBudget = 6e6;

/** Turns what a report shows into what its page computes with. */
export function payloadOf({ runs, comparison, live }: ReportData): Payload {
  const positions = (name: Pacing) => pace(name, 101, 101);
  return {
    runs: runs.map((run, i) => {
      const checkpoint = live?.checkpoints[i];
      return {
        ...runPayload(run, flowBudget / runs.length),
        ...typeof checkpoint === "string" && { notLive: checkpoint },
      };
    }),
    ...comparison && { comparison: comparisonPayload(comparison) },
    palettes: { magma: base64(colormap("magma")), diverging: base64(colormap("rdbu")) },
    pacings: {
      linear: positions("linear"),
      quadratic: positions("quadratic"),
      inv_quadratic: positions("inv_quadratic"),
      logarithmic: positions("logarithmic"),
    },
  };
}

function runPayload(run: ReportRun, budget: number): RunPayload {
  const trainLoss = thinned(run.trainLoss, 1000);
  return {
    name: run.name,
    trainLoss: rounded(trainLoss),
    trainSmoothed: rounded(smoothed(trainLoss)),
    valLoss: rounded(run.valLoss),
    learningRate: rounded(thinned(run.learningRate, 1000)),
    lossByTime: run.lossByTime ?? [],
    ...run.evolutions.length > 0 && { flow: flowPayload(run, budget) },
    ...run.paths && { paths: pathsPayload(run.paths) },
  };
}

/** Takes as many samples and snapshots as the budget of bytes allows: fewer snapshots first, then fewer samples. */
function flowPayload({ evolutions, solved }: ReportRun, budget: number): FlowPayload {
  const [all, H, W] = evolutions[0].shape;
  const affordable = Math.floor(budget / (2 * 2 * 4 / 3 * H * W)); // two fields of 16 bits in base64
  const S = Math.max(1, Math.min(evolutions.length, 8, Math.floor(affordable / Math.min(all, 11))));
  const M = Math.max(2, Math.min(all, 101, Math.floor(affordable / S)));
  const chosen = pace("linear", all, all === 1 ? 1 : M);
  const size = H * W;
  const take = (from: (evolution: Evolution) => Float32Array, last: number) => {
    const values = new Float32Array(S * chosen.length * size);
    evolutions.slice(0, S).forEach((evolution, s) =>
      chosen.forEach((m, i) => {
        const start = Math.min(m, last) * size;
        values.set(from(evolution).subarray(start, start + size), (s * chosen.length + i) * size);
      })
    );
    return quantise(values, 16);
  };
  const { t } = evolutions[0];
  return {
    shape: [S, chosen.length, H, W],
    t: chosen.map((m) => t[m]),
    image: take(({ image }) => image, all - 1),
    velocity: take(({ velocity }) => velocity, all - 2),
    velocityT: chosen.map((m) => t[Math.max(0, Math.min(m, all - 2))]),
    ...solved && { solved },
  };
}

function pathsPayload(
  { shape, t, position, velocity, image, classes, real, speed, straightness }: Paths,
): PathsPayload {
  const [, N] = shape;
  return {
    shape,
    t: [...t],
    position: quantise(position, 16),
    velocity: quantise(velocity, 16),
    image: quantise(image, 8),
    classes: [...classes],
    real: { position: quantise(real.position, 16), classes: [...real.classes] },
    speed: quantiles(speed, N),
    straightness: quantiles(straightness, N),
  };
}

/** Quantiles over the N samples at each time, of f32[M - 1, N]. */
export function quantiles(values: Float32Array, N: number): Quantiles {
  const times = Array.from({ length: values.length / N }, (_, m) => values.slice(m * N, (m + 1) * N).sort());
  const at = (share: number) => times.map((sorted) => round(sorted[Math.round(share * (N - 1))]));
  return { low: at(0.1), median: at(0.5), high: at(0.9) };
}

function comparisonPayload({ shape, t, points, velocities }: Comparison): ComparisonPayload {
  return {
    shape,
    t: [...t],
    points: points.map((point) => quantise(point, 8)),
    velocities: velocities.map((ofRuns) => ofRuns.map((velocity) => quantise(velocity, 8))),
    difference: velocities.map((ofRuns) => ofRuns.map((a) => ofRuns.map((b) => differences(a, b, shape)))),
  };
}

/** Root mean square of a - b over samples and pixels, at each time. */
export function differences(a: Float32Array, b: Float32Array, [S, T, H, W]: Comparison["shape"]): number[] {
  const P = H * W;
  const sums = new Float64Array(T);
  for (let i = 0; i < a.length; i++) sums[Math.floor(i / P) % T] += (a[i] - b[i]) ** 2;
  return Array.from(sums, (sum) => round(Math.sqrt(sum / (S * P))));
}

function rounded({ step, value }: Series): Series {
  return { step, value: value.map(round) };
}

/** Six digits: more than a reader or a chart can tell apart. */
function round(value: number): number {
  return Number(value.toPrecision(6));
}
