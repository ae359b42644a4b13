import type { Point } from "../plane_data.ts";
import type { SettingName } from "../settings.ts";
import type { RestingWeights } from "./messages.ts";
import { placeAt, type PlaneState } from "./plane_pen.ts";

/** Dots whose distance from the data is averaged. */
const measured = 128;

/** The mean distance of dots at t = 1 from their nearest data point. */
export function distanceFromData({ frame, exact }: Pick<PlaneState, "frame" | "exact">): number | undefined {
  if (!frame || !exact) return undefined;
  let sum = 0;
  for (let n = 0; n < measured; n++) {
    const [x, y] = placeAt(frame.dots, n, 1);
    let nearest = Infinity;
    for (let i = 0; i < exact.size; i++) {
      const [a, b] = exact.point(i);
      nearest = Math.min(nearest, (x - a) ** 2 + (y - b) ** 2);
    }
    sum += Math.sqrt(nearest) / measured;
  }
  return sum;
}

/** The line under the losses. */
export function statusOf({ step, steps, loss, digits, milliseconds, device }: {
  readonly step: number;
  /** The number of the last step. */
  readonly steps: number;
  readonly loss: number | undefined;
  /** Decimals of the loss. */
  readonly digits: number;
  /** Of a step. */
  readonly milliseconds: number;
  readonly device: string;
}): string {
  return [
    `Step ${step.toLocaleString("en")} of ${steps.toLocaleString("en")}`,
    ...loss === undefined ? [] : [`loss ${loss.toFixed(digits)}`],
    ...milliseconds === 0 ? [] : [`${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms a step`],
    device,
  ].join(" · ");
}

/**
 * What the digest of weights is good for.
 *
 * @param setting names their steps in an address; undefined if no address gives the same weights
 */
export function digestWords({ step, digest }: RestingWeights, setting?: SettingName): string {
  const words = `After step ${step.toLocaleString("en")}, the weights have the digest ${digest}.`;
  if (setting === undefined) return words;
  return `${words} This address gives the same ones on any machine, with ${setting}=${step}.`;
}

/** A line of text, and its numbers by name. */
export interface Reading {
  readonly text: string;
  readonly values: Readonly<Record<string, number>>;
}

/** What is yet to come. */
const nothing: Reading = { text: "", values: {} };

/** How far from the data few steps end. */
export function fewReading(state: PlaneState): Reading {
  const { moves, pairs, objective } = state.settings;
  const distance = distanceFromData(state);
  if (distance === undefined) return nothing;
  const steps = `${moves} solver step${moves === 1 ? "" : "s"}`;
  const how = objective === "one_step" ? "whole steps" : `${pairs} pairs`;
  const text = `${steps}, ${how}: dots end ${distance.toFixed(2)} from the data on average.`;
  return { text, values: { moves, distance } };
}

/** How long the last trajectory is. */
export function followReading({ frame }: PlaneState): Reading {
  const drop = frame?.drops.at(-1);
  if (!drop) return nothing;
  const places = Array.from(drop.times, (t) => placeAt(drop, 0, t));
  const length = places.slice(1).reduce((sum, place, i) => sum + between(places[i], place), 0);
  const straight = between(places[0], places[places.length - 1]);
  const text = `The last trajectory is ${length.toFixed(2)} long; a straight line to its end would be ${
    straight.toFixed(2)
  }.`;
  return { text, values: { length, straight } };
}

/** The mean of the lines through a place, and how far the network is from it. */
export function fanReading({ exact, lesson, probe, t, look }: PlaneState): Reading {
  if (!exact || !lesson) return nothing;
  if (!lesson.closed) {
    const text =
      "Near pairs depend on all pairs of a batch, so no formula gives their mean; the arrow is the network's.";
    return { text, values: {} };
  }
  const now = Math.min(t, 0.99);
  const { mean, spread } = exact.meeting(probe, now);
  const seen = look && look.place[0] === probe[0] && look.place[1] === probe[1] &&
    Math.abs(look.t - now) < 1e-9;
  const away = seen ? between(mean, look.velocity) : undefined;
  const apart = away === undefined ? "" : `; the network is ${away.toFixed(2)} away from it`;
  const place = mean.map((value) => value.toFixed(2)).join(", ");
  return {
    text: `Mean velocity (${place})${apart}. Spread ${spread.toFixed(2)}.`,
    values: { x: mean[0], y: mean[1], spread, ...away !== undefined && { away } },
  };
}

function between([x0, y0]: Point, [x1, y1]: Point): number {
  return Math.hypot(x1 - x0, y1 - y0);
}
