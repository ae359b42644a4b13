/** Chart titles that state a finding. Each is undefined if the data show nothing clear. */
import { digits } from "./markup.ts";
import type { Comparison, ReportData, ReportRun, SolverQuality } from "./report_data.ts";
import { quantiles } from "./series.ts";

/** Minimum relative difference for a title to mention it. */
const clear = 0.02;

/** Whether the validation loss of one run was still falling at the end, or which of several runs has the lowest. */
export function lossFinding({ runs, lossWarning }: ReportData): string | undefined {
  const [{ valLoss: { step, value }, stages }] = runs;
  if (runs.length > 1) {
    const ends = runs.flatMap(({ name, valLoss }) =>
      valLoss.value.length > 0 ? [{ name, loss: valLoss.value.at(-1)! }] : []
    ).sort((a, b) => a.loss - b.loss);
    const isClear = ends.length > 1 && ends[0].loss < (1 - clear) * ends[1].loss;
    return isClear && lossWarning === undefined ? `${ends[0].name} has the lowest loss` : undefined;
  }
  if (value.length < 4 || stages) return undefined;
  const [lowest, end, before] = [
    Math.min(...value),
    value.at(-1)!,
    value[Math.floor(0.75 * (value.length - 1))],
  ];
  if (end > (1 + clear) * lowest) {
    return `Loss was lowest at step ${step[value.indexOf(lowest)].toLocaleString("en")} and rose afterwards`;
  }
  return end < (1 - clear) * before
    ? "Loss was still falling at the end"
    : "Loss hardly fell towards the end";
}

/** Where the learning rate of a run peaks. */
export function rateFinding(runs: readonly ReportRun[]): string | undefined {
  const [{ learningRate: { step, value } }] = runs;
  if (runs.length > 1 || value.length < 2) return undefined;
  const peak = Math.max(...value);
  const at = value.indexOf(peak);
  if (value.every((rate) => rate > (1 - clear) * peak)) return `Learning rate stays at ${digits(peak)}`;
  if (at === 0) return `Learning rate falls from ${digits(peak)} to ${digits(value.at(-1)!)}`;
  return `Learning rate peaks at ${digits(peak)} at step ${step[at].toLocaleString("en")}`;
}

/** Where between noise and data the test loss is highest. */
export function binsFinding(runs: readonly ReportRun[]): string | undefined {
  return withPlace(
    "Loss is highest",
    runs.map(({ lossByTime = [] }) => {
      const bins = lossByTime.filter(({ loss }) => loss !== null);
      return { t: bins.map(({ from, to }) => (from + to) / 2), values: bins.map(({ loss }) => loss!) };
    }),
  );
}

/** Where trajectories are least straight, or bend most. */
export function overTimeFinding(
  runs: readonly { readonly overTime?: ReportRun["overTime"] | undefined }[],
  figure: "straightness" | "curvature",
): string | undefined {
  const what = { straightness: "The flow is least straight", curvature: "The flow bends most" }[figure];
  return withPlace(
    what,
    runs.flatMap(({ overTime }) => overTime ? [{ t: overTime.t, values: overTime[figure] }] : []),
  );
}

/** Where samples are fastest, or head least straight to their images. */
export function planeFinding(
  runs: readonly ReportRun[],
  figure: "speed" | "straightness",
): string | undefined {
  const what = { speed: "Samples move fastest", straightness: "Samples head least straight" }[figure];
  return withPlace(
    what,
    runs.flatMap(({ plane }) => {
      if (!plane) return [];
      const { median } = quantiles(plane[figure], plane.shape[1]);
      return [{ t: plane.t, values: figure === "speed" ? median : median.map((cosine) => 1 - cosine) }];
    }),
  );
}

/** Where the velocities of two networks differ most. */
export function differenceFinding({ t, difference }: Comparison): string | undefined {
  const pairs = difference.flatMap((own) => own.flatMap((of, a) => of.filter((_, b) => a < b)));
  return withPlace("Velocities differ most", pairs.map((values) => ({ t, values })));
}

/** Whether a cheaper solver may be as good as the best. */
export function solversFinding(solvers: readonly SolverQuality[]): string | undefined {
  const chosen = solvers.find(({ chosen }) => chosen);
  const best = solvers.toSorted((a, b) => a.frechet.value - b.frechet.value)[0];
  if (!chosen || solvers.length < 2) return undefined;
  const [few, many] = [chosen, best].map(({ evaluations }) => Number(evaluations.toFixed(1)));
  return few < many
    ? `${few} evaluations may be as good as ${many}`
    : `Nothing cheaper than ${few} evaluations is as good`;
}

/** Minimum ratio between the largest values of two parts of the time axis for a clear difference. */
const minRatio = 1.2;

/** Appends the part of the time axis where values are largest, if it is clear and the same for all series. */
function withPlace(
  what: string,
  all: readonly { readonly t: ArrayLike<number>; readonly values: readonly number[] }[],
): string | undefined {
  const places = new Set(all.map(({ t, values }) => {
    const [noise, middle, data] = [0, 1, 2].map((part) =>
      Math.max(0, ...values.filter((_, i) => Math.min(2, Math.floor(3 * t[i])) === part))
    );
    if (noise > minRatio * Math.max(middle, data)) return "near the noise";
    if (data > minRatio * Math.max(noise, middle)) return "near the data";
    if (middle > minRatio * Math.max(noise, data)) return "halfway";
    return Math.min(noise, data) > minRatio * middle ? "at both ends" : undefined;
  }));
  const [place] = places;
  return places.size === 1 && place !== undefined ? `${what} ${place}` : undefined;
}
