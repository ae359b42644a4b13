import type { BuiltInPlan, CellSettings } from "../plan.ts";

/** Ways to give the base network as much as the residual one has. */
const matches = ["parameters", "arithmetic", "time"];

/** Base against residual, attention on and off: at the same widths, and with the base network widened until they match. */
export const networks: BuiltInPlan = {
  doc: "base against residual, attention on and off, at the same widths and matched",
  grid: { model: ["base", "residual"], attn: [false, true] },
  cells: matches.flatMap((match) =>
    [false, true].map((attn): CellSettings => ({ model: "base", attn, match }))
  ),
};
