/// <reference lib="dom" />
import type { FigureLayout } from "../../figure/figure_parts.ts";
import { axisRanges, type DrawnTrace, drawPanel, type Panel } from "../../figure/figure_svg.ts";
import { markSvg } from "../../figure/point_mark.ts";
import { element } from "./dom.ts";

/** A trace of a chart. The pointer ignores traces without a name. */
export interface ChartTrace extends DrawnTrace {
  /** The entry of the legend that hides it; default its name. */
  readonly group?: string;
  /** Text that the pointer shows instead of the value, per point. */
  readonly words?: readonly string[];
}

/** Traces between axes. */
export interface Plot {
  readonly traces: readonly ChartTrace[];
  readonly layout: FigureLayout;
  /** Whether the vertical axis starts at 0. */
  readonly fromZero?: boolean;
}

/** The content of a chart: plots stacked vertically. */
export interface ChartContent {
  readonly plots: readonly Plot[];
  /** Whether there is a legend, whose entries hide traces. */
  readonly legend?: boolean;
  /** Whether the pointer shows only the nearest point, instead of all points near its x. */
  readonly nearest?: boolean;
}

/** The colours of a page, for canvases. */
export interface Theme {
  readonly ink: string;
  readonly muted: string;
  readonly paper: string;
  /** Ten colours of classes. */
  readonly classes: readonly string[];
}

/** The current colours, light or dark. */
export function themeNow(): Theme {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const [ink, muted, paper] = ["ink", "muted", "paper"].map(colour);
  return { ink, muted, paper, classes: Array.from({ length: 10 }, (_, i) => colour(`class-${i}`)) };
}

const runColours = 6;

/** The line style of a run: after six runs, colours repeat with other dashes. */
export function runLine(
  run: number,
): { readonly color: string; readonly dash: string | undefined; readonly size: number } {
  const dash = [undefined, "8 4", "2 3"][Math.floor(run / runColours) % 3];
  return { color: `var(--run-${run % runColours})`, dash, size: 2 };
}

const all: Chart[] = [];

/** Redraws all charts at their current widths and in the current colours. */
export function refreshCharts(): void {
  for (const chart of all) chart.refresh();
}

/** Points within this many pixels along x are shown together. */
const together = 8;

/** A chart in the page's colours, with an optional line at t. */
export class Chart {
  readonly #legend = element("div", { class: "legend" });
  readonly #place = element("div", { class: "plot" });
  readonly #line = element("div", { class: "at-t", hidden: "" });
  readonly #tip = element("div", { class: "tip", hidden: "" });
  readonly #hidden = new Set<string>();
  readonly #listeners: (() => void)[] = [];
  #panels: readonly (Panel & Plot & { readonly top: number })[] = [];
  #width = 0;
  /** Whether it was drawn while hidden and must be drawn again. */
  #isDue = false;
  #t: number | undefined;
  /** Whether the pointer shows only the nearest point. */
  #nearest = false;

  /** @param content called for the content whenever the chart is drawn */
  constructor(readonly element: HTMLElement, readonly content: () => ChartContent) {
    this.#place.addEventListener("pointermove", (event) => this.#point(event));
    this.#place.addEventListener("pointerleave", () => this.#tip.hidden = true);
    new ResizeObserver(() => {
      if (this.#isDue || element.clientWidth !== this.#width) this.refresh();
    }).observe(element);
    Object.assign(element, { chart: this }); // for tests
    if (all.push(this) > 1) return;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refreshCharts);
  }

  /** Draws the chart, with a line at t if t is set. */
  draw(t = this.#t): void {
    const { plots, legend = false, nearest = false } = this.content();
    this.#t = t;
    this.#nearest = nearest;
    this.#isDue = this.element.clientWidth === 0;
    if (this.#isDue) return;
    if (this.#panels.length === 0) this.element.append(this.#legend, this.#place);
    this.#width = this.element.clientWidth;
    this.#legend.replaceChildren(...legend ? this.#entries(plots) : []);
    const [width, height] = [this.#place.clientWidth, this.#place.clientHeight / plots.length];
    this.#panels = plots.map((plot, i) => {
      const traces = plot.traces.filter((trace) => !this.#hidden.has(groupOf(trace)));
      const { x, y } = axisRanges({ traces, layout: plot.layout }, [0, 1]);
      const ranges = { x, y: plot.fromZero ? [0, y[1]] as const : y };
      return { ...plot, traces, ...drawPanel(traces, plot.layout, [width, height], ranges), top: i * height };
    });
    const drawn = this.#panels.map(({ svg, top }) => `<g transform="translate(0 ${top})">${svg}</g>`);
    this.#place.innerHTML = `<svg width="${width}" height="${height * plots.length}" aria-hidden="true">${
      drawn.join("")
    }</svg>`;
    this.#place.append(this.#line, this.#tip);
    this.#placeLine();
    for (const listener of this.#listeners) listener();
  }

  /** Redraws the chart if it was drawn before. */
  refresh(): void {
    if (this.#isDue || this.#panels.length > 0) this.draw();
  }

  /** Moves the line to t; draws the chart if it was not drawn before. */
  moveTo(t: number | undefined): void {
    if (this.#panels.length === 0) return this.draw(t);
    this.#t = t;
    this.#placeLine();
  }

  #placeLine(): void {
    this.#line.hidden = this.#t === undefined;
    if (this.#t === undefined) return;
    const { toX, area, top } = this.#panels.at(-1)!;
    const { top: first } = this.#panels[0].area;
    const height = `${top + area.top + area.height - first}px`;
    Object.assign(this.#line.style, { transform: `translate(${toX(this.#t)}px, ${first}px)`, height });
  }

  /** Adds a listener for redraws, including those at another size. */
  onDrawn(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** The positions of values, in pixels from the left and upper edge of the element, and the entries that the reader hid. */
  get frame(): Pick<Panel, "area" | "toX" | "toY"> & { readonly hidden: ReadonlySet<string> } {
    const [{ area, toX, toY }] = this.#panels;
    const { offsetLeft: left, offsetTop: top } = this.#place;
    return {
      area: { ...area, left: left + area.left, top: top + area.top },
      toX: (value) => left + toX(value),
      toY: (value) => top + toY(value),
      hidden: this.#hidden,
    };
  }

  #entries(plots: readonly Plot[]): HTMLElement[] {
    const traces = plots.flatMap(({ traces }) => traces).filter((trace) => groupOf(trace) !== "");
    const first = new Map([...traces].reverse().map((trace) => [groupOf(trace), trace]));
    return [...new Set(traces.map(groupOf))].map((group) => {
      const { color = "", dash, mode = "lines", mark = "circle" } = first.get(group)!;
      const button = element("button", { type: "button", "aria-pressed": `${!this.#hidden.has(group)}` });
      const line = mode.startsWith("lines")
        ? `<path d="M0 6h18" stroke="${color}" stroke-width="2" stroke-dasharray="${dash ?? ""}"/>`
        : "";
      const point = mode === "lines" ? "" : markSvg(mark, 9, 6, 4);
      button.innerHTML =
        `<svg width="18" height="12" fill="${color}" style="color:${color}" aria-hidden="true">${line}${point}</svg>`;
      button.append(group);
      button.addEventListener("click", () => {
        if (!this.#hidden.delete(group)) this.#hidden.add(group);
        this.draw();
        [...this.#legend.querySelectorAll("button")].find(({ textContent }) => textContent === group)
          ?.focus();
      });
      return button;
    });
  }

  /** Shows the values at the pointer. */
  #point({ clientX, clientY }: PointerEvent): void {
    const { left, top } = this.#place.getBoundingClientRect();
    const [x, y, nearest] = [clientX - left, clientY - top, this.#nearest];
    const points = this.#panels.flatMap((panel) =>
      panel.traces.filter(({ name }) => name !== undefined).flatMap((trace) =>
        Array.from(trace.x, (value, i) => {
          const [dx, dy] = [panel.toX(value) - x, panel.top + panel.toY(trace.y[i]) - y];
          return { trace, i, value, dx, away: nearest ? Math.hypot(dx, dy) : Math.abs(dx) };
        })
      )
    ).filter(({ away }) => Number.isFinite(away)).sort((a, b) => a.away - b.away);
    this.#tip.hidden = points.length === 0;
    if (points.length === 0) return;
    const [best] = points;
    const shown = nearest ? [best] : this.#panels.flatMap(({ traces }) =>
      traces.flatMap((trace) => {
        const own = points.find((point) => point.trace === trace);
        return own && Math.abs(own.dx - best.dx) < together ? [own] : [];
      })
    );
    const lines = shown.map(({ trace: { name, words, y }, i }) => {
      const value = words?.[i] ?? formatNumber(y[i]);
      return element("div", { text: nearest ? value : `${name}: ${value}` });
    });
    const head = nearest ? [] : [element("b", { text: formatNumber(best.value) })];
    this.#tip.replaceChildren(...head, ...lines);
    const isRight = x > this.#width / 2;
    Object.assign(this.#tip.style, {
      left: isRight ? "" : `${x + best.dx + 10}px`,
      right: isRight ? `${this.#width - x - best.dx + 10}px` : "",
    });
  }
}

function groupOf({ group, name = "" }: ChartTrace): string {
  return group ?? name;
}

function formatNumber(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}
