/** Studies of networks that are small enough to train in seconds, on made-up data. */

import { join } from "node:path";
import { init } from "../../../kernels/mod.ts";
import { completePlan, type GivenPlan, type Plan, readPlan } from "../../../experiments/study/plan.ts";
import { type PlanningOptions, planStudy, saveStudy } from "../../../experiments/study/plan_study.ts";
import type { Cell, Study } from "../../../experiments/study/study.ts";
import { madeOnce, type Workplace } from "../cli.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";
import { makeJudgedData } from "../evaluated_run.ts";

/** A tiny plan. */
export const tinyPlan = {
  name: "tiny",
  seeds: [1, 2],
  budget: { steps: 6 },
  fixed: {
    data: "data",
    filters: "8,16",
    tEmb: 8,
    batchSize: 8,
    samples: 0,
    flowSamples: 0,
    pathSamples: 0,
    conditional: true,
    groups: 4,
  },
  evaluation: { count: 170, solver: "euler:steps=2", courseImages: 0 },
} as const satisfies GivenPlan;

/** Changes for runs with several checkpoints, so that they can be stopped between two. */
export const longerPlan = { budget: { steps: 60 }, fixed: { ...tinyPlan.fixed, valEpochs: 0.5 } } as const;

/** A complete plan. */
export const planOf = (given: GivenPlan): Plan => completePlan(readPlan({ name: "mine", ...given }, "mine"));

/** Planning options for tests on the CPU device. */
export const planning: PlanningOptions = {
  device: "cpu",
  threads: 1,
  signal: new AbortController().signal,
  timed: false,
  say: () => {},
};

/** Plans a study in a folder on made-up data, and writes it. */
export async function makeStudy(folder: string, given: Partial<GivenPlan>): Promise<Study> {
  const data = join(folder, "..", "data");
  await writeTinyIdx(data, { train: 300, test: 360, classes: 4 });
  const device = await init({ device: "cpu", threads: 1 });
  try {
    const plan = planOf({ ...tinyPlan, fixed: { ...tinyPlan.fixed, data }, ...given });
    const planned = await planStudy(folder, plan, planning);
    await saveStudy(planned, planning);
    return planned.study;
  } finally {
    device.close();
  }
}

/** Creates data of four classes in `data`, with a barely trained judge, and the file of a plan. */
export async function makePlan(place: Workplace, given: Partial<GivenPlan> = {}): Promise<void> {
  await madeOnce(place, "judged data", makeJudgedData);
  await writePlan(place, given);
}

/** Writes `plan.json`: base against residual unless overridden. */
export async function writePlan(place: Workplace, given: Partial<GivenPlan> = {}): Promise<void> {
  const plan = { ...tinyPlan, grid: { model: ["base", "residual"] }, ...given };
  await Deno.writeTextFile(place.file("plan.json"), JSON.stringify(plan));
}

/** A made-up cell. */
export const cellOf = (id: string, more: Partial<Cell> = {}): Cell => ({
  id,
  asked: {},
  settings: {},
  seed: 1,
  steps: 10,
  parameters: 100,
  multiplyAdds: 1000,
  ...more,
});
