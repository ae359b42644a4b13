/// <reference lib="dom" />
import type { RunPayload } from "../payload.ts";
import { Chart, runLine } from "./charts.ts";
import { plain } from "./dom.ts";
import type { Views } from "./views.ts";

/** The charts of figures along the way from noise to sample, by the id of their place. */
const charts = { "quality-straightness": "straightness", "quality-curvature": "curvature" } as const;

/** Straightness and curvature over t, of runs that were evaluated. */
export function showCourse(runs: readonly RunPayload[], views: Views): void {
  for (const [id, name] of Object.entries(charts)) {
    const place = document.getElementById(id);
    if (!place) continue;
    const chart = new Chart(place, (theme) =>
      runs.map(({ name: run, course }, i) => ({
        x: course?.t ?? [],
        y: course?.[name] ?? [],
        name: plain(run),
        mode: "lines",
        line: runLine(theme, i),
      })), () => ({
        xaxis: { title: { text: "t (0 noise, 1 data)" }, range: [0, 1] },
        yaxis: { title: { text: name }, rangemode: "tozero" },
      }));
    views.add(place, () => chart.draw());
  }
}
