import type { Findings } from "./findings.ts";
import { excludesZero, type Interval } from "./seed_intervals.ts";
import type { Difference } from "./summary.ts";
import { costInWords, intervalInWords, listed, nameOf, shown } from "./words.ts";

/** How far one network is behind another at the same widths, and how far still where it is given as much. */
export function gap({ summary: { primary, differences, setups } }: Findings): string[] {
  if (!primary) return [];
  const settingsOf = (label: string) => setups.find((setup) => setup.label === label)!.settings;
  const matchOf = (label: string) => settingsOf(label).match ?? "none";
  const between = differences.filter(({ setting }) => setting === "model");
  /** By how much a setup is behind another, with the interval. */
  const behindBy = ({ a, figures }: Difference, behind: string) => {
    const { mean, interval: [low, high] = [NaN, NaN] } = figures[primary]!;
    const [value, interval]: [number, Interval] = a === behind ? [mean, [low, high]] : [-mean, [-high, -low]];
    return `${shown(primary, value, (high - low) / 2)} (${intervalInWords(primary, interval)})`;
  };
  return between.filter(({ a, b }) => matchOf(a) === "none" && matchOf(b) === "none").flatMap((given) => {
    const whole = given.figures[primary];
    if (!whole?.interval || !excludesZero(whole.interval)) return [];
    // Of both figures that a conclusion can be about, less is better.
    const [behind, ahead] = whole.mean > 0 ? [given.a, given.b] : [given.b, given.a];
    const matched = between.flatMap((other) => {
      const [rival] = [other.a, other.b].filter((label) => label !== ahead);
      const isRival = [other.a, other.b].includes(ahead) && matchOf(rival) !== "none";
      const isKnown = other.figures[primary]?.interval !== undefined;
      return isRival && isKnown ? [`${behindBy(other, rival)} at equal ${matchOf(rival)}`] : [];
    });
    if (matched.length === 0) return [];
    const cost = costInWords(given);
    return [
      `${capitalised(behind)} is behind ${ahead} in ${nameOf(primary)} by ${
        listed([`${behindBy(given, behind)} at the same widths`, ...matched])
      }${cost && `; at the same widths ${given.a} takes ${cost} of ${given.b}`}.`,
    ];
  });
}

function capitalised(text: string): string {
  return text.replace(/^./u, (letter) => letter.toUpperCase());
}
