import { couplings } from "../../../models/flow/coupling.ts";
import { predictions } from "../../../models/flow/prediction.ts";
import { timeDistributions } from "../../../models/flow/time_distribution.ts";
import type { BuiltInPlan, CellSettings } from "../plan.ts";

const varied = { coupling: couplings, times: timeDistributions, prediction: predictions };

/** Each part of the objective varied alone around the preset's, and how many evaluations its samples need. */
export const objectives: BuiltInPlan = {
  doc: "couplings, distributions of t and predictions, each varied alone",
  cells: [
    {},
    ...Object.entries(varied).flatMap(([setting, registry]) =>
      Object.keys(registry).map((name): CellSettings => ({ [setting]: name }))
    ),
  ],
  fixed: { model: "residual" },
  evaluation: {
    guidance: 1, // a guided evaluation counts twice
    solvers: [1, 2, 4, 8, 32].map((steps) => `heun:steps=${steps}`), // 2, 4, 8, 16 and 64 evaluations
  },
};
