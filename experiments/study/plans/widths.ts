import type { BuiltInPlan } from "../plan.ts";

/** How quality grows with parameters and with images. */
export const widths: BuiltInPlan = {
  doc: "how quality grows with parameters and images",
  grid: { filters: ["8,16,32", "12,24,48", "16,32,64", "24,48,96"], share: [0.25, 0.5, 1] },
  fixed: { model: "residual", groups: 4 },
};
