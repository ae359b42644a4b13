import type { BuiltInPlan } from "../plan.ts";

/** Whether the shift by time reaches the first level: with one channel a group, the normalisation after it cancels it. */
export const groups: BuiltInPlan = {
  doc: "groups of the normalisations; with one channel a group, level 1 does not see t",
  grid: { groups: [1, 2, 4, 8] },
  fixed: { model: "residual", filters: "8,16,32" },
};
