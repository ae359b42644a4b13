/// <reference lib="dom" />
import { refreshCharts } from "./charts.ts";
import type { Views } from "./views.ts";

/** Tables that exist nowhere else in the page; the others repeat charts and are not printed. */
const printed = "#settings details, .study details";

/** Prints the page in light colours, as wide as paper, with all views and with settings. */
export function prepareForPrint(views: Views): void {
  const { dataset } = document.documentElement;
  let opened: HTMLDetailsElement[] = [];
  addEventListener("beforeprint", () => {
    dataset.print = "true";
    opened = [...document.querySelectorAll<HTMLDetailsElement>(printed)].filter(({ open }) => !open);
    for (const details of opened) details.open = true;
    views.drawAll();
    refreshCharts();
  });
  addEventListener("afterprint", () => {
    delete dataset.print;
    for (const details of opened) details.open = false;
    refreshCharts();
  });
}
