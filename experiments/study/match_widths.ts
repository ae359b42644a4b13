import type { TrainingConfig } from "../settings/training.ts";
import { ConfigError } from "../settings/setting.ts";

/** Settings of a network that its widths follow from. */
type Widths = Pick<TrainingConfig, "model" | "filters" | "attn" | "groups">;

/** What a network with some widths has of something, over what it is to have; it rises with the widths. */
export type Ratio = (filters: readonly number[]) => number | Promise<number>;

/** Least and largest factor of the widths that is tried. */
const factors = { least: 1 / 8, most: 16 } as const;
/** Relative errors at which a search stops, and above which it has failed. */
const errors = { near: 1e-3, most: 0.5 } as const;
/** Units by which a level is moved on its own, at most, and the share of its width. */
const nudge = { units: 2, share: 0.1 } as const;

/** Widths that come near to what was asked. */
export interface Matched {
  readonly filters: readonly number[];
  readonly ratio: number;
}

/**
 * Finds the widths at which a network has as much of something as it is to have, by bisection over a common factor of all
 * levels. Where groups must divide a level, it is rounded to a multiple of them.
 *
 * @param tries most widths to measure
 * @throws {ConfigError} if no factor from 1/8 to 16 comes near
 */
export async function matchWidths(network: Widths, ratio: Ratio, tries = Infinity): Promise<Matched> {
  let [low, high]: [number, number] = [factors.least, factors.most];
  let best: Matched | undefined;
  const known = new Map<string, number>();
  for (let i = 0; i < 40 && known.size < tries; i++) {
    const factor = Math.sqrt(low * high);
    const filters = widthsAt(network, factor);
    const measured = known.get(`${filters}`) ?? await ratio(filters);
    known.set(`${filters}`, measured);
    best = better(best, { filters, ratio: measured });
    if (error(measured) < errors.near) break;
    if (measured < 1) low = factor;
    else high = factor;
  }
  if (best && error(best.ratio) < errors.most) return best;
  throw new ConfigError(
    `Cannot match the ${network.model} network with filters ${network.filters}: with ${best?.filters} it has ` +
      `${best?.ratio.toFixed(2)} times as much (expected other filters)`,
  );
}

/** Moves single levels a little where that comes nearer. */
export async function nudged(network: Widths, ratio: Ratio, matched: Matched): Promise<Matched> {
  const choices = matched.filters.map((channels, level) => {
    const unit = unitOf(network, level);
    const most = Math.max(1, Math.min(nudge.units, Math.floor(nudge.share * channels / unit)));
    return Array.from({ length: 2 * most + 1 }, (_, i) => channels + (i - most) * unit).filter((n) => n > 0);
  });
  const all = choices.reduce<number[][]>(
    (some, level) => some.flatMap((filters) => level.map((channels) => [...filters, channels])),
    [[]],
  );
  let best = matched;
  for (const filters of all) best = better(best, { filters, ratio: await ratio(filters) });
  return best;
}

/** The widths of all levels times a factor. */
export function widthsAt(network: Widths, factor: number): number[] {
  return network.filters.map((channels, level) => {
    const unit = unitOf(network, level);
    return Math.max(unit, Math.round(channels * factor / unit) * unit);
  });
}

/** What must divide the channels of a level: the groups, where it is normalised. */
function unitOf({ model, filters, attn, groups }: Widths, level: number): number {
  return model === "residual" || attn && level === filters.length - 1 ? groups : 1;
}

function better(a: Matched | undefined, b: Matched): Matched {
  return a && error(a.ratio) <= error(b.ratio) ? a : b;
}

const error = (ratio: number) => Math.abs(Math.log(ratio));
