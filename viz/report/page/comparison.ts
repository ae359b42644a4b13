/// <reference lib="dom" />
import { fastestOf, nearestSnapshot } from "../../flow/trajectory.ts";
import { channelMean, type ImageSize } from "../../image/image_shape.ts";
import type { PageRun } from "../page_data.ts";
import type { Comparison } from "../report_data.ts";
import { atTime, runLine, timeAxis } from "../run_figures.ts";
import { Chart } from "./charts.ts";
import type { Clock } from "./clock.ts";
import { byId, chooseRun, element } from "./dom.ts";
import { drawImage, type PageColours, reserve } from "./image_panel.ts";
import type { Views } from "./views.ts";

/** Shows two models side by side from the same noise, and the difference of their velocities at shared points. */
export class ComparisonView {
  readonly #names: readonly string[];
  readonly #data: Comparison;
  readonly #fastest: number;
  readonly #place = byId("comparison");
  readonly #a = byId<HTMLSelectElement>("compare-a");
  readonly #b = byId<HTMLSelectElement>("compare-b");
  readonly #sample = byId<HTMLSelectElement>("compare-sample");
  readonly #chart: Chart;

  constructor(
    runs: readonly PageRun[],
    comparison: Comparison,
    readonly colours: PageColours,
    readonly clock: Clock,
    readonly views: Views,
  ) {
    this.#names = comparison.runs.map((place) => runs[place].name);
    this.#data = comparison;
    this.#fastest = this.#fastestOf(comparison.velocities.flat());
    this.#chart = new Chart(byId("difference-chart"), () => {
      const [a, b] = this.#pair;
      const data = [...new Set([a, b])].map((p) => ({
        x: comparison.t,
        y: comparison.difference[p][a][b],
        name: `on the trajectory of ${this.#names[p]}`,
        mode: "lines+markers",
        line: runLine(comparison.runs[p]),
        hovertemplate: atTime,
      }));
      const yaxis = { title: { text: "|vA \u2212 vB|, RMS" }, rangemode: "tozero" };
      return { data, layout: { xaxis: timeAxis, yaxis, showlegend: true } };
    });
    reserve(this.#place, this.#size);
    const changed = () => views.changed();
    chooseRun(this.#a, this.#names, 0, changed);
    chooseRun(this.#b, this.#names, 1, changed);
    for (let s = 0; s < comparison.shape[0]; s++) {
      this.#sample.append(element("option", { value: String(s), text: `Sample ${s + 1}` }));
    }
    this.#sample.addEventListener("change", changed);
    views.add(this.#place, () => this.#draw());
    views.add(this.#chart.element, () => this.#chart.show(`${this.#pair}`, clock.t));
  }

  get #size(): ImageSize {
    const [, , ...size] = this.#data.shape;
    return size;
  }

  #fastestOf(all: readonly Float32Array[]): number {
    const shape = [0, ...this.#size] as const;
    return fastestOf(all.map((velocity) => ({ velocity, shape })));
  }

  get #pair(): [number, number] {
    return [Number(this.#a.value), Number(this.#b.value)];
  }

  #draw(): void {
    const { t, shape: [, T], points, velocities } = this.#data;
    const i = nearestSnapshot(t, this.clock.t);
    const [a, b] = this.#pair;
    const size = this.#size;
    const [C, H, W] = size;
    const length = C * H * W;
    const start = Number(this.#sample.value) * T;
    const part = (values: Float32Array) => values.subarray((start + i) * length, (start + i + 1) * length);
    const flat = [1, H, W] as const;
    const { image } = this.colours;
    const signed = this.colours.signed(this.#fastest);
    drawImage(byId("compare-xa"), part(points[a]), size, image);
    drawImage(byId("compare-xb"), part(points[b]), size, image);
    drawImage(byId("compare-va"), channelMean(part(velocities[a][a]), size), flat, signed);
    drawImage(byId("compare-vb"), channelMean(part(velocities[b][b]), size), flat, signed);
    const difference = (k: number) => velocityDifference(this.#data, [a, b], start + k);
    // One scale for all times keeps them comparable.
    const max = this.#fastestOf(Array.from(t, (_, k) => difference(k)));
    const now = difference(i);
    drawImage(byId("compare-d"), channelMean(now, size), flat, this.colours.signed(max));
    const rms = Math.sqrt(now.reduce((sum, d) => sum + d * d, 0) / now.length).toFixed(3);
    const where = C === 1 ? "in this picture" : "over all channels";
    byId("compare-d-scale").textContent = `\u2212${max.toFixed(2)} to +${max.toFixed(2)}`;
    byId("compare-text").textContent = `points at t = ${
      t[i].toFixed(2)
    }; root mean square of the difference ${where} ${rms}`;
  }
}

/** v of run a minus v of run b at a point of run a, f32[C, H, W]; `place` is the index of the point. */
export function velocityDifference(
  { shape: [, , ...size], velocities }: Pick<Comparison, "shape" | "velocities">,
  [a, b]: readonly [number, number],
  place: number,
): Float32Array {
  const length = size.reduce((product, axis) => product * axis, 1);
  const [va, vb] = [a, b].map((run) => velocities[a][run].subarray(place * length, (place + 1) * length));
  return va.map((value, i) => value - vb[i]);
}
