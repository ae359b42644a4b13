/// <reference lib="dom" />
import { label, SharpCanvas } from "./canvas.ts";

/** Means of losses over equally many steps; when there are too many, neighbours are joined. */
export class LossCurve {
  /** Steps of a mean. */
  #each = 8;
  #means: number[] = [];
  #open: number[] = [];
  /** Number of losses so far. */
  count = 0;

  /** @param maxMeans means that are kept */
  constructor(readonly maxMeans = 240) {}

  /** Adds losses of further steps. */
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

  /** The step in the middle of each mean, and the mean. */
  points(): readonly (readonly [step: number, loss: number])[] {
    return this.#means.map((mean, i) => [(i + 0.5) * this.#each, mean]);
  }

  /** The mean of the latest losses, of about the last twentieth; undefined at the start. */
  latest(): number | undefined {
    const last = this.#means.slice(-Math.max(1, Math.ceil(this.#means.length / 20)));
    return last.length > 0 ? meanOf(last) : this.#open.length > 0 ? meanOf(this.#open) : undefined;
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Draws the losses, and the floor under them. */
export class LossChart {
  curve = new LossCurve();
  /** The loss of a perfect network, where there is a formula. */
  floor: number | undefined;
  readonly #canvas: SharpCanvas;

  constructor(element: HTMLCanvasElement) {
    this.#canvas = new SharpCanvas(element, () => this.#draw());
  }

  /** Draws again with the next picture of the screen. */
  changed(): void {
    this.#canvas.changed();
  }

  #draw(): void {
    const { width, height } = this.#canvas;
    const context = this.#canvas.cleared();
    if (this.curve.count === 0) return;
    const { muted, line, velocity, ink } = this.#canvas.colours;
    const points = this.curve.points();
    const [left, right, top, bottom] = [34, width - 8, 10, height - 22];
    const highest = Math.max(0.1, this.floor ?? 0, ...points.map(([, loss]) => loss)) * 1.05;
    const x = (step: number) => left + (right - left) * step / Math.max(1, this.curve.count);
    const y = (loss: number) => bottom - (bottom - top) * loss / highest;
    context.font = '12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';
    context.textBaseline = "middle";
    const tick = highest > 2 ? 1 : highest > 0.8 ? 0.5 : highest > 0.3 ? 0.2 : 0.05;
    for (let loss = 0; loss < highest; loss += tick) {
      context.strokeStyle = line;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(left, Math.round(y(loss)) + 0.5);
      context.lineTo(right, Math.round(y(loss)) + 0.5);
      context.stroke();
      context.fillStyle = muted;
      context.textAlign = "right";
      context.fillText(loss === 0 ? "0" : String(Number(loss.toFixed(2))), left - 6, y(loss));
    }
    context.fillText("loss", right, top + 2);
    context.fillText(`step ${this.curve.count.toLocaleString("en")}`, right, height - 9);
    context.strokeStyle = velocity;
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.beginPath();
    points.forEach(([step, loss], i) => context[i === 0 ? "moveTo" : "lineTo"](x(step), y(loss)));
    context.stroke();
    if (this.floor === undefined) return;
    context.strokeStyle = ink;
    context.setLineDash([5, 4]);
    context.lineWidth = 1.4;
    context.beginPath();
    context.moveTo(left, y(this.floor));
    context.lineTo(right, y(this.floor));
    context.stroke();
    context.setLineDash([]);
    label(context, "floor: no network can be below", [left + 6, y(this.floor) + 12], ink);
  }
}
