/// <reference lib="dom" />
import type { PathsPayload, Quantiles, RunPayload } from "../payload.ts";
import { Chart, type Figure, runLine, type Theme } from "./charts.ts";
import type { Clock } from "./clock.ts";
import { bytesOf, decode } from "./decode.ts";
import { byId, chooseRun } from "./dom.ts";
import { drawImage } from "./image_panel.ts";
import { pathsAt, type PlanePaths, type Shape } from "./plane.ts";
import { plain } from "./training_charts.ts";
import type { Views } from "./views.ts";

const classes = Array.from({ length: 10 }, (_, c) => c);

/** Many samples at once in the plane of two principal components. */
export class PathsView {
  readonly #runs: readonly {
    readonly name: string;
    readonly paths: PathsPayload;
    readonly plane: PlanePaths;
  }[];
  readonly #choice = byId<HTMLSelectElement>("paths-run");
  readonly #place = byId("paths-chart");
  readonly #chart: Chart;
  readonly #magma: Uint8Array;
  #drawnRun = -1;
  #sample = 0;

  constructor(
    runs: readonly RunPayload[],
    palettes: { readonly magma: string },
    readonly clock: Clock,
    readonly views: Views,
  ) {
    this.#magma = bytesOf(palettes.magma);
    this.#runs = runs.flatMap(({ name, paths }) => {
      if (!paths) return [];
      return [{
        name,
        paths,
        plane: { ...paths, position: decode(paths.position), velocity: decode(paths.velocity) },
      }];
    });
    this.#chart = new Chart(this.#place, (theme) => this.#traces(theme), () => this.#layout());
    chooseRun(this.#choice, this.#runs.map(({ name }) => name), 0, () => views.changed(this.#place));
    views.add(this.#place, () => this.#draw());
    this.#showCourse("speed", "speed, RMS a pixel");
    this.#showCourse("straightness", "cosine to the straight way");
  }

  get #run() {
    return this.#runs[Number(this.#choice.value)];
  }

  #draw(): void {
    const first = this.#drawnRun < 0;
    if (this.#drawnRun !== Number(this.#choice.value)) {
      this.#drawnRun = Number(this.#choice.value);
      this.#chart.draw();
      if (first) {
        this.#chart.onPoint(({ customdata }) => {
          this.#showSample(Number(customdata));
          this.views.changed(this.#place);
        });
      }
      this.#showSample(0);
    }
    const at = classes.map((c) => pathsAt(this.#run.plane, c, this.clock.t));
    const shapes = [...at.flatMap(({ points, arrows }) => [arrows, points]), this.#chosen(at)];
    const traces = [...classes.flatMap((c) => [2 + 3 * c, 3 + 3 * c]), 1 + 3 * classes.length];
    this.#chart.restyle({ x: shapes.map(({ x }) => x), y: shapes.map(({ y }) => y) }, traces);
  }

  /** The place of the sample whose image is shown. */
  #chosen(at: readonly ReturnType<typeof pathsAt>[]): Shape {
    const { points } = at[this.#run.paths.classes[this.#sample]] ?? at[0];
    const i = points.customdata.indexOf(this.#sample);
    return i < 0 ? { x: [], y: [] } : { x: [points.x[i]], y: [points.y[i]] };
  }

  /** The real images, for each class its trails, its arrows and its points, and a ring around the chosen sample. */
  #traces(theme: Theme): Figure[] {
    const { paths: { real }, plane } = this.#run;
    const place = decode(real.position);
    const realTrace = {
      x: real.classes.map((_, n) => place[2 * n]),
      y: real.classes.map((_, n) => place[2 * n + 1]),
      mode: "markers",
      marker: { size: 5, opacity: 0.22, color: real.classes.map((c) => theme.classes[c % 10]) },
      hoverinfo: "skip",
      name: "real images",
      showlegend: false,
    };
    const ring = {
      ...this.#chosen(classes.map((c) => pathsAt(plane, c, this.clock.t))),
      mode: "markers",
      marker: { symbol: "circle-open", size: 15, color: theme.ink, line: { width: 2 } },
      hoverinfo: "skip",
      showlegend: false,
    };
    return [
      realTrace,
      ...classes.flatMap((c) => {
        const { points, arrows, trails } = pathsAt(plane, c, this.clock.t);
        const color = theme.classes[c];
        const common = { legendgroup: `${c}`, name: `${c}`, hoverinfo: "skip", showlegend: false };
        return [
          { ...common, ...trails, mode: "lines", line: { color, width: 0.7 }, opacity: 0.3 },
          { ...common, ...arrows, mode: "lines", line: { color, width: 1.2 } },
          {
            ...common,
            ...points,
            mode: "markers",
            marker: { color, size: 7, line: { color: theme.paper, width: 1 } },
            showlegend: plane.classes.includes(c),
            hoverinfo: "none",
          },
        ];
      }),
      ring,
    ];
  }

  #layout(): Figure {
    const axis = { zeroline: false, showgrid: true };
    return {
      showlegend: true,
      hovermode: "closest",
      uirevision: this.#choice.value, // keeps what the reader hid
      xaxis: { ...axis, title: { text: "first component" } },
      yaxis: { ...axis, title: { text: "second component" }, scaleanchor: "x" },
    };
  }

  /** Shows where a sample of the plane ends. */
  #showSample(n: number): void {
    this.#sample = n;
    const { paths: { image, shape: [, , H, W], classes: found } } = this.#run;
    const start = n * H * W;
    drawImage(byId("paths-image"), decode(image).subarray(start, start + H * W), [H, W], {
      palette: this.#magma,
      range: [0, 1],
    });
    byId("paths-text").textContent = `sample ${n + 1}, looks like a ${found[n]}`;
  }

  /** Median and the middle eight tenths of a quantity over t, for each run. */
  #showCourse(quantity: "speed" | "straightness", title: string): void {
    const place = byId(`${quantity}-chart`);
    const chart = new Chart(
      place,
      (theme) =>
        this.#runs.flatMap(({ name, paths: { t, [quantity]: course } }, i) => {
          return band(plain(name), t.slice(0, -1), course, runLine(theme, i));
        }),
      () => ({
        xaxis: { title: { text: "t" }, range: [0, 1] },
        yaxis: { title: { text: title } },
      }),
    );
    this.views.add(place, () => chart.moveTo(this.clock.t));
  }
}

function band(
  name: string,
  t: readonly number[],
  { low, median, high }: Quantiles,
  line: { color: string },
): Figure[] {
  const edge = { x: t, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  return [
    { ...edge, y: low },
    { ...edge, y: high, fill: "tonexty", fillcolor: `${line.color}28` },
    { x: t, y: median, name, mode: "lines", line, hovertemplate: "%{y:.3f}" },
  ];
}
