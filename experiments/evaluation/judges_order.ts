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
 * Says in one sentence by which figures the judges put things in another order.
 *
 * @returns `The judges disagree in order by Fréchet distance (1 of 3 pairs: a and b, whose intervals overlap)`, or that
 * they agree; undefined if there are less than two things or judges
 */
export function formatOrder(all: readonly Ordered[]): string | undefined {
  const found = figureNames.flatMap((name) => disagreement(all, name) ?? []);
  if (found.length === 0) return undefined;
  const [first, second] = judgeNames;
  const differing = found.filter((words) => words !== "");
  if (differing.length === 0) return `The judges ${first} and ${second} agree in order by every figure`;
  return `The judges ${first} and ${second} disagree in order by ${differing.join(", by ")}`;
}

/** By how many pairs a figure's judges disagree; empty if by none, undefined if they did not both measure a pair. */
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
  const overlap = clear.length > 0 ? "" : ", whose intervals overlap";
  const share = `${differing.length} of ${pairs.length} pair${pairs.length === 1 ? "" : "s"}`;
  return `${figureMeanings[name].title} (${share}${differing.length === 1 ? ": " : ", such as "}` +
    `${example.a.label} and ${example.b.label}${overlap})`;
}
