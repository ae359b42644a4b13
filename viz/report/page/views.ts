/// <reference lib="dom" />
import { Chart, type PlotlyPart, type Theme } from "./charts.ts";

/** Draws views at most once a frame, when they are on or near the screen. */
export class Views {
  readonly #views = new Map<Element, { draw: () => void; near: boolean; stale: boolean }>();
  #waiting = false;
  readonly #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) this.#views.get(target)!.near = isIntersecting;
    this.#wait();
  }, { rootMargin: "300px" });

  constructor() {
    addEventListener("beforeprint", () => {
      this.#views.forEach((view) => view.near = true);
      this.#drawStale();
    });
  }

  /** Adds a view, drawn when it is first seen and after each change. */
  add(element: Element, draw: () => void): void {
    this.#views.set(element, { draw, near: false, stale: true });
    this.#observer.observe(element);
  }

  /** Adds a chart that stays as it is, if the page has the place of this id. */
  addChart(id: string, traces: (theme: Theme) => readonly PlotlyPart[], layout: PlotlyPart): void {
    const place = document.getElementById(id);
    if (!place) return;
    const chart = new Chart(place, traces, () => layout);
    this.add(place, () => chart.draw());
  }

  /** Redraws all views, or that of an element. */
  changed(element?: Element): void {
    for (const [key, view] of this.#views) if (element === undefined || key === element) view.stale = true;
    this.#wait();
  }

  #wait(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#drawStale();
    });
  }

  #drawStale(): void {
    for (const view of this.#views.values()) {
      if (!view.near || !view.stale) continue;
      view.stale = false;
      view.draw();
    }
  }
}
