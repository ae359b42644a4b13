import { type TimeGrid, timeGrids } from "../../models/solve/time_grids.ts";
import { asText, type Setting } from "./setting.ts";
import { makeVariant, variant } from "./variant.ts";

/** Times of a solver: a grid, or a list. */
export type Times = { readonly grid: TimeGrid } | { readonly times: readonly number[] };

/** A setting for the times of a solver: a grid as in {@linkcode variant}, or a list of times from 0 to 1. */
export function timeGrid(options: { readonly doc: string; readonly default?: string }): Setting<string> {
  const named = variant(timeGrids, options);
  return {
    ...named,
    hint: "NAME[:KEY=X]|T,T,...",
    details: [...named.details ?? [], "0,0.1,0.5,1  the ends of the steps, from 0 to 1"],
    accepts: (value): value is string =>
      isList(value) ? problemOf(listOf(value)) === undefined : named.accepts(value),
    problem(value) {
      const text = asText(value);
      if (isList(text)) return problemOf(listOf(text)) ?? named.expected;
      return `${named.problem?.(value) ?? `expected ${named.expected}`}, or a list such as 0,0.1,0.5,1`;
    },
  };
}

/**
 * Makes the times that a value of {@linkcode timeGrid} stands for.
 *
 * @throws {RangeError} for text that {@linkcode timeGrid} refuses
 */
export function makeTimes(text: string): Times {
  return isList(text) ? { times: listOf(text) } : { grid: makeVariant(timeGrids, text) };
}

/** Names begin with a letter. */
function isList(value: unknown): value is string {
  return typeof value === "string" && /^[-+.\d]/.test(value);
}

function listOf(text: string): number[] {
  return text.split(",").map((time) => time.trim() === "" ? NaN : Number(time));
}

function problemOf(times: readonly number[]): string | undefined {
  const expected = "expected times that rise from 0 to 1, such as 0,0.1,0.5,1";
  const bad = times.findIndex((t, i) => i === 0 ? t !== 0 : !(t > times[i - 1] && t <= 1));
  if (bad >= 0) return `time ${bad + 1} of ${times.length} is ${times[bad]} (${expected})`;
  const last = times[times.length - 1];
  return last === 1 ? undefined : `the last time is ${last} (${expected})`;
}
