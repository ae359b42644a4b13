import { pace, pacings } from "../flow/pacing.ts";
import { colormap, defaultMaps } from "../image/colormap.ts";
import { checkTrajectories } from "./check_data.ts";
import { comparisonPayload } from "./comparison_payload.ts";
import type { ReportData, ReportRun, Series } from "./data.ts";
import { flowPayload } from "./flow_payload.ts";
import { livePayload } from "./live_payload.ts";
import { pathsPayload } from "./paths_payload.ts";
import type { Palettes, Payload, RunPayload } from "./payload.ts";
import type { Quality } from "./quality.ts";
import { base64, sixDigits } from "./quantise.ts";
import { smoothed, thinned } from "./series.ts";

/** Bytes of base64 that the snapshots of all runs may take; the rest of a page is small beside them. */
const flowBudget = 6e6;

/** Turns what a report shows into what its page computes with. */
export function payloadOf(data: ReportData): Payload {
  const { runs, comparison } = data;
  checkTrajectories(runs);
  return {
    runs: runs.map((run, i) => {
      const live = livePayload(data, i);
      return { ...runPayload(run, flowBudget / runs.length), ...live && { live } };
    }),
    ...comparison && { comparison: comparisonPayload(comparison, runs.length) },
    palettes: Object.fromEntries(
      Object.entries(defaultMaps).map(([use, map]) => [use, base64(colormap(map))]),
    ) as Palettes,
    pacings: Object.fromEntries(pacings.map((name) => [name, pace(name, 101, 101)])),
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
    ...run.solvers && { solvers: run.solvers },
    ...run.quality?.course && { course: roundedCourse(run.quality.course) },
    ...run.trajectories.length > 0 && { flow: flowPayload(run, budget) },
    ...run.paths && { paths: pathsPayload(run.paths) },
  };
}

function roundedCourse({ t, straightness, curvature }: NonNullable<Quality["course"]>) {
  return { t, straightness: straightness.map(sixDigits), curvature: curvature.map(sixDigits) };
}

function rounded({ step, value }: Series): Series {
  return { step, value: value.map(sixDigits) };
}
