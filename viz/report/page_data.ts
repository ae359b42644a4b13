import { pace } from "../flow/pacing.ts";
import { fastestOf, imageAt, imageSizeOf, type Trajectory, velocityAt } from "../flow/trajectory.ts";
import { colormap, type ColormapName, type Palette } from "../image/colormap.ts";
import type { Comparison, ReportData, ReportRun } from "./report_data.ts";

/** The data that the page's program uses. */
export interface PageData {
  readonly runs: readonly PageRun[];
  readonly comparison?: Comparison;
  readonly palettes: Palettes;
}

/** The colour maps in all pictures of a report: of images with one channel, and of signed values. */
export const reportMaps = { image: "gray", signed: "rdbu" } as const satisfies Record<string, ColormapName>;

/** Palettes of images with one channel and of signed values. */
export type Palettes = Readonly<Record<keyof typeof reportMaps, Palette>>;

/** The part of a run that a page draws, thinned. */
export interface PageRun extends Pick<ReportRun, typeof drawn[number]> {
  /** Largest magnitude of a velocity in the recorded trajectories, which determines the colour scale. */
  readonly fastest: number;
  /** Present only for runs with trajectories. */
  readonly live?: NonNullable<ReportRun["live"]>;
}

const drawn = [
  "name",
  "classNames",
  "isFlowMap",
  "maxGuidance",
  "trajectories",
  "solved",
  "plane",
] as const;

/** Maximum bytes of base64 for the trajectories of all runs: if the page holds all samples, or only the first. */
const maxBytes = { all: 6e6, first: 5e5 };
/** Bytes of base64 per 16-bit number. */
const numberBytes = 2 * 4 / 3;
/** Maximum trajectories and snapshots; below `coarse` snapshots, trajectories are dropped first. */
const max = { trajectories: 10, snapshots: 101, coarse: 11 };

/** Selects the data that the page's program uses, thinned to fit a page. */
export function pageData({ runs, comparison, library }: ReportData): PageData {
  const isLive = runs.some(({ live }) => live !== undefined);
  return {
    runs: runs.map((run) => ({
      ...Object.fromEntries(drawn.map((name) => [name, run[name]])) as Pick<ReportRun, typeof drawn[number]>,
      trajectories: library !== undefined && canSolve(run)
        ? firstAndEnds(run.trajectories, maxBytes.first / runs.length)
        : affordable(run.trajectories, maxBytes.all / runs.length),
      fastest: fastestOf(run.trajectories),
      live: isLive && run.trajectories.length > 0
        ? run.live ?? "this report does not include its network"
        : undefined,
    })),
    comparison,
    palettes: { image: colormap(reportMaps.image), signed: colormap(reportMaps.signed) },
  };
}

/** Whether the page can solve the recorded samples itself: it has the network, the solver and all step times. */
function canSolve({ live, solved, trajectories: [first] }: ReportRun): boolean {
  return typeof live === "object" && solved?.evaluations !== undefined &&
    first?.t.length === solved.steps + 1;
}

/** The first trajectory, thinned to fit into `bytes`, and the ends of the others, which the page solves on demand. */
function firstAndEnds([first, ...others]: readonly Trajectory[], bytes: number): Trajectory[] {
  if (first === undefined) return [];
  const ends = others.slice(0, max.trajectories - 1).map((trajectory): Trajectory => {
    const m = trajectory.shape[0] - 1;
    return {
      t: trajectory.t.slice(m),
      image: imageAt(trajectory, m),
      velocity: new Float32Array(),
      shape: [1, ...imageSizeOf(trajectory)],
    };
  });
  return [...affordable([first], bytes), ...ends];
}

/** Thins trajectories to fit into `bytes`: fewer snapshots first, then fewer trajectories. */
function affordable(trajectories: readonly Trajectory[], bytes: number): Trajectory[] {
  if (trajectories.length === 0) return [];
  const { t, shape: [all] } = trajectories[0];
  const [C, H, W] = imageSizeOf(trajectories[0]);
  const snapshots = Math.floor(bytes / (2 * numberBytes * C * H * W)); // of two fields
  const S = Math.max(
    1,
    Math.min(trajectories.length, max.trajectories, Math.floor(snapshots / Math.min(all, max.coarse))),
  );
  const M = Math.max(2, Math.min(all, max.snapshots, Math.floor(snapshots / S)));
  const kept = all <= M ? [...t.keys()] : [...new Set(pace("linear", t, M))]; // spread evenly over t
  return trajectories.slice(0, S).map((trajectory) => {
    const taken = (length: number, at: typeof velocityAt) => {
      const values = new Float32Array(length * C * H * W);
      for (let i = 0; i < length; i++) values.set(at(trajectory, kept[i])!, i * C * H * W);
      return values;
    };
    return {
      t: Float32Array.from(kept, (m) => t[m]),
      image: taken(kept.length, imageAt),
      velocity: taken(kept.length - 1, velocityAt),
      shape: [kept.length, C, H, W],
    };
  });
}
