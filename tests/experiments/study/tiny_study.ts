/** Studies of networks that are small enough to train in seconds, on made-up data. */

import type { GivenPlan } from "../../../experiments/study/plan.ts";
import { madeOnce, type Workplace } from "../cli.ts";
import { makeJudgedData } from "../evaluated_run.ts";

/** A tiny plan. */
export const tinyPlan = {
  name: "tiny",
  seeds: [1, 2],
  steps: 6,
  fixed: {
    ...{ data: "data", filters: "8,16", tEmb: 8, batchSize: 8, conditional: true, groups: 4 },
    ...{ samples: 0, flowSamples: 0, pathSamples: 0 },
  },
  evaluation: { count: 170, solver: "euler:steps=2", courseImages: 0 },
} as const satisfies GivenPlan;

/** The same with few samples, for few test images. */
export const fewSamples = { ...tinyPlan.evaluation, count: 20 };

/** Creates data of four classes in `data`, with a barely trained judge, and the file of a plan. */
export async function makePlan(place: Workplace, given: Partial<GivenPlan> = {}): Promise<void> {
  await madeOnce(place, "judged data", makeJudgedData);
  await writePlan(place, given);
}

/** Writes `plan.json`: base against residual unless overridden. */
export async function writePlan(place: Workplace, given: Partial<GivenPlan> = {}): Promise<void> {
  const plan = { ...tinyPlan, grid: { model: ["base", "residual"] }, ...given };
  await place.write("plan.json", plan);
}
