import { gallery } from "./gallery_section.ts";
import { chart, details, type Markup, markup, none, swatch, table } from "./markup.ts";
import type { Quality, Question, ReportData, ReportRun, SolverQuality } from "./report_data.ts";
import { questionOf } from "./result_section.ts";
import { intervalsFigure, overTimeFigure, type RunFigures, solversFigure, titleOf } from "./run_figures.ts";
import { digits, percent, rounded } from "./series.ts";
import { noiseScoresWell, shownBy, verdictOf } from "./verdict.ts";

/** Evaluated runs, with their index among all runs. */
type Judged = readonly {
  readonly run: number;
  readonly name: string;
  readonly classNames: readonly string[];
  readonly quality: Quality;
  readonly overTime: ReportRun["overTime"];
}[];

/** Below this number of samples, figures depend too much on the number to compare reports. */
const minSamples = 2000;

/** The quality of the networks: three questions, each with figures and a verdict; samples; and all other figures. */
export function qualitySection({ runs }: Pick<ReportData, "runs">): Markup | undefined {
  const judged = runs.flatMap(({ name, classNames = [], quality, overTime }, run) =>
    quality ? [{ run, name, classNames, quality, overTime }] : []
  );
  if (judged.length === 0) return undefined;
  const overTime = judged.some(({ overTime }) => overTime) ? chartsOverTime(judged) : undefined;
  const several = runs.length > 1;
  const names = several
    ? markup`<p class="small">${judged.map(({ run, name }) => markup`${swatch(run)}${name} `)}</p>`
    : undefined;
  const about = judged.map(({ name, quality: { how, count = minSamples } }) => {
    const few = count < minSamples
      ? markup` <b>${count.toLocaleString("en")} samples are too few to compare this report with others.</b>`
      : undefined;
    return markup`<p class="small">${several ? markup`<b>${name}</b>: ` : undefined}${how}${few}</p>`;
  });
  const galleries = judged.flatMap(({ name, classNames, quality: { samples } }) => {
    if (!samples) return [];
    const heading = markup`<h3>Samples${several ? ` of ${name}` : ""}, least certain first</h3>`;
    return [heading, gallery(samples, classNames)];
  });
  const all = judged.flatMap(({ run, name, quality }) =>
    quality.figures.map((figure) => ({ run, name, figure }))
  );
  const isDigits = runs.every(({ subject }) => subject === "digits");
  const groups = (["class", "real", "copied"] as const).map((question) => {
    const figures = all.filter(({ figure }) => figure.question === question);
    if (figures.length === 0) return undefined;
    return markup`<h3>${questionOf(question, isDigits ? "digits" : undefined)}</h3>${
      answerTo(question, figures, several)
    }${figureTable(question, figures, several)}`;
  });
  const others = all.filter(({ figure }) => figure.question === undefined);
  return markup`<section id="quality" aria-labelledby="quality-title">
<h2 id="quality-title">Quality</h2>
<p>A dot is the measured value; the bar through it is a 95 % interval, because other samples would give other values.
Real images mark what a perfect network would reach, noise marks a network that learned nothing, and chance marks
guessing.</p>
${names}
${groups}
${about}
${galleries}
${details("All figures", [figureTable("others", others, several), overTime, numbersOf(judged)])}
</section>`;
}

/** The verdict on a question. */
function answerTo(question: Question, figures: RunFigures, several: boolean): (Markup | undefined)[] {
  return [...Map.groupBy(figures, ({ run }) => run)].map(([run, own]) => {
    const verdict = verdictOf(question, own.map(({ figure }) => figure));
    const whose = several ? markup`${swatch(run)}${own[0].name}: ` : undefined;
    return verdict && markup`<p class="answer" data-verdict="${verdict.short}">${whose}${verdict.words}</p>`;
  });
}

/** Figures as a chart, and as a table with their meaning. */
function figureTable(id: string, all: RunFigures, several: boolean): Markup | undefined {
  if (all.length === 0) return undefined;
  const lines = new Set(all.map(({ figure: { title, judge } }) => JSON.stringify([title, judge]))).size;
  const rows = [...Map.groupBy(all, ({ figure }) => figure.title)].map(([title, figures]) => {
    const shown = shownBy(figures[0].figure);
    const values = figures.map(({ run, figure: { judge, value, low, high, real } }) =>
      markup`<div>${several ? swatch(run) : undefined}<b>${shown(value)}</b> (${shown(low)} to ${
        shown(high)
      })${real === undefined ? undefined : `, real ${shown(real)}`}${
        judge && markup` <span class="judge">${judge}</span>`
      }</div>`
    );
    const caution = figures.some(({ figure }) => noiseScoresWell(figure)) ? noiseWords : undefined;
    return markup`<tr><th scope="row">${title}<div class="small">${
      figures[0].figure.meaning
    }.${caution}</div></th>
<td class="value">${values}</td></tr>`;
  });
  return markup`${
    chart(
      `quality-${id}`,
      "Figures with their intervals, from worse to better",
      intervalsFigure(all, shownBy),
      {
        height: 90 + 34 * lines + (several ? 20 * new Set(all.map(({ run }) => run)).size : 0), // for the legend on phones
      },
    )
  }
<table class="figures"><thead><tr><td></td><th scope="col">value (95 % interval)</th></tr></thead><tbody>${rows}</tbody></table>`;
}

const noiseWords = " Even noise scores well here, so this figure says nothing alone.";

const aboutOverTime = {
  straightness:
    "Mean squared difference between the velocity and that of the straight line from noise to sample: 0 is straight.",
  curvature: "How fast the velocity of a sample changes along the way: 0 if it stays the same.",
};

function chartsOverTime(judged: Judged): Markup {
  const all = (["straightness", "curvature"] as const).map((name) => {
    const title = `${name[0].toUpperCase()}${name.slice(1)} over t`;
    const drawn = chart(`quality-${name}`, title, overTimeFigure(judged, name), { height: "low" });
    return markup`<div><h3>${title}</h3>${drawn}<p class="small">${aboutOverTime[name]}</p></div>`;
  });
  return markup`<div class="columns">${all}</div>`;
}

function numbersOf(judged: Judged): Markup[] {
  return judged.map(({ name, quality: { figures }, overTime }) => {
    const rows = figures.map((figure) => {
      const shown = shownBy(figure);
      const { value, low, high, real, realCount, noise, cost } = figure;
      const ofReal = real === undefined ? none : shown(real);
      const ofNoise = noise === undefined ? none : shown(noise);
      const fewer = realCount === undefined ? "" : ` (${realCount.toLocaleString("en")} images)`;
      return [
        titleOf(figure),
        shown(value),
        `${shown(low)} to ${shown(high)}`,
        ofReal + fewer,
        ofNoise,
        cost,
      ];
    });
    const numbers = table(["figure", "value", "95 % interval", "real images", "noise", "cost"], rows);
    return markup`<h3>${name}</h3>${numbers}${overTime && tableOverTime(overTime)}`;
  });
}

function tableOverTime({ t, straightness, curvature }: NonNullable<ReportRun["overTime"]>): Markup {
  const rows = t.map((time, i) => [time.toFixed(2), digits(straightness[i]), digits(curvature[i])]);
  return table(["t", "straightness", "curvature"], rows);
}

const usualDistance = "Fréchet distance";

/** Quality of samples against cost, by solver. */
export function solversSection(runs: readonly ReportRun[]): Markup | undefined {
  const compared = runs.flatMap(({ name, solvers }) => solvers ? [{ name, solvers }] : []);
  if (compared.length === 0) return undefined;
  const chosen = compared.map(({ name, solvers }) => {
    const { words, evaluations, frechet, distance } = solvers.find(({ chosen }) => chosen)!;
    const whose = runs.length > 1 ? markup`<b>${name}</b>: ` : undefined;
    return markup`<p>${whose}<b>${words}</b> is the cheapest solver within the best one's interval: ${
      countOf(evaluations)
    } evaluations, ${distance ?? usualDistance} ${rounded(frechet.value, 3)}.</p>`;
  });
  const numbers = compared.map(({ name, solvers }) => {
    const hasSecond = solvers.some(({ second }) => second);
    const rows = solvers.toSorted((a, b) => a.evaluations - b.evaluations).map((solver) => [
      solver.words,
      countOf(solver.evaluations),
      rounded(solver.frechet.value, 3),
      `${rounded(solver.frechet.low, 3)} to ${rounded(solver.frechet.high, 3)}`,
      percent(solver.confident),
      ...hasSecond ? secondCells(solver) : [],
    ]);
    const { distance = usualDistance } = solvers[0];
    const head = ["solver", "evaluations", distance, "95 % interval", "confident"];
    const second = [`${distance}, second judge`, "95 % interval", "confident"];
    return markup`<h3>${name}</h3>
${table([...head, ...hasSecond ? second : []], rows)}`;
  });
  return markup`<section id="solvers" aria-labelledby="solvers-title">
<h2 id="solvers-title">Quality against cost</h2>
<p>A solver follows the network's velocities from noise to an image. All solvers start from the same noise. An evaluation
runs the network once on one image; a step takes one or several evaluations. Lower and further left is better.</p>
${
    chart("solvers-chart", "Distance against evaluations, by solver", solversFigure(compared), {
      height: "tall",
    })
  }
${chosen}
${details("Numbers of this chart", numbers)}
</section>`;
}

/** The table cells of a solver by a second judge. */
function secondCells({ second }: SolverQuality): readonly (string | number)[] {
  if (!second) return [none, none, none];
  const { frechet: { value, low, high }, confident } = second;
  return [rounded(value, 3), `${rounded(low, 3)} to ${rounded(high, 3)}`, percent(confident)];
}

/** Formats a number of evaluations, which is a mean for adaptive solvers. */
function countOf(evaluations: number): string {
  return String(Number(evaluations.toFixed(1)));
}
