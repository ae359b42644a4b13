import type { TrainingConfig } from "../settings/tasks/train_config.ts";
import { ConfigError } from "../settings/setting.ts";

/** Settings of a network that its widths follow from. */
type Widths = Pick<TrainingConfig, "model" | "filters" | "attn" | "groups">;

/** Least and largest factor of the widths that is tried. */
const factors = { least: 1 / 8, most: 16 } as const;
/** Relative error that a search stops at. */
const near = 1e-3;

/** A network whose size comes near to what was asked. */
export interface Matched {
  readonly filters: readonly number[];
  /** What it has: parameters, multiply-adds, or seconds a step. */
  readonly measure: number;
}

/**
 * Finds the widths at which a network has as much of something as another one, by bisection over a common factor of all
 * levels. Where groups must divide a level, it is rounded to a multiple of them.
 *
 * @param measure of the network with some widths; it rises with them
 * @param target what it is to come near to
 * @param tries most widths to measure
 * @throws {ConfigError} if no factor up to 16 reaches the target
 */
export async function matchWidths(
  network: Widths,
  measure: (filters: readonly number[]) => Promise<number>,
  target: number,
  tries: number,
): Promise<Matched> {
  let [low, high]: [number, number] = [factors.least, factors.most];
  let best: Matched | undefined;
  const known = new Map<string, number>();
  for (let i = 0; i < 40 && known.size < tries; i++) {
    const factor = Math.sqrt(low * high);
    const filters = widthsAt(network, factor);
    const measured = known.get(`${filters}`) ?? await measure(filters);
    known.set(`${filters}`, measured);
    if (!best || error(measured, target) < error(best.measure, target)) best = { filters, measure: measured };
    if (error(measured, target) < near) break;
    if (measured < target) low = factor;
    else high = factor;
  }
  if (best && error(best.measure, target) < 0.5) return best;
  throw new ConfigError(
    `Cannot match the ${network.model} network with filters ${network.filters}: at ${best?.filters} it has ` +
      `${best?.measure} of ${target} (expected other filters)`,
  );
}

/** The widths of all levels times a factor. */
export function widthsAt({ model, filters, attn, groups }: Widths, factor: number): number[] {
  return filters.map((channels, level) => {
    const divided = model === "residual" || attn && level === filters.length - 1;
    const unit = divided ? groups : 1;
    return Math.max(unit, Math.round(channels * factor / unit) * unit);
  });
}

const error = (value: number, target: number) => Math.abs(Math.log(value / target));
