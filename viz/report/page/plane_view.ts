/// <reference lib="dom" />
import { sizeWithChannels } from "../../image/image_shape.ts";
import type { PageRun } from "../page_data.ts";
import { Chart, type ChartElement, type Plotly } from "./charts.ts";
import type { Clock } from "./clock.ts";
import { byId, chooseRun, element } from "./dom.ts";
import { drawImage, type PageColours } from "./image_panel.ts";
import {
  classesOf,
  colouredPlane,
  type DrawnPlane,
  movingTraces,
  planeFigure,
  sampleText,
  type ShownPlane,
} from "./plane.ts";
import type { Views } from "./views.ts";

/** Shows many samples in the plane of two principal components, and their velocity field. */
export class PlaneView {
  readonly #runs: readonly {
    readonly name: string;
    readonly classNames: readonly string[];
    readonly plane: DrawnPlane;
    readonly classes: readonly number[];
  }[];
  readonly #choice = byId<HTMLSelectElement>("plane-run");
  readonly #field = byId<HTMLSelectElement>("plane-field");
  readonly #place = byId<ChartElement>("plane-chart");
  readonly #chart = new Chart(this.#place, () => planeFigure(this.#shown));
  readonly #nameOf = (c: number) => this.#run.classNames[c] ?? `${c}`;
  #hidden: ReadonlySet<number> = new Set();
  #drawnRun = "";
  #sample = 0;

  constructor(
    runs: readonly PageRun[],
    readonly colours: PageColours,
    readonly clock: Clock,
    readonly views: Views,
  ) {
    this.#runs = runs.flatMap(({ name, classNames = [], plane }) => {
      if (!plane) return [];
      const drawn = colouredPlane(plane);
      return [{ name, classNames, plane: drawn, classes: classesOf(drawn) }];
    });
    chooseRun(this.#choice, this.#runs.map(({ name }) => name), 0, () => views.changed(this.#place));
    this.#field.addEventListener("change", () => this.#chart.draw());
    views.add(this.#place, () => this.#draw());
  }

  get #run() {
    return this.#runs[Number(this.#choice.value)];
  }

  get #shown(): ShownPlane {
    const { value } = this.#field;
    return {
      plane: this.#run.plane,
      classes: this.#run.classes,
      t: this.clock.t,
      hidden: this.#hidden,
      chosen: this.#sample,
      field: value === "all" || value === "none" ? value : Number(value),
      nameOf: this.#nameOf,
    };
  }

  #draw(): void {
    if (this.#drawnRun === this.#choice.value) return this.#move();
    if (this.#drawnRun === "") this.#chart.onFirstDrawn(() => this.#listen());
    this.#drawnRun = this.#choice.value;
    const ofSamples = new Set(Array.from(this.#run.plane.classes));
    const classes = this.#run.classes.filter((c) => ofSamples.has(c)).map((c) => [`${c}`, this.#nameOf(c)]);
    const options = [["all", "all samples"], ...classes, ["none", "hidden"]];
    this.#field.replaceChildren(...options.map(([value, text]) => element("option", { value, text })));
    this.#hidden = new Set();
    this.#showSample(0); // this run may have fewer samples
    this.#chart.draw();
    for (const words of document.querySelectorAll<HTMLElement>("[data-plane]")) {
      words.hidden = words.dataset.plane !== this.#choice.value;
    }
  }

  /** Moves samples, arrows and field to the time of the clock. */
  #move(): void {
    this.#chart.change((plotly: Plotly) => {
      const data = movingTraces(this.#shown);
      const first = this.#place.data!.length - data.length;
      return plotly.animate(this.#place, { data, traces: data.map((_, i) => first + i) }, {
        mode: "immediate",
        transition: { duration: 0 },
        frame: { duration: 0, redraw: false },
      });
    });
  }

  #listen(): void {
    for (const event of ["plotly_hover", "plotly_click"]) {
      this.#place.on(event, ({ points: [{ customdata: n }] }) => {
        if (typeof n !== "number" || n === this.#sample) return;
        this.#showSample(n);
        this.#move();
      });
    }
    this.#place.on("plotly_restyle", () => {
      const hidden = this.#place.data!.filter(({ visible }) => visible === "legendonly");
      this.#hidden = new Set(hidden.map(({ legendgroup }) => Number(legendgroup)));
      this.#chart.draw();
    });
  }

  /** Shows the finished image of a sample. */
  #showSample(n: number): void {
    this.#sample = n;
    const { plane } = this.#run;
    const { image, shape: [, , ...axes] } = plane;
    const size = sizeWithChannels(axes);
    const [C, H, W] = size;
    const start = n * C * H * W;
    drawImage(byId("plane-image"), image.subarray(start, start + C * H * W), size, this.colours.image);
    byId("plane-text").textContent = sampleText(plane, n, this.#nameOf);
  }
}
