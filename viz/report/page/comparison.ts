/// <reference lib="dom" />
import { nearestSnapshot } from "../../flow/evolution.ts";
import type { ComparisonPayload, RunPayload } from "../payload.ts";
import { Chart, type Figure, runLine } from "./charts.ts";
import type { Clock } from "./clock.ts";
import { bytesOf, decode } from "./decode.ts";
import { byId, chooseRun, element } from "./dom.ts";
import { drawImage, reserve } from "./image_panel.ts";
import { plain } from "./training_charts.ts";
import type { Views } from "./views.ts";

/** Two models side by side from the same noise, and how their velocities differ at shared points. */
export class ComparisonView {
  readonly #names: readonly string[];
  readonly #data: ComparisonPayload;
  readonly #points: readonly Float32Array[];
  readonly #velocities: readonly (readonly Float32Array[])[];
  readonly #fastest: number;
  readonly #place = byId("comparison");
  readonly #chartPlace = byId("difference-chart");
  readonly #a = byId<HTMLSelectElement>("compare-a");
  readonly #b = byId<HTMLSelectElement>("compare-b");
  readonly #sample = byId<HTMLSelectElement>("compare-sample");
  readonly #chart: Chart;
  readonly #magma: Uint8Array;
  readonly #diverging: Uint8Array;
  #drawn = "";

  constructor(
    runs: readonly RunPayload[],
    comparison: ComparisonPayload,
    palettes: { readonly magma: string; readonly diverging: string },
    readonly clock: Clock,
    readonly views: Views,
  ) {
    this.#names = runs.map(({ name }) => name);
    this.#data = comparison;
    this.#points = comparison.points.map(decode);
    this.#velocities = comparison.velocities.map((ofRuns) => ofRuns.map(decode));
    this.#fastest = this.#velocities.flat().reduce(
      (most, v) => v.reduce((m, x) => Math.max(m, Math.abs(x)), most),
      0,
    );
    this.#magma = bytesOf(palettes.magma);
    this.#diverging = bytesOf(palettes.diverging);
    this.#chart = new Chart(this.#chartPlace, (theme) => {
      const [a, b] = this.#pair;
      return [...new Set([a, b])].map((p): Figure => ({
        x: comparison.t,
        y: comparison.difference[p][a][b],
        name: `on the way of ${plain(this.#names[p])}`,
        mode: "lines+markers",
        line: runLine(theme, p),
        hovertemplate: "%{y:.4f}",
      }));
    }, () => ({
      showlegend: true,
      xaxis: { title: { text: "t" }, range: [0, 1] },
      yaxis: { title: { text: "|v<sub>A</sub> \u2212 v<sub>B</sub>|, RMS" }, rangemode: "tozero" },
    }));
    const [, , H, W] = comparison.shape;
    reserve(this.#place, [H, W]);
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

  get #pair(): [number, number] {
    return [Number(this.#a.value), Number(this.#b.value)];
  }

  #draw(): void {
    const { t, shape: [, T, H, W] } = this.#data;
    const i = nearestSnapshot(t, this.clock.t);
    const [a, b] = this.#pair;
    const start = (Number(this.#sample.value) * T + i) * H * W;
    const part = (values: Float32Array) => values.subarray(start, start + H * W);
    const size = [H, W] as const;
    const grey = { palette: this.#magma, range: [0, 1] as const };
    const colours = { palette: this.#diverging, range: [this.#fastest, -this.#fastest] as const };
    drawImage(byId("compare-xa"), part(this.#points[a]), size, grey);
    drawImage(byId("compare-xb"), part(this.#points[b]), size, grey);
    drawImage(byId("compare-va"), part(this.#velocities[a][a]), size, colours);
    drawImage(byId("compare-vb"), part(this.#velocities[b][b]), size, colours);
    const difference = (k: number) => {
      const from = (Number(this.#sample.value) * T + k) * H * W;
      const vb = this.#velocities[a][b].subarray(from, from + H * W);
      return this.#velocities[a][a].subarray(from, from + H * W).map((value, j) => value - vb[j]);
    };
    // One scale for all times, so that they can be compared.
    const most = t.reduce((m, _, k) => difference(k).reduce((n, d) => Math.max(n, Math.abs(d)), m), 0) || 1;
    const now = difference(i);
    drawImage(byId("compare-d"), now, size, { palette: this.#diverging, range: [most, -most] });
    const rms = Math.sqrt(now.reduce((sum, d) => sum + d * d, 0) / now.length);
    byId("compare-d-scale").textContent = `\u2212${most.toFixed(2)} to +${most.toFixed(2)}`;
    byId("compare-text").textContent = `points at t = ${t[i].toFixed(2)}; ` +
      `root mean square of the difference in this picture ${rms.toFixed(3)}`;
  }

  #drawChart(): void {
    const key = `${this.#pair}`;
    if (this.#drawn === key) return this.#chart.moveTo(this.clock.t);
    this.#drawn = key;
    this.#chart.draw(this.clock.t);
  }
}
