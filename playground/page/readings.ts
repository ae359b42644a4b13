import type { Point } from "../plane_data.ts";
import type { PlaygroundSettings, SettingName } from "../settings.ts";
import { classPoints, type ExactField } from "../exact_field.ts";
import { pathOf, placeAt, type Trajectories } from "../plane_views.ts";
import { fewSteps, type RestingWeights } from "./messages.ts";
import { currentProbe, type PlaneState, probeTime } from "./plane_pen.ts";

/** Number of dots to average over. */
const measured = 128;

/** The mean distance of dots at t = 1 from their nearest data point. */
export function distanceFromData(dots: Trajectories, exact: ExactField): number {
  let sum = 0;
  const points = exact.points();
  for (let n = 0; n < measured; n++) {
    const [x, y] = placeAt(dots, n, 1);
    const nearest = points.reduce(
      (nearest, [a, b]) => Math.min(nearest, (x - a) ** 2 + (y - b) ** 2),
      Infinity,
    );
    sum += Math.sqrt(nearest) / measured;
  }
  return sum;
}

/** The way of training, as the comparison of few steps names it. */
export function trainingLabel({ objective, pairs }: Pick<PlaygroundSettings, "objective" | "pairs">): string {
  return objective === "one_step" ? "whole steps" : `${pairs} pairs`;
}

/** Stores the final distance from the data for each number of steps, under the current way of training. */
export function keepDistances({ frame, exact, kept }: PlaneState): void {
  if (!exact || !frame || frame.planes.length === 0) return;
  kept.set(trainingLabel(frame.settings), frame.planes.map((dots) => distanceFromData(dots, exact)));
}

/** The line under the losses. */
export function statusOf({ step, steps, loss, digits, milliseconds, device }: {
  readonly step: number;
  /** The number of steps to train. */
  readonly steps: number;
  readonly loss: number | undefined;
  /** Decimals to show of the loss. */
  readonly digits: number;
  /** Milliseconds per step; 0 before the first. */
  readonly milliseconds: number;
  readonly device: string;
}): string {
  return [
    `Step ${step.toLocaleString("en")} of ${steps.toLocaleString("en")}`,
    ...loss === undefined ? [] : [`loss ${loss.toFixed(digits)}`],
    ...milliseconds === 0 ? [] : [`${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms per step`],
    device,
  ].join(" · ");
}

/**
 * States the digest of the weights and what reproduces it.
 *
 * @param setting the name of the steps in an address; undefined if no address reproduces the weights
 */
export function formatDigest({ step, digest }: RestingWeights, setting?: SettingName): string {
  const words = `After step ${step.toLocaleString("en")}, the weights have the digest ${digest}.`;
  if (setting === undefined) return words;
  return `${words} With ${setting}=${step}, this address reproduces them on any machine.`;
}

/** A line of text, and the numbers in it by name. */
export interface Reading {
  readonly text: string;
  readonly values: Readonly<Record<string, number>>;
}

/** A reading without data yet. */
const nothing: Reading = { text: "", values: {} };

/** How far from the data a few solver steps end. */
export function fewReading({ frame, exact, kept }: PlaneState): Reading {
  if (!exact || frame?.settings.step !== "few") return nothing;
  const { settings } = frame;
  const { moves } = settings;
  const at = fewSteps.findIndex((steps) => steps === moves);
  const distance = kept.get(trainingLabel(settings))?.[at] ?? distanceFromData(frame.dots, exact);
  const how = `${moves} solver step${moves === 1 ? "" : "s"}, ${trainingLabel(settings)}`;
  const away = distance.toFixed(2);
  return { text: `${how}: dots end ${away} from the data on average.`, values: { moves, distance } };
}

/** How long the trajectories with noise are, and how far from the data they end. */
export function crowdReading({ frame, exact }: PlaneState): Reading {
  if (!exact || frame?.settings.step !== "random") return nothing;
  const { noise } = frame.settings;
  let length = 0;
  for (let n = 0; n < measured; n++) length += lengthOf(pathOf(frame.dots, n)) / measured;
  const distance = distanceFromData(frame.dots, exact);
  const end = `ends ${distance.toFixed(2)} from the data on average`;
  const text = `Noise ${noise}: a trajectory is ${length.toFixed(2)} long, and ${end}.`;
  return { text, values: { noise, length, distance } };
}

/** The spread of guided dots, compared with that of the class's data. */
export function classesReading({ frame, lesson }: PlaneState): Reading {
  if (!lesson || frame?.settings.step !== "classes") return nothing;
  const { data, label, scale } = frame.settings;
  const { times, places } = frame.dots;
  const spread = spreadOf(places.subarray(-places.length / times.length));
  const ofData = spreadOf(classPoints(lesson.points, data, label));
  const ofDots = `the spread of the dots around their mean is ${spread.toFixed(2)}`;
  const text = `Guidance × ${scale}: ${ofDots}; that of the class's data is ${ofData.toFixed(2)}.`;
  return { text, values: { scale, spread, ofData } };
}

/** The root mean square distance of points, f32[N, 2], from their mean. */
function spreadOf(points: Float32Array): number {
  const meanOf = (axis: 0 | 1) =>
    points.reduce((sum, value, i) => i % 2 === axis ? sum + value : sum, 0) / (points.length / 2);
  const x = meanOf(0);
  const y = meanOf(1);
  const squares = points.reduce((sum, value, i) => sum + (value - (i % 2 === 0 ? x : y)) ** 2, 0);
  return Math.sqrt(squares / (points.length / 2));
}

/** How long the last trajectory is. */
export function followReading({ frame }: PlaneState): Reading {
  const drop = frame?.drops.at(-1);
  if (!drop) return nothing;
  const places = pathOf(drop, 0);
  const length = lengthOf(places);
  const straight = between(places[0], places[places.length - 1]);
  const line = `the straight line to its end is ${straight.toFixed(2)}`;
  const text = `The last trajectory is ${length.toFixed(2)} long; ${line}.`;
  return { text, values: { length, straight } };
}

/** The mean of the lines through a place, and how far the network is from it. */
export function fanReading(state: PlaneState): Reading {
  const { exact, lesson, probe, t } = state;
  if (!exact || !lesson) return nothing;
  if (!lesson.closed) {
    const text =
      "Near pairs depend on the whole batch, so their mean has no formula; the arrow is the network's.";
    return { text, values: {} };
  }
  const now = probeTime(t);
  const { mean, spread } = exact.meeting(probe, now);
  const look = currentProbe(state);
  const away = look && between(mean, look.velocity);
  const steps = look && `${look.step.toLocaleString("en")} step${look.step === 1 ? "" : "s"}`;
  const apart = away === undefined ? "" : `; after ${steps}, the network is ${away.toFixed(2)} away from it`;
  const place = mean.map((value) => value.toFixed(2)).join(", ");
  return {
    text: `Mean velocity (${place})${apart}. Spread ${spread.toFixed(2)}.`,
    values: { x: mean[0], y: mean[1], spread, ...look && { away: away!, step: look.step } },
  };
}

function lengthOf(path: readonly Point[]): number {
  return path.slice(1).reduce((sum, place, i) => sum + between(path[i], place), 0);
}

export function between([x0, y0]: Point, [x1, y1]: Point): number {
  return Math.hypot(x1 - x0, y1 - y0);
}
