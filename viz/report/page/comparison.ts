/// <reference lib="dom" />
import { nearestSnapshot } from "../../flow/trajectory.ts";
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
  readonly #chartPlace = byId("difference-chart");
  readonly #a = byId<HTMLSelectElement>("compare-a");
  readonly #b = byId<HTMLSelectElement>("compare-b");
  readonly #sample = byId<HTMLSelectElement>("compare-sample");
  readonly #chart: Chart;
  #drawn = "";

  constructor(
    runs: readonly PageRun[],
    comparison: Comparison,
    readonly colours: PageColours,
    readonly clock: Clock,
    readonly views: Views,
  ) {
    this.#names = comparison.runs.map((place) => runs[place].name);
    this.#data = comparison;
    this.#fastest = largest(comparison.velocities.flat().map((v) => this.#mean(v)));
    this.#chart = new Chart(this.#chartPlace, () => {
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
    views.add(this.#chartPlace, () => this.#drawChart());
  }

  get #size(): ImageSize {
    const [, , ...size] = this.#data.shape;
    return size;
  }

  /** The mean over channels of each image. */
  #mean(images: Float32Array): Float32Array {
    const [C, H, W] = this.#size;
    if (C === 1) return images;
    const mean = new Float32Array(images.length / C);
    for (let start = 0; start < mean.length; start += H * W) {
      mean.set(channelMean(images.subarray(C * start, C * (start + H * W)), this.#size), start);
    }
    return mean;
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
    drawImage(byId("compare-va"), this.#mean(part(velocities[a][a])), flat, signed);
    drawImage(byId("compare-vb"), this.#mean(part(velocities[b][b])), flat, signed);
    const difference = (k: number) => velocityDifference(this.#data, [a, b], start + k);
    // One scale for all times keeps them comparable.
    const max = largest(Array.from(t, (_, k) => this.#mean(difference(k))));
    const now = difference(i);
    drawImage(byId("compare-d"), this.#mean(now), flat, this.colours.signed(max));
    const rms = Math.sqrt(now.reduce((sum, d) => sum + d * d, 0) / now.length).toFixed(3);
    const where = C === 1 ? "in this picture" : "over all channels";
    byId("compare-d-scale").textContent = `\u2212${max.toFixed(2)} to +${max.toFixed(2)}`;
    byId("compare-text").textContent = `points at t = ${
      t[i].toFixed(2)
    }; root mean square of the difference ${where} ${rms}`;
  }

  #drawChart(): void {
    const key = `${this.#pair}`;
    if (this.#drawn === key) return this.#chart.moveTo(this.clock.t);
    this.#drawn = key;
    this.#chart.draw(this.clock.t);
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

/** The largest magnitude; 1 if all are 0, because callers divide by it. */
function largest(arrays: readonly Float32Array[]): number {
  return arrays.reduce((most, values) => values.reduce((m, x) => Math.max(m, Math.abs(x)), most), 0) || 1;
}
