import { judgeNames } from "../../models/mod.ts";
import { type ByFigure, figureKey, figureMeanings, type FigureName, figureNames } from "./figures.ts";

/** Something measured by judges, such as a network or a solver. */
export interface Ordered {
  readonly label: string;
  readonly figures: ByFigure<Measured | undefined>;
}

/** A value, with the ends of its 95 % interval if there is one. */
interface Measured {
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
}

/**
 * States by which figures the judges rank things differently.
 *
 * @returns `lenet and vgg rank a and b differently by Fréchet distance (1 of 3 pairs; it may be chance)`, or that they
 * agree; undefined if there are fewer than two things or judges
 */
export function formatOrder(all: readonly Ordered[]): string | undefined {
  const findings = figureNames.flatMap((name) => disagreement(all, name) ?? []);
  if (findings.length === 0) return undefined;
  const differing = findings.filter((words) => words !== "");
  const judges = judgeNames.join(" and ");
  return differing.length === 0
    ? `${judges} rank alike by every figure`
    : `${judges} rank ${differing.join(", ")}`;
}

/**
 * A pair that judges rank differently by a figure; empty if they agree, undefined if they did not both measure two
 * things.
 */
function disagreement(all: readonly Ordered[], name: FigureName): string | undefined {
  const measured = all.flatMap(({ label, figures }) => {
    const values = judgeNames.flatMap((judge) => figures[figureKey(name, judge)] ?? []);
    return values.length === judgeNames.length ? [{ label, values }] : [];
  });
  const pairs = measured.flatMap((b, i) => measured.slice(0, i).map((a) => ({ a, b })));
  if (pairs.length === 0) return undefined;
  const signs = ({ a, b }: typeof pairs[number]) =>
    a.values.map(({ value }, judge) => Math.sign(value - b.values[judge].value));
  const differing = pairs.filter((pair) => signs(pair).includes(-1) && signs(pair).includes(1));
  // A pair that some judge cannot tell apart may be in either order by chance.
  const clear = differing.filter(({ a, b }) =>
    a.values.every(({ value, low = value, high = value }, judge) => {
      const other = b.values[judge];
      return low > (other.high ?? other.value) || high < (other.low ?? other.value);
    })
  );
  const example = clear[0] ?? differing[0];
  if (!example) return "";
  const remarks = [
    ...pairs.length > 1 ? [`${differing.length} of ${pairs.length} pairs`] : [],
    ...clear.length > 0 ? [] : ["it may be chance"],
  ];
  return `${example.a.label} and ${example.b.label} differently by ${figureMeanings[name].title}` +
    (remarks.length > 0 ? ` (${remarks.join("; ")})` : "");
}
