import type { Point } from "../plane_data.ts";
import type { PlaygroundSettings, SettingName } from "../settings.ts";
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

/** What a step of the story says in numbers. */
export function readingOf(state: PlaneState, { moves, pairs, objective }: PlaygroundSettings): string {
  if (state.step === "average") return fanReading(state);
  const distance = distanceFromData(state);
  if (distance === undefined) return "";
  if (state.step === "few") {
    const asked = `${moves} solver step${moves === 1 ? "" : "s"}`;
    const how = objective === "one_step" ? "whole steps" : `${pairs} pairs`;
    return `${asked}, ${how}: dots end ${distance.toFixed(2)} from the data on average.`;
  }
  const drop = state.frame?.drops.at(-1);
  if (!drop) return "";
  const places = Array.from(drop.times, (t) => placeAt(drop, 0, t));
  const length = places.slice(1).reduce((sum, place, i) => sum + between(places[i], place), 0);
  const straight = between(places[0], places[places.length - 1]);
  return `The last trajectory is ${length.toFixed(2)} long; a straight line to its end would be ${
    straight.toFixed(2)
  }.`;
}

function fanReading({ exact, lesson, probe, t, look }: PlaneState): string {
  if (!exact || !lesson) return "";
  if (!lesson.closed) {
    return "Near pairs depend on all pairs of a batch, so no formula gives their mean; the arrow is the network's.";
  }
  const now = Math.min(t, 0.99);
  const { mean, spread } = exact.meeting(probe, now);
  const seen = look && look.place[0] === probe[0] && look.place[1] === probe[1] &&
    Math.abs(look.t - now) < 1e-9;
  const apart = seen ? `; the network is ${between(mean, look.velocity).toFixed(2)} away from it` : "";
  return `Mean velocity (${mean.map((value) => value.toFixed(2)).join(", ")})${apart}. Spread ${
    spread.toFixed(2)
  }.`;
}

function between([x0, y0]: Point, [x1, y1]: Point): number {
  return Math.hypot(x1 - x0, y1 - y0);
}
