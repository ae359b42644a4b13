/// <reference lib="dom" />
import type { RunPayload } from "../payload.ts";
import { Chart, type Figure, runLine, type Theme } from "./charts.ts";
import { byId } from "./dom.ts";
import type { Views } from "./views.ts";

/** Losses over the steps, the learning rate, and the loss over t. */
export function showTraining(runs: readonly RunPayload[], views: Views): void {
  const several = runs.length > 1;
  const legend = { showlegend: true };
  show("loss-chart", (theme) => runs.flatMap((run, i) => losses(run, several, runLine(theme, i))), () => ({
    ...legend,
    xaxis: { title: { text: "step" } },
    yaxis: { title: { text: "loss" }, type: "log", tickformat: ".3~g", dtick: "D2" },
  }));
  show("rate-chart", (theme) =>
    runs.map(({ name, learningRate: { step, value } }, i) => {
      return { x: step, y: value, name: plain(name), mode: "lines", line: runLine(theme, i) };
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

function losses(run: RunPayload, several: boolean, line: ReturnType<typeof runLine>): Figure[] {
  const prefix = several ? `${plain(run.name)} ` : "";
  const { trainLoss, trainSmoothed, valLoss } = run;
  return [
    {
      x: trainLoss.step,
      y: trainLoss.value,
      mode: "lines",
      line: { ...line, width: 1 },
      opacity: 0.3,
      showlegend: false,
      hoverinfo: "skip",
    },
    { x: trainSmoothed.step, y: trainSmoothed.value, name: `${prefix}train, smoothed`, mode: "lines", line },
    {
      x: valLoss.step,
      y: valLoss.value,
      name: `${prefix}validation`,
      mode: "markers",
      marker: { color: line.color, symbol: "diamond", size: 8, line: { width: 1.5 } },
    },
  ];
}

/** Text that Plotly shows as it is: it takes tags of a few kinds for markup. */
export function plain(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
