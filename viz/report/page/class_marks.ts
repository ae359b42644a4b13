import type { Theme } from "./charts.ts";

/** Stands for the class of samples that have none. */
export const noClass = -1;

/** Shapes by Plotly's names: each goes with all colours before the next one is used. */
const symbols = ["circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "triangle-down"];

/** Colour and shape of a class; after 80 classes they repeat, and only the legend tells them apart. */
export function classMark(theme: Theme, c: number): { readonly color: string; readonly symbol: string } {
  if (c === noClass) return { color: theme.classes[0], symbol: symbols[0] };
  const colours = theme.classes.length;
  return {
    color: theme.classes[c % colours],
    symbol: symbols[Math.floor(c / colours) % symbols.length],
  };
}

/** The classes among samples of all runs, rising. */
export function classesOf(runs: readonly (readonly number[])[]): number[] {
  return [...new Set(runs.flat())].sort((a, b) => a - b);
}
