import { chart, details, factTable, type Markup, markup, none, table } from "./markup.ts";
import type { ReportData, ReportRun, Series } from "./report_data.ts";
import { fewStepsPicture, hasFewSteps } from "./result_section.ts";
import { binsFigure, hasGradientNorms, rateFigure } from "./run_figures.ts";
import { byStage, digits, smoothed, thinned } from "./series.ts";

/** The training of the runs: results, loss by time, learning rate, and the numbers of the charts. */
export function trainingSection({ runs }: ReportData): Markup {
  const hasNorms = hasGradientNorms(runs);
  const words = runs.length > 1
    ? runs.map(({ name, summary }) => markup`<p><b>${name}</b>: ${summary}</p>`)
    : undefined;
  return markup`<section id="training" aria-labelledby="run-title">
<h2 id="run-title">Training</h2>
${words}
<p class="small">The loss at the start of this page is how wrong the network's predictions are; lower is better. Validation
images are not used in training.${runs.some(({ stages }) => stages) ? ofStages : undefined}${
    hasNorms ? ofNorms : undefined
  }</p>
${factsOf(runs, "results")}
<div class="columns">
${runs.some(({ lossByTime = [] }) => lossByTime.length > 0) ? lossOverTime(runs) : undefined}
<div><h3>Learning rate</h3>
${chart("rate-chart", "Learning rate over the steps", rateFigure(runs), { height: "low" })}
<p class="small">How far each step of training moves the weights.</p></div>
</div>
${details("Numbers of the charts of training", trainingNumbers(runs))}
</section>`;
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
