/// <reference lib="dom" />
import type { FigureParts } from "../../figure/figure_parts.ts";
import { axisRanges } from "../../figure/figure_svg.ts";
import { Chart } from "./charts.ts";
import { byId, element } from "./dom.ts";

/** Draws a page's figures, each with a slider over its frames. */
export function showFigures(): void {
  const figures: readonly FigureParts[] = JSON.parse(
    byId("figures").textContent!,
    (_, value) => value ?? NaN, // JSON has no NaN
  );
  figures.forEach(({ traces, layout, frames }, i) => {
    const { title, height = 400 } = layout;
    const { x: xRange, y: yRange } = axisRanges({ traces, layout, frames });
    const place = byId(`figure-${i}`);
    const chart = element("div", { class: "chart", style: `height: ${height}px` });
    const slider = element("input", { type: "range", value: "0", max: `${frames.length - 1}` });
    const words = element("span");
    const label = element("label", {}, slider, words);
    const shown = new Chart(chart, () => {
      const frame = frames[slider.valueAsNumber];
      words.textContent = frame?.label ?? "";
      return {
        plots: [{ traces: [...traces, ...frame?.traces ?? []], layout: { ...layout, xRange, yRange } }],
        nearest: true,
      };
    });
    slider.addEventListener("input", () => shown.draw());
    if (title !== undefined) place.append(element("h2", { text: title }));
    place.append(chart);
    if (frames.length > 0) place.append(label);
    shown.draw();
  });
  document.documentElement.dataset.ready = "true";
}
