import { type Tensor, tensor } from "../../kernels/mod.ts";
import {
  autoguided,
  type GuidanceOptions,
  guided,
  type Model,
  noneOf,
  type VelocityField,
} from "../../models/mod.ts";
import type { Drawable } from "./drawable.ts";

/** How samples are guided by their labels. */
export interface Guidance extends Pick<GuidanceOptions, "interval" | "zeroStar"> {
  /** 0 without, 1 with the label alone, more exaggerates it. */
  readonly scale: number;
}

/** The classes that samples are asked to be of. */
export interface Asked {
  /** One for each sample. */
  readonly labels: Uint32Array<ArrayBuffer>;
  readonly guidance: Guidance;
}

/** A network as it is asked for classes: its field, and the condition that goes with it. */
export function fieldOf(
  model: Model,
  asked: Asked | undefined,
): { readonly field: VelocityField; readonly condition?: Tensor } {
  if (!asked) return { field: model };
  return {
    field: guided(model, { ...asked.guidance, none: noneOf(model) }),
    condition: tensor(asked.labels),
  };
}

/** The field that samples are drawn by: that of {@linkcode fieldOf}, or guided away from what the network was. */
export function samplingFieldOf(
  { model, weaker }: Pick<Drawable, "model" | "weaker">,
  asked: Asked | undefined,
): { readonly field: VelocityField; readonly condition?: Tensor } {
  if (asked || !weaker) return fieldOf(model, asked);
  return { field: autoguided(model, weaker.model, weaker.scale) };
}

/** Samples for a grid, one column a class. */
export interface ClassColumns {
  /** Full rows: the nearest number to that asked for, at least one row. Without classes it is the number asked for. */
  readonly count: number;
  /** Number of columns; 0 without classes. */
  readonly columns: number;
  /** Without classes there is nothing to ask for. */
  readonly asked?: Asked;
}

/** The number of samples nearest to `count` in full rows of one of each class; without classes `count` itself. */
export function inFullRows(count: number, classes: number): number {
  return classes === 0 || count === 0 ? count : classes * Math.max(1, Math.round(count / classes));
}

/** About `count` samples of so many classes, in rows of one of each. */
export function classColumns(count: number, classes: number, guidance: Guidance): ClassColumns {
  if (classes === 0 || count === 0) return { count, columns: 0 };
  const labels = Uint32Array.from({ length: inFullRows(count, classes) }, (_, i) => i % classes);
  return { count: labels.length, columns: classes, asked: { labels, guidance } };
}

/** For lines and captions: `guidance 1.5`, and where and how. */
export function guidanceInWords({ scale, interval, zeroStar }: Guidance): string {
  if (scale === 1) return "no guidance";
  const where = interval ? ` for t in [${interval.join(", ")}]` : "";
  return `guidance ${scale}${where}${zeroStar ? " by CFG-Zero*" : ""}`;
}

/** Ends the cost of samples whose evaluations run the network twice: by their classes, or beside what it was. */
export function bothInWords(asked: Asked | undefined): string {
  return asked ? " with and without the class" : " of the network and its early self";
}

/** Whether an evaluation under this guidance runs the network with and without the class. */
export function runsTwice({ scale, interval, zeroStar }: Guidance): boolean {
  return scale !== 1 && (scale !== 0 || interval !== undefined || zeroStar === true);
}
