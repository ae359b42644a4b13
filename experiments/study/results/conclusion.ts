import { chance, noInterval, seeds, told, untold } from "./conclusion_differences.ts";
import { limits, scope } from "./conclusion_frame.ts";
import { attention, firstLevel, unreached } from "./conclusion_reach.ts";
import type { Findings } from "./findings.ts";

/** A sentence or two of the conclusion, and the rule that wrote it. */
export interface Sentence {
  readonly rule: RuleName;
  readonly text: string;
}

/** A rule looks at what was found and says what follows from it, if anything. */
type Rule = (findings: Findings) => string[];

/** The rules in the order in which they speak. */
const rules = {
  scope,
  noInterval,
  seeds,
  told,
  untold,
  chance,
  unreached,
  firstLevel,
  attention,
  limits,
} as const satisfies Readonly<Record<string, Rule>>;

/** The name of a rule. */
export type RuleName = keyof typeof rules;

/** What can and cannot be concluded from a study. */
export function conclude(findings: Findings): Sentence[] {
  return (Object.keys(rules) as RuleName[]).flatMap((rule) =>
    rules[rule](findings).map((text) => ({ rule, text: capitalised(text) }))
  );
}

function capitalised(text: string): string {
  return text.replace(/^./u, (letter) => letter.toUpperCase());
}
