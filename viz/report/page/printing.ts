/// <reference lib="dom" />
import { refreshCharts } from "./charts.ts";
import type { Views } from "./views.ts";

/** Tables to print; the others repeat charts. */
const printed = "#settings details, .study details";

/** Prints the page in light colours, at the width of paper, with all views and settings. */
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
