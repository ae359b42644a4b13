/** Whether the losses of several runs can be compared. */

import { asText, flagOf, type Rows } from "../cli/settings.ts";
import { fields } from "./run_config.ts";

/** What the losses of a run depend on besides its network. */
export interface LossMeaning {
  /** Settings by name, as in `config.json`; missing ones are unknown. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The data, if known: runs of other programs may not record it. */
  readonly dataset?: LossData | null | undefined;
}

/** A data set by the digest of its images, or only by its name, as MLflow stores it. */
export interface LossData {
  readonly name: string;
  readonly digest?: string;
}

/** The setting that changes only the training loss: held-out losses use uniform times. */
const ofTraining = "times";
const ofAll = Object.entries<Rows[string]>(fields.rows)
  .filter(([name, row]) => row.changesLoss && name !== ofTraining)
  .map(([name]) => name);

/**
 * Explains why the losses of several runs cannot be compared.
 *
 * @param runs what the losses of each run depend on; unknown values are skipped
 * @returns e.g. `Losses of these runs are not comparable (--normalize is -1..1 or 0..1)`; undefined if they are
 */
export function lossWarning(runs: readonly LossMeaning[]): string | undefined {
  const all = reasonsOf(runs);
  const training = differing(ofTraining, runs);
  if (all.length > 0) return `Losses of these runs are not comparable (${[...all, ...training].join("; ")})`;
  if (training.length === 0) return undefined;
  return `Training losses of these runs are not comparable (${training}), but validation and test losses are`;
}

/** Whether losses on held-out images, such as the velocity error, are comparable between runs. */
export function heldOutComparable(runs: readonly LossMeaning[]): boolean {
  return reasonsOf(runs).length === 0;
}

function reasonsOf(runs: readonly LossMeaning[]): string[] {
  const data = runs.flatMap(({ dataset }) => dataset ?? []);
  return [...differingData(data), ...ofAll.flatMap((name) => differing(name, runs))];
}

/** `["--normalize is -1..1 or 0..1"]`, or empty if all runs that know the setting have one value. */
function differing(name: string, runs: readonly LossMeaning[]): string[] {
  const known = runs.map(({ settings }) => settings[name]).filter((value) => value !== undefined);
  const values = new Set(known.map(asText));
  return values.size > 1 ? [`${flagOf(name)} is ${[...values].join(" or ")}`] : [];
}

/** `["different data sets: MNIST, fashion-mnist"]`, with digests if all have one name; empty if the data is the same. */
export function differingData(data: readonly LossData[]): string[] {
  const haveDigests = data.every(({ digest }) => digest !== undefined);
  const sets = [...new Map(data.map((one) => [haveDigests ? one.digest : one.name, one])).values()];
  if (sets.length < 2) return [];
  const names = new Set(sets.map(({ name }) => name));
  const shown = names.size > 1
    ? [...names]
    : sets.map(({ name, digest }) => `${name} (${digest?.slice(0, 12)})`);
  return [`different data sets: ${shown.join(", ")}`];
}
