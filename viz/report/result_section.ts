/** The first screen: whether the networks are good, what they learned, and in what they differ. */
import { base64 } from "../image/base64.ts";
import { chart, type Markup, markup, none, swatch } from "./markup.ts";
import type { QualityFigure, Question, ReportData, ReportRun } from "./report_data.ts";
import { hasGradientNorms, lossFigure, lossPanels, titleOf } from "./run_figures.ts";
import { verdictOf, withInterval } from "./verdict.ts";

/** Most settings that the first screen of several runs names; all are in the settings at the end. */
const maxSettings = 8;

/** Answers, samples and losses of one run; of several, the samples side by side, then figures and settings that differ. */
export function resultSection({ runs, lossWarning, qualityNote }: ReportData): Markup {
  const several = runs.length > 1;
  const about = runs.map((run) => {
    const whose = several ? markup`<b>${run.name}</b>: ` : undefined;
    const ending = run.ending === undefined ? undefined : markup`<b class="ending">${run.ending}</b> `;
    return several && !ending
      ? undefined
      : markup`<p>${whose}${ending}${several ? undefined : run.summary}</p>`;
  });
  const notes = [lossWarning, qualityNote].map((note) => note && markup`<p class="note">${note}</p>`);
  const pictures = runs.map((run) => !several && run.isFlowMap ? fewStepsPicture(run) : samplesPicture(run));
  return markup`<section class="result" aria-label="Result">
${several ? undefined : answers(runs[0])}
${about}
<div class="columns${several ? " dense" : ""}">${pictures}<div>${losses(runs)}</div></div>
${notes}
${several ? comparison(runs) : undefined}
</section>`;
}

/** The answer to each question that an evaluation answers. */
function answers({ quality, subject }: ReportRun): Markup | undefined {
  const figures = quality?.figures ?? [];
  const all = (["class", "real", "copied"] as const).flatMap((question) => {
    const verdict = verdictOf(question, figures.filter((figure) => figure.question === question));
    return verdict ? [markup`<li><b>${questionOf(question, subject)}</b> ${verdict.words}</li>`] : [];
  });
  return all.length === 0 ? undefined : markup`<ul class="answers">${all}</ul>`;
}

/** A question on samples, which are digits or other images. */
export function questionOf(question: Question, subject?: string): string {
  const right = subject === "digits" ? "Right digit?" : "Right class?";
  return { class: right, real: "Like real images?", copied: "Copied?" }[question];
}

/** All losses over the steps, and the norm of the gradient below. */
function losses(runs: readonly ReportRun[]): Markup {
  const norms = hasGradientNorms(runs) ? ", and the norm of the gradient," : "";
  const label = `Training, validation and test loss${norms} over the steps`;
  const height = lossPanels(runs).reduce((sum, { height }) => sum + height, 0);
  const marks = runs.length > 1
    ? markup`<p class="small">Lines are smoothed losses of training, diamonds those of validation, stars those of test.</p>`
    : undefined;
  return markup`${chart("loss-chart", label, lossFigure(runs), { height })}${marks}`;
}

/** The main figures and the settings in which runs differ, a column for each run. */
function comparison(runs: readonly ReportRun[]): Markup {
  const heads = runs.map(({ name }, i) => markup`<th scope="col">${swatch(i)}${name}</th>`);
  const figures = runs.map(({ quality }) => mainFigures(quality?.figures ?? []));
  const titles = [...new Set(figures.flatMap((own) => own.map(titleOf)))];
  const measured = titles.map((title) => {
    const own = figures.map((all) => all.find((figure) => titleOf(figure) === title));
    const cells = own.map((figure) => markup`<td>${figure ? withInterval(figure) : none}</td>`);
    return markup`<tr><th scope="row">${title}</th>${cells}<td>${differenceOf(own)}</td></tr>`;
  });
  const results = ["Validation loss", "Test loss", "Parameters", "Training time"].flatMap((name) =>
    rowOf(name, runs.map((run) => run.results))
  );
  const names = [...new Set(runs.flatMap(({ settings }) => settings.map(([name]) => name)))];
  const differing = names.filter((name) => !ownToEach.has(name))
    .flatMap((name) => rowOf(name, runs.map((run) => run.settings), true));
  const left = differing.length - maxSettings;
  const more = left > 0
    ? markup`<p class="small">${left} more settings differ; see <a href="#settings">Settings</a>.</p>`
    : undefined;
  return markup`<div class="scroll"><table><thead><tr><td></td>${heads}<td></td></tr></thead>
<tbody>${measured}${results}</tbody>
<tbody>${differing.slice(0, maxSettings)}</tbody></table></div>${more}${
    measured.length > 0 ? ofIntervals : undefined
  }`;
}

const ofIntervals =
  markup`<p class="small">Intervals (95 %) are those of other samples of the same networks. Training again
with another seed may change more.</p>`;

/** Settings that differ in all runs, and say nothing about them. */
const ownToEach: ReadonlySet<string> = new Set(["out", "experiment", "evalEvery"]);

/** A row of facts; none if no run has it or, where only differences count, if all have the same. */
function rowOf(name: string, facts: readonly ReportRun["results"][], onlyIfDifferent = false): Markup[] {
  const values = facts.map((own) => own.find(([key]) => key === name)?.[1] ?? none);
  const isSame = new Set(values).size === 1;
  if (isSame && (onlyIfDifferent || values[0] === none)) return [];
  return [
    markup`<tr><th scope="row">${name}</th>${values.map((value) => markup`<td>${value}</td>`)}<td></td></tr>`,
  ];
}

/** The figures that say most: the requested class or else a confident one, and the Fréchet distance, by each judge. */
function mainFigures(figures: readonly QualityFigure[]): QualityFigure[] {
  const share = figures.some(({ question }) => question === "class") ? "Requested class" : "Confident";
  return figures.filter(({ title }) => title === share || title === "Fréchet distance");
}

/** Whether the intervals of runs tell them apart. */
function differenceOf(figures: readonly (QualityFigure | undefined)[]): string | undefined {
  const known = figures.flatMap((figure) => figure ?? []).sort((a, b) => a.value - b.value);
  if (known.length < 2) return undefined;
  const overlaps = known.slice(1).filter(({ low }, i) => low <= known[i].high).length;
  if (overlaps === 0) return "differ beyond the intervals";
  return overlaps === known.length - 1 ? "may be chance" : "some differ beyond the intervals";
}

/** Whether a report shows samples with few evaluations: only for one run, because those of several would be too large. */
export function hasFewSteps(runs: readonly ReportRun[]): boolean {
  return runs.length === 1 && runs[0].fewStepsPng !== undefined;
}

/** Samples from the same noise, with more and more evaluations. */
export function fewStepsPicture({ name, fewStepsPng, isFlowMap }: ReportRun): Markup | undefined {
  if (!fewStepsPng) return undefined;
  const jump = isFlowMap
    ? markup` The rows <i>map</i> come from the distilled network, which predicts whole steps.`
    : undefined;
  return markup`<figure><img class="few-steps" src="data:image/png;base64,${base64(fewStepsPng)}"
alt="Samples of ${name} from the same noise, with 1, 2, 4, 8 and 19 evaluations">
<figcaption>Samples from the same noise, with more and more network evaluations.${jump}</figcaption></figure>`;
}

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
