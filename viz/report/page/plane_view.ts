/// <reference lib="dom" />
import { sizeWithChannels } from "../../image/image_shape.ts";
import type { PageRun } from "../page_data.ts";
import { quantiles } from "../series.ts";
import { Chart, type ChartContent, type ChartTrace, runLine, themeNow } from "./charts.ts";
import type { Clock } from "./clock.ts";
import { byId, chooseRun } from "./dom.ts";
import { drawImage, type PageColours } from "./image_panel.ts";
import { classesOf, type DrawnPlane, noClass, rangesOf, signsOf } from "./plane.ts";
import { SampleLayer } from "./sample_layer.ts";
import type { Views } from "./views.ts";

/** Maximum number of classes for a legend above the chart; a longer legend goes beside it. */
const maxAbove = 12;

/** Shows many samples in the plane of two principal components. */
export class PlaneView {
  readonly #runs: readonly {
    /** Index among all runs. */
    readonly run: number;
    readonly name: string;
    readonly classNames: readonly string[];
    readonly plane: DrawnPlane;
  }[];
  readonly #choice = byId<HTMLSelectElement>("plane-run");
  readonly #place = byId("plane-chart");
  readonly #chart: Chart;
  readonly #layer: SampleLayer;
  #signs: ReadonlyMap<number, string> = new Map();
  /** The page's colours and the hidden classes when the chart was last drawn. */
  #theme = themeNow();
  #hidden: ReadonlySet<number> = new Set();
  #drawnRun = -1;
  #sample = 0;

  constructor(
    runs: readonly PageRun[],
    readonly colours: PageColours,
    readonly clock: Clock,
    readonly views: Views,
  ) {
    this.#runs = runs.flatMap(({ name, classNames = [], plane }, run) => {
      if (!plane) return [];
      const { shape: [, N], classes = Array<number>(N).fill(noClass) } = plane;
      return [{ run, name, classNames, plane: { ...plane, classes } }];
    });
    this.#chart = new Chart(this.#place, () => this.#axes());
    this.#layer = new SampleLayer(this.#chart, (n) => {
      this.#showSample(n);
      views.changed(this.#place);
    });
    chooseRun(this.#choice, this.#runs.map(({ name }) => name), 0, () => views.changed(this.#place));
    views.add(this.#place, () => this.#draw());
    this.#showQuantiles("speed", "speed, RMS per pixel");
    this.#showQuantiles("straightness", "alignment");
  }

  get #run() {
    return this.#runs[Number(this.#choice.value)];
  }

  #draw(): void {
    const first = this.#drawnRun < 0;
    if (this.#drawnRun !== Number(this.#choice.value)) {
      this.#drawnRun = Number(this.#choice.value);
      const { plane: { classes, real }, classNames } = this.#run;
      this.#signs = signsOf(classesOf([classes, real.classes ?? []]), classNames);
      this.#showSample(0); // this run may have fewer samples
      this.#place.classList.toggle("beside", classesOf([classes]).length > maxAbove);
      if (first) this.#chart.onDrawn(() => this.#drawSamples(true));
      this.#chart.draw();
      for (const words of document.querySelectorAll<HTMLElement>("[data-plane]")) {
        words.hidden = words.dataset.plane !== this.#choice.value;
      }
    } else this.#drawSamples();
  }

  /** @param anew whether the chart was redrawn */
  #drawSamples(anew = false): void {
    const { plane } = this.#run;
    const [signs, chosen, { t }] = [this.#signs, this.#sample, this.clock];
    if (anew) {
      const { hidden } = this.#chart.frame;
      this.#theme = themeNow();
      this.#hidden = new Set([...signs.keys()].filter((c) => hidden.has(this.#entryOf(c))));
    }
    const shown = { plane, t, signs, chosen, hidden: this.#hidden };
    if (anew) this.#layer.drawTrails(shown, this.#theme);
    this.#layer.draw(shown, this.#theme);
  }

  /** The axes and legend; the layer draws everything else. */
  #axes(): ChartContent {
    const { plane } = this.#run;
    const [xRange, yRange] = rangesOf(plane);
    const traces = classesOf([plane.classes]).filter((c) => c !== noClass).map((c): ChartTrace => ({
      x: [],
      y: [],
      mode: "markers",
      color: `var(--class-${c % 10})`,
      group: this.#entryOf(c),
    }));
    const titles = { xTitle: "first component", yTitle: "second component" };
    return { plots: [{ traces, layout: { ...titles, xRange, yRange, equalAxes: true } }], legend: true };
  }

  /** The legend entry of a class. */
  #entryOf(c: number): string {
    const [sign, name] = [this.#signs.get(c)!, this.#nameOf(c)];
    return sign === name ? name : `${sign}: ${name}`;
  }

  #nameOf(c: number): string {
    return this.#run.classNames[c] ?? `${c}`;
  }

  /** Shows the finished image of a sample. */
  #showSample(n: number): void {
    this.#sample = n;
    const { plane: { image, shape: [, , ...axes], classes, conditioning } } = this.#run;
    const size = sizeWithChannels(axes);
    const [C, H, W] = size;
    const start = n * C * H * W;
    drawImage(byId("plane-image"), image.subarray(start, start + C * H * W), size, this.colours.image);
    byId("plane-text").textContent = `sample ${n + 1}` +
      (conditioning ? `, requested ${this.#nameOf(conditioning.labels[n])}` : "") +
      (classes[n] === noClass ? "" : `, classified as ${this.#nameOf(classes[n])}`);
  }

  /** Shows the median of a quantity over t, with a band from the 10 % to the 90 % quantile, for each run. */
  #showQuantiles(quantity: "speed" | "straightness", yTitle: string): void {
    const place = byId(`${quantity}-chart`);
    const traces = this.#runs.map(({ run, name, plane: { t, [quantity]: values, shape: [, N] } }) => {
      const { median, ...interval } = quantiles(values, N);
      return { x: t.slice(0, -1), y: median, interval, name, ...runLine(run) };
    });
    const layout = { xTitle: "t", yTitle, xRange: [0, 1] } as const;
    const chart = new Chart(place, () => ({ plots: [{ traces, layout }] }));
    this.views.add(place, () => chart.moveTo(this.clock.t));
  }
}
