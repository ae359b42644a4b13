/// <reference lib="dom" />
import { Chart, type ChartContent } from "./charts.ts";

interface View {
  readonly draw: () => void;
  near: boolean;
  stale: boolean;
}

/** Draws views at most once per animation frame, and only those on or near the screen. */
export class Views {
  readonly #views = new Map<Element, View>();
  #waiting = false;
  readonly #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) this.#views.get(target)!.near = isIntersecting;
    this.#wait();
  }, { rootMargin: "300px" });

  /** Adds a view, which is drawn when first visible and after each change. */
  add(element: Element, draw: () => void): void {
    this.#views.set(element, { draw, near: false, stale: true });
    this.#observer.observe(element);
  }

  /** Adds a chart that does not change, if the page has an element with this id. */
  addChart(id: string, content: ChartContent): void {
    const place = document.getElementById(id);
    if (!place) return;
    const chart = new Chart(place, () => content);
    this.add(place, () => chart.draw());
  }

  /** Draws all views, wherever they are. */
  drawAll(): void {
    this.#views.forEach((view) => view.near = true);
    this.#drawStale();
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
