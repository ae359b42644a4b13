/// <reference lib="dom" />
import { Chart, type PlotlyPart, type Theme } from "./charts.ts";

interface View {
  readonly draw: () => void;
  near: boolean;
  stale: boolean;
  drawn: boolean;
}

/**
 * Draws views at most once per frame, when they are on or near the screen. In each frame, at most one is drawn that was
 * never drawn before, because first drawings of charts take long.
 */
export class Views {
  readonly #views = new Map<Element, View>();
  #waiting = false;
  readonly #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) this.#views.get(target)!.near = isIntersecting;
    this.#wait();
  }, { rootMargin: "300px" });

  /** Adds a view, which is drawn when first visible and after each change. */
  add(element: Element, draw: () => void): void {
    this.#views.set(element, { draw, near: false, stale: true, drawn: false });
    this.#observer.observe(element);
  }

  /** Adds a chart that does not change, if the page has an element with this id. */
  addChart(id: string, traces: (theme: Theme) => readonly PlotlyPart[], layout: PlotlyPart): void {
    const place = document.getElementById(id);
    if (!place) return;
    const chart = new Chart(place, traces, () => layout);
    this.add(place, () => chart.draw());
  }

  /** Draws all views, wherever they are. */
  drawAll(): void {
    this.#views.forEach((view) => view.near = true);
    for (const view of this.#stale) draw(view);
  }

  /** Redraws all views, or the view of one element. */
  changed(element?: Element): void {
    for (const [key, view] of this.#views) if (element === undefined || key === element) view.stale = true;
    this.#wait();
  }

  #wait(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      const [first, ...others] = this.#stale.filter(({ drawn }) => !drawn);
      for (const view of this.#stale) if (view.drawn) draw(view);
      if (first) draw(first);
      if (others.length > 0) this.#wait();
    });
  }

  get #stale(): View[] {
    return [...this.#views.values()].filter(({ near, stale }) => near && stale);
  }
}

function draw(view: View): void {
  view.stale = false;
  view.drawn = true;
  view.draw();
}
