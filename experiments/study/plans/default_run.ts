import type { BuiltInPlan } from "../plan.ts";

/** Base against residual as a default run trains them, and with the base network widened to as much arithmetic. */
export const defaultRun: BuiltInPlan = {
  doc: "base against residual at widths and length of a default run, and at equal arithmetic",
  grid: { model: ["base", "residual"] },
  cells: [{ model: "base", match: "arithmetic" }],
  budget: { steps: 5000 },
  evaluation: { count: 2000 },
};
