/// <reference lib="dom" />
import { drawChartsNow } from "./charts.ts";
import type { Views } from "./views.ts";

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
