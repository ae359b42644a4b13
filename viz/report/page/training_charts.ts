/// <reference lib="dom" />
import type { RunPayload } from "../payload.ts";
import { Chart, type Figure, runLine, type Theme } from "./charts.ts";
import { byId, plain } from "./dom.ts";
import { logTicks } from "./log_ticks.ts";
import { lineOf, lossTraces } from "./loss_traces.ts";
import type { Views } from "./views.ts";

/** Losses over the steps, the learning rate, and the loss over t. */
export function showTraining(runs: readonly RunPayload[], views: Views): void {
  const several = runs.length > 1;
  const legend = { showlegend: true };
  const ticks = logTicks(runs.flatMap(({ trainLoss, valLoss }) => [...trainLoss.value, ...valLoss.value]));
  show(
    "loss-chart",
    (theme) => runs.flatMap((run, i) => lossTraces(run, several, runLine(theme, i))),
    () => ({
      ...legend,
      xaxis: { title: { text: "step" } },
      yaxis: { title: { text: "loss" }, type: "log", tickformat: ".3~g", ...ticks },
    }),
  );
  show("rate-chart", (theme) =>
    runs.map(({ name, learningRate }, i) => {
      return { ...lineOf(learningRate), name: plain(name), line: runLine(theme, i) };
    }), () => ({ xaxis: { title: { text: "step" } }, yaxis: { title: { text: "learning rate" } } }));
  if (!document.getElementById("bins-chart")) return;
  show("bins-chart", (theme) =>
    runs.map(({ name, lossByTime }, i) => ({
      type: "bar",
      x: lossByTime.map(({ from, to }) => (from + to) / 2),
      y: lossByTime.map(({ loss }) => loss),
      customdata: lossByTime.map(({ images }) => images),
      hovertemplate: "%{y:.4f} (%{customdata} images)",
      name: plain(name),
      marker: { color: runLine(theme, i).color },
    })), () => ({
      bargap: 0.15,
      xaxis: { title: { text: "t (0 noise, 1 data)" }, range: [0, 1] },
      yaxis: { title: { text: "test loss" } },
    }));

  function show(id: string, traces: (theme: Theme) => Figure[], layout: () => Figure): void {
    const place = byId(id);
    const chart = new Chart(place, traces, layout);
    views.add(place, () => chart.draw());
  }
}
