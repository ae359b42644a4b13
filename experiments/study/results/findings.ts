import type { Plan } from "../plan.ts";
import type { ReachSummary } from "./reach_summary.ts";
import type { Summary } from "./summary.ts";

/** What a study found, from which its conclusion is written. */
export interface Findings {
  readonly plan: Plan;
  readonly summary: Summary;
  /** Of the setups whose networks were looked into. */
  readonly reach: readonly ReachSummary[];
}
