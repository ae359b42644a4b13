/// <reference lib="dom" />
import { Chart, drawChartsNow } from "./charts.ts";

interface View {
  readonly draw: () => unknown;
  near: boolean;
  stale: boolean;
}

/** Draws views at most once per animation frame, and only those on or near the screen; charts also when the page is idle. */
export class Views {
  readonly #views = new Map<Element, View>();
  #waiting = false;
  readonly #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) this.#views.get(target)!.near = isIntersecting;
    this.#wait();
  }, { rootMargin: "300px" });

  /** Adds a view, which is drawn when first visible and after each change. */
  add(element: Element, draw: () => unknown): void {
    this.#views.set(element, { draw, near: false, stale: true });
    this.#observer.observe(element);
  }

  /** Adds all charts whose figures the page holds. */
  addCharts(): void {
    for (const place of document.querySelectorAll<HTMLElement>(".chart:has(> script)")) {
      const script = place.querySelector("script")!;
      const figure = JSON.parse(script.textContent!);
      script.remove();
      const chart = new Chart(place, () => figure);
      if ("clock" in place.dataset) this.add(place, () => chart.moveTo(this.t));
      else this.add(place, () => chart.isDrawn || chart.draw());
    }
  }

  /** The time of charts with a clock. */
  t = 0.5;

  /** Draws the charts that were not near yet, one whenever the page is idle. */
  async drawChartsWhenIdle(): Promise<void> {
    for (const [element, view] of this.#views) {
      if (!element.matches(".chart")) continue;
      await new Promise<unknown>((resolve) =>
        "requestIdleCallback" in globalThis ? requestIdleCallback(resolve) : setTimeout(resolve, 100)
      );
      if (view.stale && element.clientWidth > 0) this.#draw(view);
    }
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
    for (const view of this.#views.values()) if (view.near && view.stale) this.#draw(view);
  }

  #draw(view: View): void {
    view.stale = false;
    view.draw();
  }
}

/** Tables to print, and hidden charts; other tables repeat charts. */
const printed = "#settings details, .findings details, details:has(.chart)";

/** Prints the page in light colours, at the width of paper, with all views and settings. */
export function prepareForPrint(views: Views): void {
  const { dataset } = document.documentElement;
  let opened: HTMLDetailsElement[] = [];
  addEventListener("beforeprint", () => {
    dataset.print = "true";
    opened = [...document.querySelectorAll<HTMLDetailsElement>(printed)].filter(({ open }) => !open);
    for (const details of opened) details.open = true;
    views.drawAll();
    drawChartsNow();
  });
  addEventListener("afterprint", () => {
    delete dataset.print;
    for (const details of opened) details.open = false;
    drawChartsNow();
  });
}
