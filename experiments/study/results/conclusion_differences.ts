import type { Findings } from "./findings.ts";
import { excludesZero, holdTogether, type Interval, type SeedDifference } from "./seed_intervals.ts";
import type { Difference, Summary } from "./summary.ts";
import { costInWords, intervalInWords, nameOf, shown, times } from "./words.ts";

/** A difference of the figure that the conclusion is about, and its interval. */
interface Judged {
  readonly difference: Difference;
  readonly figure: SeedDifference;
  readonly interval: Interval;
}

/** Without a second seed nothing says what a difference is worth. */
export function noInterval({ summary }: Findings): string[] {
  const { primary, differences } = summary;
  const measured = differences.filter(({ figures }) => primary && figures[primary]);
  const single = measured.filter(({ figures }) => figures[primary!]!.interval === undefined);
  if (single.length === 0) return [];
  const which = single.length === measured.length ? "All" : `${single.length} of ${measured.length}`;
  return [
    `${which} differences come from one seed: what another seed would change is unknown, so nothing is concluded ` +
    "from them.",
  ];
}

/** What another seed changes, against which a difference is to be held. */
export function seeds({ summary: { primary, setups } }: Findings): string[] {
  const spreads = setups.flatMap(({ figures }) => primary && figures[primary]?.deviation || []);
  if (!primary || spreads.length === 0) return [];
  const [least, most] = [Math.min(...spreads), Math.max(...spreads)].map((spread) =>
    shown(primary, spread, spread)
  );
  const range = least === most ? least : `${least} to ${most}`;
  return [`Another seed changes the ${nameOf(primary)} by ${range} (standard deviation).`];
}

/** A sentence for each difference whose interval excludes 0. */
export function told({ summary }: Findings): string[] {
  return judged(summary).filter(({ interval }) => excludesZero(interval)).map((found) => {
    const primary = summary.primary!;
    const { difference, figure: { mean, seeds }, interval } = found;
    const size = interval.map(Math.abs).toSorted((a, b) => a - b) as unknown as Interval;
    const against = relative(summary, found);
    const cost = costInWords(difference);
    const by = shown(primary, Math.abs(mean), (size[1] - size[0]) / 2);
    return `${pair(difference)}: ${nameOf(primary)} ${mean < 0 ? "lower" : "higher"} by ${by} (${
      intervalInWords(primary, size)
    }, ${seeds.length} seeds)${against && `, ${against} what another seed changes`}${
      cost && `, at ${cost}`
    }.`;
  });
}

/** A line for each difference whose interval contains 0, and what they have in common. */
export function untold({ summary }: Findings): string[] {
  const { primary } = summary;
  const open = judged(summary).filter(({ interval }) => !excludesZero(interval));
  if (!primary || open.length === 0) return [];
  const each = open.map(({ difference, interval }) => {
    const cost = costInWords(difference);
    return `${pair(difference)}: ${nameOf(primary)} ${intervalInWords(primary, interval)}${
      cost && `, at ${cost}`
    }.`;
  });
  const halves = open.map(({ interval: [low, high] }) => (high - low) / 2).toSorted((a, b) => a - b);
  const half = halves[Math.floor(halves.length / 2)];
  return [
    ...each,
    `Each may be as large as its interval allows. Half the width is about ${
      shown(primary, half, half)
    }; more seeds would narrow them.`,
  ];
}

/** How many of the differences would stand out by chance, and which hold together. */
export function chance({ summary }: Findings): string[] {
  const all = judged(summary);
  const found = all.filter(({ interval }) => excludesZero(interval));
  if (all.length < 2 || found.length === 0) return [];
  const holds = holdTogether(all.map(({ figure }) => figure.chance!));
  const held = all.filter((_, i) => holds[i]).map(({ difference }) => pair(difference));
  const which = held.length === found.length ? "all hold" : held.length > 0 ? "these hold" : "none holds";
  const names = which === "these hold" ? `: ${held.join("; ")}` : "";
  const expected = Number((0.05 * all.length).toPrecision(2));
  return [
    `${all.length} differences were looked at, of which about ${expected} would exclude 0 by chance alone; of the ` +
    `${found.length} that do, ${which} when all are counted together (Holm)${names}.`,
  ];
}

/** `a against b`. */
function pair({ a, b }: Difference): string {
  return `${a} against ${b}`;
}

/** The differences that have an interval. */
function judged({ primary, differences }: Summary): Judged[] {
  return differences.flatMap((difference) => {
    const figure = primary && difference.figures[primary];
    return figure?.interval ? [{ difference, figure, interval: figure.interval }] : [];
  });
}

/** `4.2 times` the standard deviation between seeds of the two setups; empty where there is none. */
function relative({ primary, setups }: Summary, { difference: { a, b }, figure: { mean } }: Judged): string {
  const squares = setups.filter(({ label }) => label === a || label === b)
    .flatMap(({ figures }) => figures[primary!]?.deviation ?? []).map((spread) => spread ** 2);
  const spread = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
  return spread > 0 ? times(Math.abs(mean) / spread) : "";
}
