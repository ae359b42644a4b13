/// <reference lib="dom" />
import { element } from "./dom.ts";

/** A trace or a layout as Plotly takes it. */
export type PlotlyPart = Record<string, unknown>;

/** The part of Plotly in use. */
declare const Plotly: {
  react(
    element: HTMLElement,
    traces: readonly PlotlyPart[],
    layout: PlotlyPart,
    config: PlotlyPart,
  ): Promise<unknown>;
};

/** An axis of a drawn chart, in CSS pixels from the left or upper edge of its element. */
export interface PlotAxis {
  readonly _offset: number;
  readonly _length: number;
  /** The place of a value, from `_offset`. */
  l2p(value: number): number;
}

interface PlotElement extends HTMLElement {
  readonly _fullLayout: {
    readonly xaxis: PlotAxis;
    readonly yaxis: PlotAxis;
    /** The area of all plots in the chart. */
    readonly _size: { readonly t: number; readonly h: number };
  };
  readonly _fullData: readonly { readonly visible: boolean | string; readonly legendgroup: string }[];
  on(event: "plotly_afterplot", handler: () => void): void;
}

/** The current colours of the page, light or dark. */
export interface Theme {
  readonly ink: string;
  readonly muted: string;
  readonly line: string;
  readonly paper: string;
  /** Colours of runs, in order. */
  readonly runs: readonly string[];
  /** Ten colours of classes. */
  readonly classes: readonly string[];
  /** Colours of the red, green and blue channel. */
  readonly channels: readonly string[];
}

function themeNow(): Theme {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: colour("ink"),
    muted: colour("muted"),
    line: colour("line"),
    paper: colour("paper"),
    runs: Array.from({ length: 6 }, (_, i) => colour(`run-${i}`)),
    classes: Array.from({ length: 10 }, (_, i) => colour(`class-${i}`)),
    channels: Array.from({ length: 3 }, (_, i) => colour(`channel-${i}`)),
  };
}

/** The line style of a run: after six runs colours repeat with other dashes. */
export function runLine(theme: Theme, run: number): { color: string; dash: string; width: number } {
  const dash = ["solid", "dash", "dot"][Math.floor(run / theme.runs.length) % 3];
  return { color: theme.runs[run % theme.runs.length], dash, width: 2 };
}

const all: Chart[] = [];

/** Redraws all charts in the current colours and widths. */
export function refreshCharts(): void {
  for (const chart of all) chart.refresh();
}

/** A Plotly chart in the page's colours, with an optional line at t. */
export class Chart {
  #drawn = false;
  #t: number | undefined;
  /** The line at t: an element of its own, as Plotly takes 20 ms to move one. */
  #line: HTMLElement | undefined;

  /**
   * @param traces makes the traces whenever colours or data change
   * @param layout makes what differs from the common layout
   */
  constructor(
    readonly element: HTMLElement,
    readonly traces: (theme: Theme) => readonly PlotlyPart[],
    readonly layout: () => PlotlyPart,
  ) {
    if (all.push(this) > 1) return;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", refreshCharts);
  }

  /** Draws the chart, with a line at t if given. */
  draw(t?: number): void {
    this.#t = t;
    const theme = themeNow();
    const layout = {
      template: { layout: commonLayout(theme) },
      width: this.element.clientWidth, // at once: Plotly's own resizing comes too late for printing
      uirevision: "same", // keeps what the reader hid
      ...this.layout(),
    };
    const config = { displayModeBar: false, responsive: true };
    Plotly.react(this.element, this.traces(theme), layout, config);
    if (!this.#drawn && t !== undefined) {
      this.#line = element("div", { class: "at-t" });
      this.element.append(this.#line);
      this.onDrawn(() => this.#placeLine());
    }
    this.#drawn = true;
    this.#placeLine();
  }

  #placeLine(): void {
    if (!this.#line || this.#t === undefined) return;
    const { xaxis: { _offset, l2p }, _size: { t: top, h } } = (this.element as PlotElement)._fullLayout;
    const left = _offset + l2p(this.#t);
    Object.assign(this.#line.style, { transform: `translate(${left}px, ${top}px)`, height: `${h}px` });
  }

  /** Redraws the chart with current colours and data, if it was drawn before. */
  refresh(): void {
    if (this.#drawn) this.draw(this.#t);
  }

  /** Moves the line to t; draws the chart if it was not drawn before. */
  moveTo(t: number): void {
    if (!this.#drawn) return this.draw(t);
    if (t === this.#t) return;
    this.#t = t;
    this.#placeLine();
  }

  /** Calls back whenever the chart was drawn anew, also in another size; call it after the chart is drawn. */
  onDrawn(handler: () => void): void {
    (this.element as PlotElement).on("plotly_afterplot", handler);
  }

  /** The axes, and the legend groups that the reader hid. */
  get frame(): { readonly x: PlotAxis; readonly y: PlotAxis; readonly hidden: ReadonlySet<string> } {
    const { _fullLayout: { xaxis: x, yaxis: y }, _fullData: traces } = this.element as PlotElement;
    const hidden = traces.filter(({ visible }) => visible === "legendonly");
    return { x, y, hidden: new Set(hidden.map(({ legendgroup }) => legendgroup)) };
  }
}

/** What all charts share unless their own layout differs. */
function commonLayout({ ink, muted, line }: Theme): PlotlyPart {
  const axis = {
    gridcolor: line,
    zerolinecolor: line,
    linecolor: line,
    tickcolor: line,
    showline: true,
    ticks: "outside",
    automargin: true,
    exponentformat: "none", // without SI prefixes
    separatethousands: true,
  };
  return {
    font: { family: "system-ui, sans-serif", size: 12, color: muted },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 48, r: 12, t: 8, b: 40 },
    hovermode: "x unified",
    hoverlabel: { font: { family: "system-ui, sans-serif" }, namelength: -1 }, // names in full
    showlegend: false,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: ink } },
    dragmode: false,
    xaxis: { ...axis, showgrid: false },
    yaxis: axis,
  };
}
