import { chance, noInterval, seeds, told, untold } from "./conclusion_differences.ts";
import { limits, scope } from "./conclusion_frame.ts";
import { gap } from "./conclusion_gap.ts";
import { attention, firstLevel, unreached } from "./conclusion_reach.ts";
import type { Findings } from "./findings.ts";
import type { Passage } from "../../../viz/report/mod.ts";

/** A sentence or two of the conclusion, and the rule that wrote it. */
export interface Sentence {
  readonly rule: RuleName;
  readonly text: string;
}

/** A rule looks at what was found and says what follows from it, if anything. */
type Rule = (findings: Findings) => string[];

/** Rules that speak of one topic, and the heading of what they say; without one it is a paragraph. */
interface Topic {
  readonly heading?: string;
  readonly rules: Readonly<Record<string, Rule>>;
}

/** The topics in their order: what was run, differences, what is within networks, limits. */
const topics = [
  { rules: { scope, noInterval, seeds } },
  { heading: "At the same widths and at equal cost", rules: { gap } },
  { heading: "Differences whose 95 % intervals exclude 0", rules: { told, chance } },
  { heading: "Differences that may be chance, as their 95 % intervals contain 0", rules: { untold } },
  { heading: "Within the trained networks", rules: { unreached, firstLevel, attention } },
  { rules: { limits } },
] as const satisfies readonly Topic[];

type NameIn<Rules> = Rules extends unknown ? keyof Rules : never;

/** The name of a rule. */
export type RuleName = NameIn<typeof topics[number]["rules"]>;

/** What can and cannot be concluded from a study. */
export function conclude(findings: Findings): Sentence[] {
  return topics.flatMap(({ rules }) =>
    Object.entries(rules).flatMap(([name, rule]: [string, Rule]) =>
      rule(findings).map((text) => ({ rule: name as RuleName, text }))
    )
  );
}

/** The sentences by topic. */
export function passagesOf(conclusion: readonly Sentence[]): Passage[] {
  return topics.flatMap(({ heading, rules }: Topic): Passage[] => {
    const items = conclusion.filter(({ rule }) => rule in rules).map(({ text }) => text);
    if (items.length === 0) return [];
    return [heading === undefined ? items.join(" ") : { heading, items }];
  });
}

/** A passage in Markdown, which also reads well as plain text. */
export function passageText(passage: Passage): string {
  if (typeof passage === "string") return passage;
  return [`${passage.heading}:\n`, ...passage.items.map((item) => `- ${item}`)].join("\n");
}
