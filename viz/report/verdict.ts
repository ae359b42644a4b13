/** What the figures of a run answer, in words that only claim what their intervals support. */
import type { QualityFigure, Question } from "./report_data.ts";
import { digits, percent } from "./series.ts";

/** Share of the way from noise or guessing to real images from which a figure counts as that of real images. */
const minNearness = 0.95;

/** The values that a verdict depends on. */
type Compared = Pick<QualityFigure, "better" | "value" | "low" | "high" | "real" | "noise">;

/**
 * Whether noise has a value as good as that of real images, within half of the samples' interval. Such a figure cannot
 * tell a network that learned from one that did not.
 */
export function noiseScoresWell({ better, low, high, real, noise }: Compared): boolean {
  if (real === undefined || noise === undefined) return false;
  const ahead = { higher: real - noise, lower: noise - real, real: Math.abs(noise - real) }[better];
  return ahead <= (high - low) / 2;
}

/** An answer: in words, and in short for tests. */
export interface Verdict {
  readonly words: string;
  readonly short: string;
}

/** Answers a question from all its figures; undefined if they do not suffice. */
export function verdictOf(question: Question, figures: readonly QualityFigure[]): Verdict | undefined {
  return { class: classVerdict, real: realVerdict, copied: copiedVerdict }[question](figures);
}

/** Whether samples show the requested class, by the judge that sees it least. */
function classVerdict(figures: readonly QualityFigure[]): Verdict | undefined {
  const [worst] = placed(figures);
  if (!worst) return undefined;
  const { figure, nearness, isAsNoise } = worst;
  const { high, chance = 0, real = 1, judge } = figure;
  const [short, answer] = isAsNoise
    ? ["chance", "No better than by guessing"]
    : high >= real
    ? ["real", "Yes, as often as in real images"]
    : nearness >= minNearness
    ? ["near", "Yes, nearly as often as in real images"]
    : nearness >= 0.5
    ? ["far", "More than halfway from guessing to real images"]
    : ["barely", "Less than halfway from guessing to real images"];
  const by = judge === undefined ? "" : ` by ${judge}`;
  const marks = `guessing ${percent(chance)}, real images ${percent(real)}`;
  return { short, words: `${answer}: ${withInterval(figure, marks)}${by}.` };
}

/** Whether samples look like real images. */
function realVerdict(figures: readonly QualityFigure[]): Verdict | undefined {
  const worst = [...Map.groupBy(placed(figures), ({ figure }) => figure.title).values()].map(([first]) =>
    first
  );
  const all = worst.length;
  if (all === 0) return undefined;
  const near = worst.filter(({ nearness }) => nearness >= minNearness).length;
  const short = `${near}/${all}`;
  if (near === all) {
    return { short, words: `Yes, by ${all === 1 ? "the one figure" : `all ${all} figures`} that can tell.` };
  }
  const [{ figure }] = worst;
  const { title, judge, real = 1, noise } = figure;
  const answer = worst.every(({ isAsNoise }) => isAsNoise)
    ? "No more than noise does."
    : near === 0
    ? "No figure reaches real images."
    : `${near} of ${all} figures match those of real images, or nearly.`;
  const shown = shownBy(figure);
  const marks = `real images ${shown(real)}${noise === undefined ? "" : `, noise ${shown(noise)}`}`;
  const by = judge === undefined ? "" : ` by ${judge}`;
  return { short, words: `${answer} Furthest off: ${title}, ${withInterval(figure, marks)}${by}.` };
}

/** Whether samples are copies of training images. */
function copiedVerdict(figures: readonly QualityFigure[]): Verdict | undefined {
  const known = figures.filter(({ real }) => real !== undefined);
  if (known.length === 0) return undefined;
  const copies = known.filter(({ high, real }) => high < real!).map(({ title }) => title);
  return copies.length === 0
    ? {
      short: "new",
      words: "No sign of copying: samples are as far from training images as real images are.",
    }
    : {
      short: "copied",
      words: `Samples are nearer to training images than real images are: ${
        [...new Set(copies)].join(", ")
      }.`,
    };
}

/**
 * The figures that can tell noise or guessing from real images, the furthest from real images first: their nearness, which
 * is 1 at real images and 0 at noise, and whether their interval reaches noise.
 */
function placed(figures: readonly QualityFigure[]) {
  return figures.flatMap((figure) => {
    const { low, high, better, share, chance, noise: ofNoise, real = share ? 1 : undefined } = figure;
    const noise = chance ?? ofNoise;
    if (real === undefined || noise === undefined || noiseScoresWell({ ...figure, real, noise })) return [];
    const isBeyond = better === "higher" ? high >= real : better === "lower" && low <= real;
    const nearest = Math.min(high, Math.max(low, real));
    const nearness = isBeyond ? 1 : 1 - Math.abs(nearest - real) / Math.abs(noise - real);
    const isAsNoise = noise < real ? low <= noise : high >= noise;
    return [{ figure, nearness, isAsNoise }];
  }).sort((a, b) => a.nearness - b.nearness);
}

/** A value with its interval and what to compare it with: `6.2 (5.1 to 7.9; real images 1.5)`. */
export function withInterval(figure: QualityFigure, marks?: string): string {
  const shown = shownBy(figure);
  const interval = `${shown(figure.low).replace(" %", "")} to ${shown(figure.high)}`;
  return `${shown(figure.value)} (${interval}${marks === undefined ? "" : `; ${marks}`})`;
}

/** Returns a formatter for the values of a figure. */
export function shownBy({ share }: Pick<QualityFigure, "share">): (value: number) => string {
  return (value) => share ? percent(value) : digits(value);
}
