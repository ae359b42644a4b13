import { type Tensor, tensor } from "../../kernels/mod.ts";
import {
  autoguided,
  type GuidanceOptions,
  guided,
  type Model,
  noneOf,
  type VelocityField,
} from "../../models/mod.ts";
import { loadWeights } from "../networks/own_network.ts";
import { readFile, RunError } from "../run/run_folder.ts";
import { findEarlyWeights } from "../run/weights.ts";
import { guidanceWithoutLabels } from "../settings/training.ts";
import { ConfigError, didYouMean } from "../cli/settings.ts";
import type { Classes } from "../cli/kinds.ts";
import { readRecord } from "../tracking/record.ts";

/** Classifier-free guidance. */
export interface Guidance extends Pick<GuidanceOptions, "interval" | "zeroStar"> {
  /** 0 ignores the class, 1 uses only the class, more exaggerates it. */
  readonly scale: number;
}

/** The classes of samples, with their guidance. */
export interface Conditioning {
  /** One label per sample. */
  readonly labels: Uint32Array<ArrayBuffer>;
  readonly guidance: Guidance;
}

/** Guidance of a network without classes, away from its early weights; see `autoguided`. */
export interface Autoguidance {
  /** The early network. */
  readonly model: Model;
  /** 1 means no guidance. */
  readonly scale: number;
}

/** The field that draws samples, guided by their classes or away from early weights, and its condition. */
export function samplingField(
  { model, autoguidance }: { readonly model: Model; readonly autoguidance?: Autoguidance | undefined },
  conditioning: Conditioning | undefined,
): { readonly field: VelocityField; readonly condition?: Tensor } {
  if (conditioning) {
    const { labels, guidance } = conditioning;
    return { field: guided(model, { ...guidance, none: noneOf(model) }), condition: tensor(labels) };
  }
  return { field: autoguidance ? autoguided(model, autoguidance.model, autoguidance.scale) : model };
}

/** Loads the early weights of a run; undefined if it has none. */
export async function readAutoguidance(
  run: string,
  scale = guidanceWithoutLabels,
): Promise<Autoguidance | undefined> {
  const early = findEarlyWeights(run);
  if (!early) return undefined;
  return { model: (await loadWeights(await readFile(early.path, run), early.path)).model, scale };
}

/** Rounds a number of samples to full rows (at least one) of one sample per class; unchanged without classes. */
export function roundToRows(count: number, classes: number): number {
  return classes === 0 || count === 0 ? count : classes * Math.max(1, Math.round(count / classes));
}

/** Most columns of a grid that is more than twice as wide as high. */
const maxColumns = 20;

/**
 * Columns of a grid of samples of classes in rotation: one per class if they are not too many, else a multiple or divisor
 * of their number, so that the grid is at most twice as wide as high, and at most twice as high as wide.
 *
 * @returns 0 for a nearly square grid if there is no such number
 */
export function gridColumns(count: number, classes: number): number {
  if (classes < 2) return 0;
  if (classes <= Math.min(count, maxColumns) && Math.ceil(count / classes) <= 2 * classes) return classes;
  const fits = (columns: number) => {
    const rows = Math.ceil(count / columns);
    return columns <= 2 * rows && rows <= 2 * columns;
  };
  const unevenness = (columns: number) => Math.abs(Math.log(columns ** 2 / count));
  const aligned = Array.from({ length: Math.ceil(2 * Math.sqrt(count)) }, (_, i) => i + 1)
    .filter((columns) => columns % classes === 0 || classes % columns === 0)
    .sort((a, b) => unevenness(a) - unevenness(b));
  return aligned.find(fits) ?? 0;
}

/**
 * About `count` samples, as many of each class, with the columns of their grid; without classes exactly `count`,
 * unconditioned.
 */
export function classColumns(
  count: number,
  classes: number,
  guidance: Guidance,
): { readonly count: number; readonly columns: number; readonly conditioning?: Conditioning } {
  if (classes === 0 || count === 0) return { count, columns: 0 };
  const rounded = roundToRows(count, classes);
  const columns = gridColumns(rounded, classes);
  return { count: rounded, columns, conditioning: balancedClasses(rounded, classes, guidance) };
}

/** Conditioning of samples with the classes 0, 1, 2 and so on in rotation. */
export function balancedClasses(count: number, classes: number, guidance: Guidance): Conditioning {
  return { labels: Uint32Array.from({ length: count }, (_, n) => n % classes), guidance };
}

/** Guidance as text for messages and captions: `guidance 1.5`, with its interval and method. */
export function formatGuidance({ scale, interval, zeroStar }: Guidance): string {
  if (scale === 1) return "no guidance";
  const where = interval ? ` for t in [${interval.join(", ")}]` : "";
  return `guidance ${scale}${where}${zeroStar ? " by CFG-Zero*" : ""}`;
}

/** Autoguidance as text for messages and captions: `autoguidance 2`. */
export function formatAutoguidance(scale: number): string {
  return scale === 1 ? "no guidance" : `autoguidance ${scale}`;
}

/** Suffix for the cost of guided samples: the two networks that each evaluation runs. */
export function guidedCostSuffix(conditioning: Conditioning | undefined): string {
  return conditioning ? " with and without the class" : " of the network and its early weights";
}

/** Whether an evaluation with this guidance runs a network both with and without the class. */
export function runsTwice(
  { scale, interval, zeroStar }: Guidance,
  { maxGuidance }: Pick<VelocityField, "maxGuidance">,
): boolean {
  if (maxGuidance !== undefined) return false;
  return scale !== 1 && (scale !== 0 || interval !== undefined || zeroStar === true);
}

/** Maximum number of class names in one message. */
const maxListed = 20;

/** Words for classes without names, which are usually digits. */
const digitNames = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/** The classes of a network. */
export interface NetworkClasses {
  /** How many; 0 without labels. */
  readonly count: number;
  /** Names by number, if the run of the network records them. */
  readonly names?: readonly string[] | undefined;
}

/** The name of a class if it is known, else its number. */
export function className(label: number, names: NetworkClasses["names"]): string {
  return names?.[label] ?? `${label}`;
}

/** The names of classes that a run records; undefined if there are none, or not for this number of classes. */
export async function recordedClassNames(
  run: string,
  count?: number,
): Promise<readonly string[] | undefined> {
  const record = await readRecord(run).catch((error) => {
    if (!(error instanceof RunError)) throw error; // a damaged record only costs the names
  });
  const names = record?.dataset?.classNames ?? undefined;
  return count === undefined || names?.length === count ? names : undefined;
}

/**
 * The numbers of the chosen classes. A word that is the name of a class means that class, even if it is a number. Where
 * no names are known, `three` is class 3.
 *
 * @param classes of the network, at least one
 * @param source name of its file, for errors
 */
export function chosenClasses(
  choice: Classes,
  { count, names }: NetworkClasses,
  source: string,
): readonly number[] {
  if (choice === "all") return Array.from({ length: count }, (_, c) => c);
  const allNames = names ?? digitNames.slice(0, count);
  return choice.map((word) => {
    const label = allNames.includes(word) ? allNames.indexOf(word) : /^\d+$/.test(word) ? Number(word) : NaN;
    if (label < count) return label;
    const listed = names && names.length <= maxListed ? ` (${names.join(", ")})` : "";
    throw new ConfigError(
      `Cannot draw class ${word} from ${source}: it has the classes 0 to ${count - 1}${listed}` +
        didYouMean(word, allNames),
    );
  });
}
