import { chart, details, factTable, type Markup, markup, none, table } from "./markup.ts";
import { base64 } from "../image/base64.ts";
import type { QualityFigure, ReportData, ReportRun, Series } from "./report_data.ts";
import {
  binsFigure,
  hasGradientNorms,
  lossFigure,
  lossPanels,
  rateFigure,
  shortLossFigure,
} from "./run_figures.ts";
import { byStage, digits, smoothed, thinned } from "./series.ts";
import { shownBy } from "./verdict.ts";

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
  const share = find("Requested class") ?? find("Confident");
  const distance = find("Fréchet distance");
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

/** The training of the runs: samples, results, losses. */
export function trainingSection({ runs, lossWarning }: ReportData): Markup {
  const several = runs.length > 1;
  const hasNorms = hasGradientNorms(runs);
  const pictures = several ? runs.map(samplesPicture) : undefined; // a single run's picture is further up
  const words = runs.map(({ name, summary, ending }) => {
    const whose = several ? markup`<b>${name}</b>: ` : undefined;
    const ended = ending === undefined ? undefined : markup`<p class="ending">${ending}</p>`;
    return markup`<p>${whose}${summary}</p>${ended}`;
  });
  const results = several ? markup`<h3>Results</h3>${factsOf(runs, "results")}` : undefined;
  const warning = lossWarning === undefined ? undefined : markup`<p class="note">${lossWarning}</p>`;
  const beside = several ? undefined : markup`<div>${factsOf(runs, "results")}</div>`;
  return markup`<section id="training" aria-labelledby="run-title">
<h2 id="run-title">Training</h2>
${words}
<div class="columns">${pictures}${beside}</div>
${warning}
${results}
<h3>Loss</h3>
<p class="small">How wrong the network's predictions are; lower is better. Validation images are not used in training.${
    runs.some(({ stages }) => stages) ? ofStages : undefined
  }${hasNorms ? ofNorms : undefined}</p>
${
    chart(
      "loss-chart",
      `Training and validation loss${hasNorms ? ", and the norm of the gradient," : ""} over the steps`,
      lossFigure(runs),
      {
        height: lossPanels(runs).reduce((sum, { height }) => sum + height, 0),
      },
    )
  }
<div class="columns">
${runs.some(({ lossByTime = [] }) => lossByTime.length > 0) ? lossOverTime(runs) : undefined}
<div><h3>Learning rate</h3>
${chart("rate-chart", "Learning rate over the steps", rateFigure(runs), { height: "low" })}
<p class="small">How far each step of training moves the weights.</p></div>
</div>
${details("Numbers of these charts", trainingNumbers(runs))}
</section>`;
}

/** Whether a report shows samples with few evaluations: only for one run, because those of several would be too large. */
export function hasFewSteps(runs: readonly ReportRun[]): boolean {
  return runs.length === 1 && runs[0].fewStepsPng !== undefined;
}

/** Samples with few evaluations: the result of one step of a flow, the reason for it, and that of a flow map. */
export function fewStepsSection({ runs }: ReportData): Markup | undefined {
  const [{ isFlowMap }] = runs;
  if (!hasFewSteps(runs)) return undefined;
  const picture = isFlowMap ? undefined : fewStepsPicture(runs[0]); // a flow map's picture is further up
  return markup`<section id="few-steps" aria-labelledby="few-steps-title">
<h2 id="few-steps-title">Few evaluations</h2>
<p>Straight lines from noise to all images cross at every point, and the velocity there is their average. So a single step
leads to the average of all images that the noise could become, which is blurred. With more steps, the trajectory bends
towards one of them.</p>
${picture}
</section>`;
}

/** Samples from the same noise, with more and more evaluations. */
function fewStepsPicture({ name, fewStepsPng, isFlowMap }: ReportRun): Markup {
  const jump = isFlowMap
    ? markup` The rows <i>map</i> come from the distilled network, which predicts whole steps.`
    : undefined;
  return markup`<figure><img class="few-steps" src="data:image/png;base64,${base64(fewStepsPng!)}"
alt="Samples of ${name} from the same noise, with 1, 2, 4, 8 and 19 evaluations">
<figcaption>Samples from the same noise, with more and more network evaluations.${jump}</figcaption></figure>`;
}

/** The settings that reproduce the runs. */
export function settingsSection({ runs }: ReportData): Markup {
  return markup`<section id="settings" aria-labelledby="settings-title">
<h2 id="settings-title">Settings</h2>
${details("Settings", factsOf(runs, "settings"))}
${details("Machine and code", factsOf(runs, "environment"))}
</section>`;
}

function factsOf(runs: readonly ReportRun[], facts: "results" | "settings" | "environment"): Markup {
  return factTable(runs.map((run) => ({ name: run.name, facts: run[facts] })));
}

const ofStages =
  " Each stage of a distillation has its own loss, which is not comparable with other stages or with validation.";

const ofNorms = " Below the loss is the norm of the gradient, before clipping.";

const lossOverTime = (runs: readonly ReportRun[]) =>
  markup`<div><h3>Loss over t</h3>
${chart("bins-chart", "Test loss by time t", binsFigure(runs), { height: "low" })}
<p class="small">Each test image gets a random t; a bar is the mean loss of the images in its range. A velocity leads from
noise to an image. Near t = 0 the image is undetermined, and near t = 1 the noise is, so at either end some loss always
remains.</p></div>`;

/** The picture of a run's samples, if there is one. */
function samplesPicture(
  { name, samplesPng, samplesText: text, samplesColumns = [] }: ReportRun,
): Markup | undefined {
  if (!samplesPng) return undefined;
  const address = `data:image/png;base64,${base64(samplesPng)}`;
  const names = samplesColumns.length > 0
    ? markup`<div class="column-names">${samplesColumns.map((name) => markup`<span>${name}</span>`)}</div>`
    : undefined;
  return markup`<figure>${names}<img class="samples" src="${address}" alt="Samples of ${name}">
<figcaption>Samples of <b>${name}</b>${text && `: ${text}`}</figcaption></figure>`;
}

/** The numbers of the training charts as tables, for readers who cannot see charts. */
function trainingNumbers(runs: readonly ReportRun[]): Markup[] {
  return runs.map((run) => {
    const { name, trainLoss, valLoss, learningRate, gradientNorm, stages, lossByTime = [] } = run;
    const hasNorms = hasGradientNorms([run]);
    const beside = hasNorms ? [learningRate, gradientNorm!] : [learningRate];
    const rows = byStage(thinned(trainLoss, 1000), stages)
      .flatMap(({ series }) => sparse(smoothed(series), beside));
    const vals = valLoss.step.map((step, k) => [step, digits(valLoss.value[k])]);
    const bins = lossByTime.map(({ from, to, loss, images }) => {
      return [`${from.toFixed(1)} to ${to.toFixed(1)}`, loss === null ? none : digits(loss), images];
    });
    return markup`<h3>${name}</h3>
${table(["step", "training loss, smoothed", "learning rate", ...hasNorms ? ["gradient norm"] : []], rows)}
${table(["step", "validation loss"], vals)}
${table(["t", "test loss", "images"], bins)}`;
  });
}

/** About twenty rows of a series, with the values of other series at the same steps. */
function sparse({ step, value }: Series, beside: readonly Series[]): (string | number)[][] {
  const every = Math.ceil(step.length / 20);
  const rows = step.flatMap((_, i) => i % every === every - 1 || i === step.length - 1 ? [i] : []);
  return rows.map((i) => {
    const others = beside.map((series) => {
      const at = series.step.indexOf(step[i]);
      return at < 0 ? none : digits(series.value[at]);
    });
    return [step[i], digits(value[i]), ...others];
  });
}
