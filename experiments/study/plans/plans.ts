import type { BuiltInPlan } from "../plan.ts";
import { defaultRun } from "./default_run.ts";
import { groups } from "./groups.ts";
import { networks } from "./networks.ts";
import { objectives } from "./objectives.ts";
import { solvers } from "./solvers.ts";
import { widths } from "./widths.ts";

/** The plans by name. */
export const plans = {
  networks,
  default_run: defaultRun,
  objectives,
  groups,
  solvers,
  widths,
} as const satisfies Readonly<
  Record<string, BuiltInPlan>
>;

/** Names of the plans. */
export const planNames: readonly string[] = Object.keys(plans);
