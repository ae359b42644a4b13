/// <reference lib="dom" />
import {
  chartTemplate,
  plainText,
  type PlotlyFigure,
  type PlotlyLayout,
  type PlotlyTrace,
} from "../../figure/figure.ts";
import { byId, element, pageColors } from "./dom.ts";
import { inflated } from "./inflate.ts";

/** The part of Plotly in use. */
export interface Plotly {
  react(
    place: HTMLElement,
    data: readonly PlotlyTrace[],
    layout: PlotlyLayout,
    config: object,
  ): Promise<unknown>;
  animate(place: HTMLElement, frame: object, how: object): Promise<unknown>;
  addFrames(place: HTMLElement, frames: PlotlyFigure["frames"]): Promise<unknown>;
  downloadImage(place: HTMLElement, how: object): Promise<string>;
  readonly Icons: Readonly<Record<string, object>>;
}

/** An element that holds a chart. */
export interface ChartElement extends HTMLElement {
  /** The traces as given, with `visible` as the reader chose. */
  readonly data?: readonly PlotlyTrace[];
  readonly _fullLayout?: { readonly xaxis: { readonly _offset: number; r2p(x: number): number } };
  on(
    event: string,
    listener: (event: { readonly points: readonly { readonly customdata?: unknown }[] }) => void,
  ): void;
}

let plotly: Plotly | undefined;
let loading: Promise<Plotly> | undefined;

/** Starts Plotly once, after the page has been painted. */
async function start(): Promise<Plotly> {
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const text = new TextDecoder().decode(await inflated(byId("plotly").textContent!));
  await new Promise((resolve) => setTimeout(resolve)); // a task of its own
  document.head.append(element("script", { text }));
  plotly = (globalThis as unknown as { Plotly: Plotly }).Plotly;
  return plotly;
}

let last: Promise<unknown> = Promise.resolve();
let waiting = 0;

/** Calls a function with Plotly after all others, in a task of its own. */
function inTurn(act: (plotly: Plotly) => unknown): void {
  const { dataset } = document.documentElement;
  dataset.drawing = `${++waiting}`; // for tests
  last = last.then(() => loading ??= start()).then(async (plotly) => {
    await new Promise((resolve) => setTimeout(resolve));
    await act(plotly);
  }).catch((error) => console.error(error)).then(() => dataset.drawing = `${--waiting}`);
}

/** The line that marks the time of the clock. */
const clockLine = { type: "line", xref: "x", yref: "paper", x0: 0, x1: 0, y0: 0, y1: 1 };

const charts = new Set<Chart>();

/** Draws all charts at once, at their current widths and in the current colours; after Plotly has started. */
export function drawChartsNow(): void {
  for (const chart of charts) if (plotly) chart.drawNow(plotly);
}

/** Width in pixels that a panel of a row needs; narrower pages put the panels below each other. */
const panelWidth = 260;

/** A chart by Plotly. */
export class Chart {
  #t: number | undefined;
  /** The line at t, which Plotly reads whenever it draws or saves the chart. */
  readonly #line = { ...clockLine };
  #isQueued = false;
  #isDue = true;
  #change: ((plotly: Plotly) => Promise<unknown>) | undefined;
  #size = "";
  #onFirst = () => {};
  /** Whether it should have been drawn while it was hidden. */
  #isHidden = false;

  /** @param content called for the figure whenever the chart is drawn */
  constructor(readonly element: HTMLElement, readonly content: () => PlotlyFigure) {
    new ResizeObserver(() => {
      if ((this.#isHidden || this.isDrawn) && this.#size !== this.#sizeNow) this.draw();
    }).observe(element);
    if (charts.size === 0) {
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
        for (const chart of charts) if (chart.#size !== "") chart.draw();
      });
    }
    charts.add(this);
  }

  /** Whether it has been drawn. */
  get isDrawn(): boolean {
    return this.#size !== "";
  }

  /** Draws it soon, with a line at t if t is set. */
  draw(t = this.#t): void {
    this.#t = t;
    this.#isDue = true;
    this.#queue();
  }

  /** Calls a function once, after the chart was drawn for the first time. */
  onFirstDrawn(act: () => void): void {
    this.#onFirst = act;
  }

  /** Draws the chart with a line at t if its content has another key than before; else only moves the line. */
  show(key: string, t: number): void {
    if (key === this.element.dataset.key) return this.moveTo(t);
    this.element.dataset.key = key;
    this.draw(t);
  }

  /** Moves the line to t; draws the chart if it was not drawn before. */
  moveTo(t: number): void {
    if (!this.isDrawn) return this.draw(t);
    if (t === this.#t) return;
    this.#t = t;
    // Plotly's own change of a shape draws the whole chart again.
    Object.assign(this.#line, { x0: t, x1: t });
    const { xaxis } = (this.element as ChartElement)._fullLayout!;
    const x = xaxis._offset + xaxis.r2p(t);
    const path = this.element.querySelector(".shapelayer path");
    path?.setAttribute("d", path.getAttribute("d")!.replaceAll(/([ML])[^,]+/g, `$1${x}`));
  }

  /** Changes it soon, unless it is drawn or changed again before. */
  change(change: (plotly: Plotly) => Promise<unknown>): void {
    this.#change = change;
    // At once, because charts that follow the clock have to keep up with it; the next change may interrupt this one.
    if (plotly && this.isDrawn && !this.#isQueued) change(plotly).catch(() => {});
    else this.#queue();
  }

  drawNow(plotly: Plotly): void {
    this.#isDue = true;
    this.#work(plotly);
  }

  #queue(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    inTurn((plotly) => {
      this.#isQueued = false;
      return this.#work(plotly);
    });
  }

  get #sizeNow(): string {
    return `${this.element.clientWidth} ${this.element.clientHeight}`;
  }

  #work(plotly: Plotly): unknown {
    const { element } = this;
    if (!element.isConnected) {
      charts.delete(this);
      return;
    }
    this.#isHidden = element.clientWidth === 0;
    if (this.#isHidden) return;
    if (!this.#isDue) return this.#change?.(plotly);
    this.#isDue = false;
    const isFirst = !this.isDrawn;
    const { data, layout, frames } = this.content();
    const drawn = plotly.react(element, this.#kept(data), this.#fitted(layout), configOf(plotly, element));
    this.#size = this.#sizeNow;
    if (frames?.length && isFirst) plotly.addFrames(element, frames);
    if (isFirst) {
      (element as ChartElement).on("plotly_afterplot", () => makeLegendReachable(element));
      this.#onFirst();
    }
    makeLegendReachable(element);
    element.dataset.drawn = "true"; // for tests
    return drawn;
  }

  /** Traces that are hidden if the reader hid them before, with names as plain text, in which Plotly would find markup. */
  #kept(data: readonly PlotlyTrace[]): PlotlyTrace[] {
    const entryOf = ({ legendgroup, name }: PlotlyTrace) => legendgroup ?? name;
    const old = (this.element as ChartElement).data ?? [];
    const hidden = old.filter(({ visible }) => visible === "legendonly").map(entryOf);
    return data.map(({ name, ...trace }) => {
      const named = name === undefined ? trace : { name: plainText(name), ...trace };
      return { ...hidden.includes(entryOf(named)) && { visible: "legendonly" }, ...named };
    });
  }

  /** A layout of the element's size, in the page's colours. */
  #fitted(layout: PlotlyLayout): PlotlyLayout {
    const { element } = this;
    const grid = layout.grid as { readonly rows: number; readonly columns: number } | undefined;
    const width = element.clientWidth;
    const isNarrow = grid !== undefined && grid.columns > 1 && width < panelWidth * grid.columns;
    if (grid && grid.columns > 1) {
      element.style.height = `${Number(layout.height ?? 400) * (isNarrow ? grid.columns : 1)}px`;
    }
    return {
      uirevision: "kept", // the zoom
      ...layout,
      ...isNarrow && { grid: { ...grid, rows: grid.columns, columns: grid.rows } },
      ...this.#t !== undefined && { shapes: [Object.assign(this.#line, { x0: this.#t, x1: this.#t })] },
      template: chartTemplate(pageColors("ink", "muted", "line", "paper")),
      width,
      height: element.clientHeight,
      // On touch screens, dragging scrolls the page; the buttons zoom.
      ...matchMedia("(pointer: coarse)").matches && { dragmode: false },
    };
  }
}

/** Plotly's configuration: which buttons a chart has. */
function configOf(plotly: Plotly, { id }: HTMLElement): object {
  const save = (format: "png" | "svg") => ({
    name: `Save as ${format.toUpperCase()}`,
    icon: plotly.Icons[format === "png" ? "camera" : "disk"],
    click: (place: HTMLElement) =>
      plotly.downloadImage(place, { format, filename: fileName(id), ...format === "png" && { scale: 2 } }),
  });
  return {
    displaylogo: false,
    showSendToCloud: false,
    displayModeBar: "hover",
    doubleClick: "reset",
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"], [save("png"), save("svg")]],
  };
}

/** The title of the page, and the chart: `residual-u-net-on-mnist-loss`. */
function fileName(id: string): string {
  const page = document.title.replace(/: .*/, "").toLowerCase();
  return `${page} ${id.replace(/-chart$/, "")}`.replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-|-$/g, "");
}

/** Lets keys reach the entries of a legend and hide their traces. */
function makeLegendReachable(place: HTMLElement): void {
  for (const entry of place.querySelectorAll<SVGElement>(".legend .traces")) {
    const toggle = entry.querySelector<SVGElement>(".legendtoggle");
    if (!toggle) continue;
    const name = entry.querySelector("text")?.textContent ?? "";
    const isShown = Number(getComputedStyle(entry).opacity) === 1;
    const attributes = { role: "button", tabindex: "0", "aria-label": name, "aria-pressed": `${isShown}` };
    for (const [key, value] of Object.entries(attributes)) toggle.setAttribute(key, value);
    toggle.onkeydown = (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      for (const type of ["mousedown", "mouseup"]) {
        toggle.dispatchEvent(new MouseEvent(type, { bubbles: true }));
      }
    };
  }
}
