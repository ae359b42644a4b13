/// <reference lib="dom" />
import { movingAverage } from "../../viz/figure/moving_average.ts";
import { font, polyline, set, SharpCanvas } from "./canvas.ts";

/** Means of losses over equal numbers of steps; when there are too many, neighbours are merged. */
export class LossCurve {
  /** Number of steps per mean. */
  #each = 8;
  #means: number[] = [];
  #open: number[] = [];
  count = 0;

  /** @param maxMeans the number of means at which neighbours are merged */
  constructor(readonly maxMeans = 240) {}

  /** Adds the losses of further steps. */
  add(losses: Iterable<number>): void {
    for (const loss of losses) {
      this.count++;
      this.#open.push(loss);
      if (this.#open.length < this.#each) continue;
      this.#means.push(meanOf(this.#open));
      this.#open = [];
      if (this.#means.length < this.maxMeans) continue;
      this.#means = Array.from(
        { length: this.maxMeans / 2 },
        (_, i) => meanOf(this.#means.slice(2 * i, 2 * i + 2)),
      );
      this.#each *= 2;
    }
  }

  /** Each mean, with the step in the middle of its range. */
  points(): readonly (readonly [step: number, loss: number])[] {
    return this.#means.map((mean, i) => [(i + 0.5) * this.#each, mean]);
  }

  /** The mean over about the last twentieth of the losses; undefined at the start. */
  latest(): number | undefined {
    const last = this.#means.slice(-Math.max(1, Math.ceil(this.#means.length / 20)));
    if (last.length > 0) return meanOf(last);
    return this.#open.length > 0 ? meanOf(this.#open) : undefined;
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The relative error of the floor, where the axis above it ends. */
const floorError = 0.01;

/** Draws the losses; where the best possible loss has a formula, the distance above it, on a logarithmic axis. */
export class LossChart extends SharpCanvas {
  curve = new LossCurve();
  /** The loss of a perfect network, where there is a formula. */
  floor: number | undefined;

  protected override draw(): void {
    const { width, height } = this;
    const context = this.cleared();
    if (this.curve.count === 0) return;
    const { muted, line, velocity } = this.colours;
    const steps = this.curve.points().map(([step]) => step);
    const means = this.curve.points().map(([, loss]) => loss);
    // The logarithmic axis magnifies noise near the floor.
    const losses = this.floor === undefined ? means : movingAverage(means, means.length / 15);
    const [left, right, top, bottom] = [40, width - 8, 24, height - 22];
    const { ticks, share } = lossScale(losses, this.floor);
    const x = (step: number) => left + (right - left) * step / Math.max(1, this.curve.count);
    const y = (loss: number) => bottom - (bottom - top) * share(loss);
    set(context, {
      font: font(12),
      textBaseline: "middle",
      textAlign: "right",
      strokeStyle: line,
      fillStyle: muted,
    });
    for (const { loss, text } of ticks) {
      context.lineWidth = 1;
      const height = Math.round(y(loss)) + 0.5;
      polyline(context, [[left, height], [right, height]]);
      context.fillText(text, left - 6, y(loss));
    }
    context.fillText(`step ${this.curve.count.toLocaleString("en")}`, right, height - 9);
    const name = this.floor === undefined
      ? "loss"
      : `loss above the lowest possible average, ${this.floor.toFixed(3)}`;
    context.fillText(name, right, 9);
    set(context, { strokeStyle: velocity, lineWidth: 2, lineJoin: "round" });
    polyline(context, losses.map((loss, i) => [x(steps[i]), y(loss)]));
  }
}

/** The distance between ticks of a linear axis from 0. */
function tickFor(highest: number): number {
  if (highest > 2) return 1;
  if (highest > 0.8) return 0.5;
  return highest > 0.3 ? 0.2 : 0.05;
}

/** Maps losses to shares of an axis's height, and chooses its ticks. */
export function lossScale(losses: readonly number[], floor?: number): {
  readonly ticks: readonly { readonly loss: number; readonly text: string }[];
  share(loss: number): number;
} {
  if (floor === undefined) {
    const highest = Math.max(0.1, ...losses) * 1.05;
    const tick = tickFor(highest);
    const ticks = Array.from({ length: Math.ceil(highest / tick) }, (_, i) => {
      const loss = Number((i * tick).toFixed(2));
      return { loss, text: String(loss) };
    });
    return { ticks, share: (loss) => loss / highest };
  }
  const lowest = floorError * floor;
  const highest = Math.max(floor, ...losses.map((loss) => loss - floor));
  const ticks = [0.001, 0.01, 0.1, 1, 10].filter((above) => above >= lowest && above <= highest)
    .map((above) => ({ loss: floor + above, text: String(above) }));
  const share = (loss: number) =>
    Math.log(Math.max(lowest, loss - floor) / lowest) / Math.log(highest / lowest);
  return { ticks, share };
}
