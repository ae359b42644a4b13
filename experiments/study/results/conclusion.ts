import { chance, noInterval, seeds, told, untold } from "./conclusion_differences.ts";
import { limits, scope } from "./conclusion_frame.ts";
import { gap } from "./conclusion_gap.ts";
import { attention, firstLevel, unreached } from "./conclusion_reach.ts";
import type { Findings } from "./findings.ts";

/** A sentence or two of the conclusion, and the rule that wrote it. */
export interface Sentence {
  readonly rule: RuleName;
  readonly text: string;
}

/** A rule looks at what was found and says what follows from it, if anything. */
type Rule = (findings: Findings) => string[];

/** The rules in the order in which they speak, by topic: what was run, differences, what is within networks, limits. */
const topics = [
  { scope, noInterval, seeds },
  { told, untold, chance, gap },
  { unreached, firstLevel, attention },
  { limits },
] as const satisfies readonly Readonly<Record<string, Rule>>[];

type NameIn<Topic> = Topic extends unknown ? keyof Topic : never;

/** The name of a rule. */
export type RuleName = NameIn<typeof topics[number]>;

/** What can and cannot be concluded from a study. */
export function conclude(findings: Findings): Sentence[] {
  return topics.flatMap((rules) =>
    Object.entries(rules).flatMap(([name, rule]: [string, Rule]) =>
      rule(findings).map((text) => ({ rule: name as RuleName, text: capitalised(text) }))
    )
  );
}

/** The sentences in a paragraph for each topic. */
export function paragraphsOf(conclusion: readonly Sentence[]): string[] {
  return topics.map((rules) =>
    conclusion.filter(({ rule }) => rule in rules).map(({ text }) => text).join(" ")
  ).filter((paragraph) => paragraph !== "");
}

function capitalised(text: string): string {
  return text.replace(/^./u, (letter) => letter.toUpperCase());
}
