import { chart, type Markup, markup } from "./markup.ts";
import { fewStepsPicture, samplesPicture } from "./run_section.ts";
import { shownBy } from "./quality_section.ts";
import type { QualityFigure, ReportRun } from "./report_data.ts";
import { shortLossFigure } from "./run_figures.ts";

/** The result of a run: its figures in a sentence, its samples, and its loss curve. */
export function resultSection([run, ...others]: readonly ReportRun[]): Markup | undefined {
  if (others.length > 0) return undefined;
  const picture = run.isFlowMap && run.fewStepsPng ? fewStepsPicture(run) : samplesPicture(run);
  return markup`<section class="result" aria-label="Result">
<p>${run.ending === undefined ? undefined : markup`<b>${run.ending}</b> `}${figuresOf(run) ?? run.summary}</p>
<div class="columns">${picture}<div>${shortLoss(run)}</div></div></section>`;
}

/** The two most important figures, with their intervals. */
function figuresOf({ quality, subject = "samples" }: ReportRun): Markup | undefined {
  const all = quality?.figures ?? [];
  const find = (title: string) => all.find((figure) => figure.title === title);
  const [share, distance] = [find("Requested class") ?? find("Confident"), find("Fréchet distance")];
  const parts = [
    share &&
    markup`${withInterval(share)} of its ${subject} ${
      share.title === "Confident" ? "are recognisable to a classifier" : "show the requested class"
    }`,
    distance && markup`their Fréchet distance to test images is ${withInterval(distance)}`,
  ].flatMap((part) => part ?? []);
  return parts.length === 0 ? undefined : markup`${parts.map((part, i) => [i > 0 ? ", and " : "", part])}.`;
}

function withInterval(figure: QualityFigure): Markup {
  const { value, low, high, real } = figure;
  const shown = shownBy(figure);
  const ofReal = real === undefined ? "" : `; real images ${shown(real)}`;
  return markup`<b>${shown(value)}</b> (${shown(low)} to ${shown(high)}${ofReal})`;
}

function shortLoss(run: ReportRun): Markup | undefined {
  const { trainLoss: { step }, results } = run;
  if (step.length < 2) return undefined;
  const test = results.find(([name]) => name === "Test loss");
  return markup`${chart("result-chart", "Training loss, smoothed", shortLossFigure(run), { height: 180 })}
<p class="small">Training loss over ${step.at(-1)!.toLocaleString("en")} steps${
    test && `; test loss ${test[1]}`
  }</p>`;
}
