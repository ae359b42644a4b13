/// <reference lib="dom" />
import type { ChartLines } from "../../flow/quiver.ts";
import { sizeWithChannels } from "../../image/image_shape.ts";
import type { PageRun } from "../page_data.ts";
import type { PlaneTrajectories } from "../report_data.ts";
import { type Quantiles, quantiles } from "../series.ts";
import { Chart, type PlotlyPart, runLine, type Theme } from "./charts.ts";
import type { Clock } from "./clock.ts";
import { byId, chooseRun, plotlyText } from "./dom.ts";
import { drawImage, type PageColours } from "./image_panel.ts";
import { classAt, type ClassedTrajectories, classesOf, classMark, noClass } from "./plane.ts";
import type { Views } from "./views.ts";

/** Most classes for a legend above the chart; a longer legend goes beside it. */
const mostAbove = 12;

/** Shows many samples in the plane of two principal components. */
export class PlaneView {
  readonly #runs: readonly {
    /** Index among all runs. */
    readonly run: number;
    readonly name: string;
    readonly classNames: readonly string[];
    readonly plane: PlaneTrajectories & ClassedTrajectories;
  }[];
  /** The classes of all runs, in ascending order; `noClass` if a run has none. */
  readonly #classes: readonly number[];
  readonly #choice = byId<HTMLSelectElement>("plane-run");
  readonly #place = byId("plane-chart");
  readonly #chart: Chart;
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
    this.#classes = classesOf(this.#runs.map(({ plane }) => plane.classes));
    this.#chart = new Chart(this.#place, (theme) => this.#traces(theme), () => this.#layout());
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
      this.#sample = 0; // this run may have fewer samples
      this.#chart.draw();
      for (const words of document.querySelectorAll<HTMLElement>("[data-plane]")) {
        words.hidden = words.dataset.plane !== this.#choice.value;
      }
      if (first) {
        this.#chart.onPoint(({ customdata }) => {
          this.#showSample(Number(customdata));
          this.views.changed(this.#place);
        });
      }
      this.#showSample(0);
    }
    const at = this.#at();
    const shapes = [...at.flatMap(({ points, arrows }) => [arrows, points]), this.#chosen(at)];
    const traces = [...at.flatMap((_, i) => [2 + 3 * i, 3 + 3 * i]), 1 + 3 * at.length];
    this.#chart.restyle({ x: shapes.map(({ x }) => x), y: shapes.map(({ y }) => y) }, traces);
  }

  #at(): readonly ReturnType<typeof classAt>[] {
    return this.#classes.map((c) => classAt(this.#run.plane, c, this.clock.t));
  }

  /** The point of the sample whose image is shown. */
  #chosen(at: readonly ReturnType<typeof classAt>[]): ChartLines {
    const { points } = at[this.#classes.indexOf(this.#run.plane.classes[this.#sample])];
    const i = points.customdata.indexOf(this.#sample);
    return i < 0 ? { x: [], y: [] } : { x: [points.x[i]], y: [points.y[i]] };
  }

  /** Traces of real images, of trajectories, arrows and points by class, and of a ring around the chosen sample. */
  #traces(theme: Theme): PlotlyPart[] {
    const { plane: { real, classes } } = this.#run;
    const marks = real.classes && Array.from(real.classes, (c) => classMark(theme, c));
    const at = this.#at();
    const realTrace = {
      x: real.position.filter((_, i) => i % 2 === 0),
      y: real.position.filter((_, i) => i % 2 === 1),
      mode: "markers",
      marker: {
        size: 5,
        opacity: 0.22,
        color: marks ? marks.map(({ color }) => color) : theme.muted,
        symbol: marks ? marks.map(({ symbol }) => symbol) : "circle",
      },
      hoverinfo: "skip",
      name: "real images",
      showlegend: false,
    };
    const ring = {
      ...this.#chosen(at),
      mode: "markers",
      marker: { symbol: "circle-open", size: 15, color: theme.ink, line: { width: 2 } },
      hoverinfo: "skip",
      showlegend: false,
    };
    return [
      realTrace,
      ...this.#classes.flatMap((c, i) => {
        const { points, arrows, trails } = at[i];
        const { color, symbol } = classMark(theme, c);
        const name = c === noClass ? "samples" : plotlyText(this.#nameOf(c));
        const common = { legendgroup: `${c}`, name, hoverinfo: "skip", showlegend: false };
        return [
          { ...common, ...trails, mode: "lines", line: { color, width: 0.7 }, opacity: 0.3 },
          { ...common, ...arrows, mode: "lines", line: { color, width: 1.2 } },
          {
            ...common,
            ...points,
            mode: "markers",
            marker: { color, symbol, size: 7, line: { color: theme.paper, width: 1 } },
            showlegend: c !== noClass && Array.from(classes).includes(c),
            hoverinfo: "none",
          },
        ];
      }),
      ring,
    ];
  }

  #layout(): PlotlyPart {
    const axis = { zeroline: false, showgrid: true };
    return {
      showlegend: true,
      ...this.#classes.length > mostAbove && {
        legend: { orientation: "v", x: 1.01, y: 1, yanchor: "top" }, // scrolls
      },
      hovermode: "closest",
      uirevision: this.#choice.value, // other classes
      xaxis: { ...axis, title: { text: "first component" } },
      yaxis: { ...axis, title: { text: "second component" }, scaleanchor: "x" },
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
