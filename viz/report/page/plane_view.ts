/// <reference lib="dom" />
import { sizeWithChannels } from "../../image/image_shape.ts";
import type { PageRun } from "../page_data.ts";
import { type Quantiles, quantiles } from "../series.ts";
import { Chart, type PlotlyPart, runLine, type Theme } from "./charts.ts";
import type { Clock } from "./clock.ts";
import { byId, chooseRun, plotlyText } from "./dom.ts";
import { drawImage, type PageColours } from "./image_panel.ts";
import { classColour, classesOf, type DrawnPlane, noClass, rangesOf, signsOf } from "./plane.ts";
import { SampleLayer } from "./sample_layer.ts";
import type { Views } from "./views.ts";

/** Most classes for a legend above the chart; a longer legend goes beside it. */
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
  #theme: Theme | undefined;
  #signs: ReadonlyMap<number, string> = new Map();
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
    this.#chart = new Chart(this.#place, (theme) => this.#traces(this.#theme = theme), () => this.#layout());
    this.#layer = new SampleLayer(this.#chart, (n) => {
      this.#showSample(n);
      views.changed(this.#place);
    });
    chooseRun(this.#choice, this.#runs.map(({ name }) => name), 0, () => views.changed(this.#place));
    views.add(this.#place, () => this.#draw());
    this.#showQuantiles("speed", "speed, RMS a pixel");
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
      this.#chart.draw();
      for (const words of document.querySelectorAll<HTMLElement>("[data-plane]")) {
        words.hidden = words.dataset.plane !== this.#choice.value;
      }
      if (first) this.#chart.onDrawn(() => this.#drawSamples(true));
      this.#drawSamples(true);
    } else this.#drawSamples();
  }

  /** @param anew whether the chart was drawn anew */
  #drawSamples(anew = false): void {
    const { plane } = this.#run;
    const [signs, chosen, { t }] = [this.#signs, this.#sample, this.clock];
    const shown = { plane, t, signs, chosen };
    if (anew) this.#layer.drawTrails(shown, this.#theme!);
    this.#layer.draw(shown, this.#theme!);
  }

  /** The legend: Plotly draws it and the axes, the layer everything else. */
  #traces(theme: Theme): PlotlyPart[] {
    return classesOf([this.#run.plane.classes]).map((c) => {
      const [sign, name] = [this.#signs.get(c)!, this.#nameOf(c)];
      return {
        ...{ x: [null], y: [null], legendgroup: `${c}`, mode: "markers" },
        marker: { color: classColour(theme, c), size: 8 },
        name: plotlyText(sign === name ? name : `${sign}: ${name}`),
        showlegend: c !== noClass,
      };
    });
  }

  #layout(): PlotlyPart {
    const { plane } = this.#run;
    const [x, y] = rangesOf(plane);
    const axis = { zeroline: false, showgrid: true };
    return {
      showlegend: true,
      ...classesOf([plane.classes]).length > maxAbove && {
        legend: { orientation: "v", x: 1.01, y: 1, yanchor: "top" }, // scrolls
      },
      hovermode: false,
      uirevision: this.#choice.value, // other classes
      xaxis: { ...axis, range: x, title: { text: "first component" } },
      yaxis: { ...axis, range: y, title: { text: "second component" }, scaleanchor: "x" },
    };
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
      (conditioning ? `, asked for ${this.#nameOf(conditioning.labels[n])}` : "") +
      (classes[n] === noClass ? "" : `, seen as ${this.#nameOf(classes[n])}`);
  }

  /** Shows the median of a quantity over t with a band from the 10 % to the 90 % quantile, for each run. */
  #showQuantiles(quantity: "speed" | "straightness", title: string): void {
    const place = byId(`${quantity}-chart`);
    const chart = new Chart(
      place,
      (theme) =>
        this.#runs.flatMap(({ run, name, plane: { t, [quantity]: values, shape: [, N] } }) =>
          band(plotlyText(name), Array.from(t.slice(0, -1)), quantiles(values, N), runLine(theme, run))
        ),
      () => ({ xaxis: { title: { text: "t" }, range: [0, 1] }, yaxis: { title: { text: title } } }),
    );
    this.views.add(place, () => chart.moveTo(this.clock.t));
  }
}

function band(
  name: string,
  t: readonly number[],
  { low, median, high }: Quantiles,
  line: { color: string },
): PlotlyPart[] {
  const edge = { x: t, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  return [
    { ...edge, y: low },
    { ...edge, y: high, fill: "tonexty", fillcolor: `${line.color}28` },
    { x: t, y: median, name, mode: "lines", line, hovertemplate: "%{y:.3f}" },
  ];
}
