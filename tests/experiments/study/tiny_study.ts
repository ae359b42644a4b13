/** A study of four runs of seconds. */

import { makeJudgedData } from "../evaluated_run.ts";
import type { Workplace } from "../cli.ts";

/** Ids of its cells, in their order. */
export const tinyCells = ["base-s1", "residual-s1", "base-s2", "residual-s2"] as const;

/**
 * Makes the plan `tiny.json`, and the data that it needs.
 *
 * @param seeds of its cells
 */
export async function makeTinyPlan(place: Workplace, seeds: readonly number[] = [1, 2]): Promise<void> {
  await makeJudgedData(place);
  const plan = {
    grid: { model: ["base", "residual"] },
    seeds,
    budget: { steps: 60 },
    fixed: {
      ...{ data: "data", filters: "8", groups: 4, tEmb: 8, batchSize: 8, valEpochs: 0.5, sampleEpochs: 0 },
      ...{ samples: 4, sampleSteps: 2, flowSamples: 2, flowSteps: 2, flowFrames: 3, pathSamples: 0 },
    },
    evaluation: { count: 170, solver: "euler:steps=2", courseImages: 0, bitsImages: 0 },
  };
  await Deno.writeTextFile(place.file("tiny.json"), JSON.stringify(plan));
}

/** What a cell of a study measured, but for seconds. */
export async function recordOf(place: Workplace, study: string, cell: string): Promise<unknown> {
  const { seconds: _, ...record } = JSON.parse(
    await Deno.readTextFile(place.file(study, "cells", cell, "cell.json")),
  );
  return record;
}
