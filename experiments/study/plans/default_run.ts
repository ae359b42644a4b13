import type { BuiltInPlan, CellSettings } from "../plan.ts";

/** Base against residual as a default run trains them, and with the base network widened until it matches. */
export const defaultRun: BuiltInPlan = {
  doc: "base against residual at widths and length of a default run, and matched",
  grid: { model: ["base", "residual"] },
  cells: ["arithmetic", "parameters"].map((match): CellSettings => ({ model: "base", match })),
  budget: { steps: 5000 },
  evaluation: { count: 2000, milestones: 2 },
};
