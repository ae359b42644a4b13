import { usualSolvers } from "../../solvers.ts";
import type { BuiltInPlan } from "../plan.ts";

/** Quality of one network's samples against evaluations, by solver. */
export const solvers: BuiltInPlan = {
  doc: "solvers of the flow: quality of samples against evaluations of the network",
  cells: [{}],
  fixed: { model: "residual" },
  evaluation: { guidance: 1, solvers: usualSolvers },
};
