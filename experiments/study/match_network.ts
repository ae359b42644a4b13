import { countMultiplyAdds, tensor, zeros } from "../../kernels/mod.ts";
import { blankInitialiser, countParameters, createModel } from "../../models/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { ConfigError } from "../cli/setting.ts";
import { ownModel } from "../cli/model_setting.ts";
import type { TrainingConfig } from "../cli/training.ts";
import { modelOptions } from "../training/network.ts";
import type { Match } from "./plan.ts";
import type { StepTiming } from "./time_networks.ts";

/** The size of a network, in parameters and arithmetic. */
export interface NetworkSize {
  readonly parameters: number;
  /** Multiply-adds of one forward pass of one image. */
  readonly multiplyAdds: number;
}

/** Counts a network's size without creating it. @throws {ShapeError} if it cannot be created */
export function networkSize(config: TrainingConfig, data: Dataset): NetworkSize {
  const classes = config.conditional === true ? data.classes : 0;
  const options = modelOptions(config, [data.channels, data.height, data.width], classes);
  const multiplyAdds = countMultiplyAdds(() => {
    const x = zeros([1, data.channels, data.height, data.width]);
    const condition = classes > 0 ? tensor(new Uint32Array(1)) : undefined;
    createModel(options, blankInitialiser).velocity(x, tensor(new Float32Array(1)), condition);
  });
  return { parameters: countParameters(options), multiplyAdds };
}

/** Maximum number of timings in a search; each takes a second or two. */
const maxTimings = 9;

/**
 * Widens or narrows a network until its parameters, its arithmetic or the time of its training step match the other
 * network.
 *
 * @param time times networks alternately
 * @returns its settings, and a description of how closely it matches
 * @throws {ConfigError} if no widths match
 */
export async function matchNetwork(
  config: TrainingConfig,
  match: Match,
  data: Dataset,
  time: StepTiming,
): Promise<{ config: TrainingConfig; words: string }> {
  if (ownModel(config.model)) {
    throw new ConfigError(
      `Cannot match ${config.model}: only the filters of U-Nets can be matched (expected --model base or residual)`,
    );
  }
  const other = { ...config, model: config.model === "base" ? "residual" as const : "base" as const };
  const at = (filters: readonly number[]) => ({ ...config, filters });
  let matched: Matched;
  let what = "the time per step";
  if (match === "time") {
    matched = await matchWidths(config, async (filters) => {
      const [ownTime, otherTime] = await time([at(filters), other], data);
      return ownTime / otherTime;
    }, maxTimings);
  } else {
    const sizeOf = (config: TrainingConfig) =>
      networkSize(config, data)[match === "arithmetic" ? "multiplyAdds" : "parameters"];
    const target = sizeOf(other);
    const ratio = (filters: readonly number[]) => sizeOf(at(filters)) / target;
    matched = await nudged(config, ratio, await matchWidths(config, ratio));
    what = `${target.toLocaleString("en")} ${match === "parameters" ? "parameters" : "multiply-adds"}`;
  }
  const { filters, ratio } = matched;
  const times = `${ratio.toFixed(3)} times ${what}`;
  const words = `filters ${filters} have ${times} of the ${other.model} network with ${config.filters}`;
  return { config: at(filters), words };
}

/** Settings that determine the widths of a network. */
type Widths = Pick<TrainingConfig, "model" | "filters" | "attn" | "groups">;

/** The size of a network with given widths, relative to the target; it increases with the widths. */
type Ratio = (filters: readonly number[]) => number | Promise<number>;

/** Widths, and how closely they match. */
export interface Matched {
  readonly filters: readonly number[];
  readonly ratio: number;
}

/** Errors of a ratio: a search stops below `near` and fails above `max`. */
const errors = { near: 1e-3, max: 0.5 };

/**
 * Finds widths with a ratio near 1, by bisection over a common factor of all levels, from 1/8 to 16. Levels with groups
 * are rounded to a multiple of them.
 *
 * @param tries maximum number of widths to measure
 * @throws {ConfigError} if no factor matches
 */
export async function matchWidths(network: Widths, ratio: Ratio, tries = Infinity): Promise<Matched> {
  let [low, high] = [1 / 8, 16];
  let best: Matched | undefined;
  const cache = new Map<string, number>();
  for (let i = 0; i < 40 && cache.size < tries; i++) {
    const factor = Math.sqrt(low * high);
    const filters = widthsAt(network, factor);
    const measured = cache.get(`${filters}`) ?? await ratio(filters);
    cache.set(`${filters}`, measured);
    best = nearer(best, { filters, ratio: measured });
    if (errorOf(measured) < errors.near) break;
    if (measured < 1) low = factor;
    else high = factor;
  }
  if (best && errorOf(best.ratio) < errors.max) return best;
  throw new ConfigError(
    `Cannot match the ${network.model} network with filters ${network.filters}: with ${best?.filters} it is ` +
      `${best?.ratio.toFixed(2)} times the target (expected other filters)`,
  );
}

/** Changes single levels by up to two units and a tenth of their width if that matches better. */
export async function nudged(network: Widths, ratio: Ratio, matched: Matched): Promise<Matched> {
  const choices = matched.filters.map((channels, level) => {
    const unit = unitOf(network, level);
    const maxChange = Math.max(1, Math.min(2, Math.floor(0.1 * channels / unit)));
    return Array.from({ length: 2 * maxChange + 1 }, (_, i) => channels + (i - maxChange) * unit).filter((
      n,
    ) => n > 0);
  });
  const all = choices.reduce<number[][]>(
    (widths, level) => widths.flatMap((filters) => level.map((channels) => [...filters, channels])),
    [[]],
  );
  let best = matched;
  for (const filters of all) best = nearer(best, { filters, ratio: await ratio(filters) });
  return best;
}

/** The widths of all levels times a factor. */
export function widthsAt(network: Widths, factor: number): number[] {
  return network.filters.map((channels, level) => {
    const unit = unitOf(network, level);
    return Math.max(unit, Math.round(channels * factor / unit) * unit);
  });
}

/** The number that must divide the channels of a level: the groups if it is normalised, or else 1. */
function unitOf({ model, filters, attn, groups }: Widths, level: number): number {
  return model === "residual" || attn && level === filters.length - 1 ? groups : 1;
}

function nearer(a: Matched | undefined, b: Matched): Matched {
  return a && errorOf(a.ratio) <= errorOf(b.ratio) ? a : b;
}

const errorOf = (ratio: number) => Math.abs(Math.log(ratio));
