import { imageGrid } from "../image/grid.ts";
import { encodePng } from "../image/png.ts";
import { checkFilled } from "./check_report.ts";
import { intervalAxis } from "./interval_axis.ts";
import { chart, details, digits, type Markup, markup, none, swatch, table } from "./markup.ts";
import { base64 } from "../image/base64.ts";
import type {
  JudgedSamples,
  Quality,
  QualityFigure,
  ReportData,
  ReportRun,
  SolverQuality,
} from "./report_data.ts";
import { percent, rounded } from "./series.ts";

/** Evaluated runs, with their index among all runs. */
type Judged = readonly {
  readonly run: number;
  readonly name: string;
  readonly classNames: readonly string[];
  readonly quality: Quality;
  readonly overTime: ReportRun["overTime"];
}[];

/** The quality of the networks: figures with intervals, marks for real images and noise, and samples. */
export function qualitySection(
  { runs, qualityNote }: Pick<ReportData, "runs" | "qualityNote">,
): Markup | undefined {
  const judged = runs.flatMap(({ name, classNames = [], quality, overTime }, run) =>
    quality ? [{ run, name, classNames, quality, overTime }] : []
  );
  if (judged.length === 0) return undefined;
  const several = runs.length > 1;
  const chance = judged.some(({ quality }) => quality.figures.some(({ chance }) => chance !== undefined))
    ? markup`, and <span class="key chance">chance</span> is what guessing gets`
    : undefined;
  const names = several
    ? markup`<p class="small">${judged.map(({ run, name }) => markup`${swatch(run)}${name} `)}</p>`
    : undefined;
  const about = judged.map(({ name, quality }) =>
    markup`<p class="small">${several ? markup`<b>${name}</b>: ` : undefined}${quality.how}</p>`
  );
  const pictures = judged.flatMap(({ name, classNames, quality: { samples } }) => {
    if (!samples) return [];
    const heading = markup`<h3>Samples${several ? ` of ${name}` : ""}, least certain first</h3>`;
    return [heading, pictureOf(samples, classNames)];
  });
  const note = qualityNote === undefined ? undefined : markup`<p class="note">${qualityNote}</p>`;
  const overTime = judged.some(({ overTime }) => overTime) ? chartsOverTime : undefined;
  return markup`<section id="quality" aria-labelledby="quality-title">
<h2 id="quality-title">How good</h2>
<p>On each line, bad is left and good is right. A dot is what was measured, and the bar through it a 95 % interval, as
other samples would give other numbers. <span class="key real">Real images</span> get what a perfect network would,
<span class="key noise">noise</span> what one that learnt nothing would${chance}.</p>
${names}
${note}
${figureTable(judged, several)}
${about}
${overTime}
${pictures}
${details("Numbers of these figures", numbersOf(judged))}
</section>`;
}

function figureTable(judged: Judged, several: boolean): Markup {
  const all = judged.flatMap(({ run, quality }) => quality.figures.map((figure) => ({ run, figure })));
  const byTitle = Map.groupBy(all, ({ figure }) => figure.title);
  const groups = [...byTitle.values()].flatMap((figures) => [
    ...Map.groupBy(figures, ({ figure }) => figure.judge).values(),
  ]);
  const rows = groups.map((figures, i) => {
    const [{ figure }] = figures;
    const { title } = figure;
    const isFirst = groups[i - 1]?.[0].figure.title !== title;
    const shown = shownBy(figure);
    const values = figures.map(({ run, figure: { value } }) =>
      markup`<div>${several ? swatch(run) : undefined}${shown(value)}</div>`
    );
    const axis = intervalAxis(figures, shown);
    const caution = figures.some(({ figure }) => noiseWins(figure)) ? noiseWords : undefined;
    return markup`<tr><th scope="row">${
      titleOf(figure)
    }</th><td class="value">${values}</td><td class="line">${axis}</td>
<td class="meaning small">${isFirst ? `${figure.meaning}.` : "By another classifier."}${caution}</td></tr>`;
  });
  return markup`<table class="figures"><tbody>${rows}</tbody></table>`;
}

/** The title of a figure, with its judge. */
function titleOf({ title, judge }: QualityFigure): string {
  return judge === undefined ? title : `${title} (${judge})`;
}

const noiseWords =
  " Noise beats real images here, so a good value alone proves nothing: look at the next ones, too.";

function noiseWins({ better, real = 0, noise = real }: QualityFigure): boolean {
  return better === "higher" ? noise > real : better === "lower" && noise < real;
}

const chartsOverTime = markup`<div class="columns"><div><h3>Straightness over t</h3>
${chart("quality-straightness", "Straightness over t", "low")}
<p class="small">How far the velocity is from that of the straight line from noise to sample, mean square: 0 is straight.</p>
</div>
<div><h3>Curvature over t</h3>
${chart("quality-curvature", "Curvature over t", "low")}
<p class="small">How fast the velocity of a sample changes on its way: 0 if it stays the same.</p></div></div>`;

function pictureOf(
  { shape: [N, K, C, H, W], image, nearest, confidence, classes, labels, second, rank }: JudgedSamples,
  classNames: readonly string[],
): Markup {
  const P = C * H * W;
  checkFilled("judged samples", [N, C, H, W], image.length);
  checkFilled("training images nearest to samples", [N, K, C, H, W], nearest.length);
  for (
    const [name, { length }] of Object.entries({
      ...second,
      confidence,
      classes,
      rank,
      ...labels && { labels },
    })
  ) {
    checkFilled(`${name} of judged samples`, [N], length);
  }
  const cells = Array.from({ length: N }, (_, n) => {
    const pixels = new Float32Array((K + 1) * P);
    pixels.set(image.subarray(n * P, (n + 1) * P));
    pixels.set(nearest.subarray(n * K * P, (n + 1) * K * P), P);
    const png = encodePng(imageGrid(pixels, [K + 1, C, H, W], { columns: 1, gap: 2 }));
    const [name, wanted, other] = [classes, labels, second?.classes].map((of) => {
      return of && (classNames[of[n]] ?? of[n]);
    });
    const sure = second && second.confidence[n].toFixed(2);
    const asked = labels && markup`asked ${wanted}<br>seen `;
    const words = `${labels ? `asked for ${wanted}, ` : ""}seen as ${name}, p = ${confidence[n].toFixed(2)}${
      second ? `; by a second judge as ${other}, p = ${sure}` : ""
    }`;
    const place = `${percent(rank[n], 0)} of samples are less certain`;
    return markup`<figure title="${place}"><img src="data:image/png;base64,${
      base64(png)
    }" alt="A sample and the ${K} training images nearest to it; ${words}">
<figcaption>${asked}${name}<br>${confidence[n].toFixed(2)}${
      second && markup`<br>${other}<br>${sure}`
    }</figcaption></figure>`;
  });
  const asked = labels && ", below the class that was asked for";
  return markup`<div class="judged">${cells}</div>
<p class="small">Each column has a sample on top, then the ${K} training images nearest to it, and the class that the judge, a
small classifier, sees in the sample, with its probability${asked}${
    second && ", and the same by a second judge"
  }. A sample that equals an image below it is a copy.</p>`;
}

function numbersOf(judged: Judged): Markup[] {
  return judged.map(({ name, quality: { figures }, overTime }) => {
    const rows = figures.map((figure) => {
      const shown = shownBy(figure);
      const { value, low, high, real, realCount, noise, cost } = figure;
      const [ofReal, ofNoise] = [real, noise].map((value) => value === undefined ? none : shown(value));
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
    const numbers = table(["", "value", "95 % interval", "real images", "noise", "cost"], rows);
    return markup`<h3>${name}</h3>${numbers}${overTime && tableOverTime(overTime)}`;
  });
}

function tableOverTime({ t, straightness, curvature }: NonNullable<ReportRun["overTime"]>): Markup {
  const rows = t.map((time, i) => [time.toFixed(2), digits(straightness[i]), digits(curvature[i])]);
  return table(["t", "straightness", "curvature"], rows);
}

/** Returns a formatter for the values of a figure. */
function shownBy({ share }: QualityFigure): (value: number) => string {
  return (value) => share ? percent(value) : digits(value);
}

/** Quality of samples against cost, by solver. */
export function solversSection(runs: readonly ReportRun[]): Markup | undefined {
  const compared = runs.flatMap(({ name, solvers }) => solvers ? [{ name, solvers }] : []);
  if (compared.length === 0) return undefined;
  const chosen = compared.map(({ name, solvers }) => {
    const { words, evaluations, frechet } = solvers.find(({ chosen }) => chosen)!;
    const whose = runs.length > 1 ? markup`<b>${name}</b>: ` : undefined;
    return markup`<p>${whose}<b>${words}</b> is the cheapest that may be as good as the best: ${
      countOf(evaluations)
    } evaluations, Fréchet distance ${threeDigits(frechet.value)}.</p>`;
  });
  const numbers = compared.map(({ name, solvers }) => {
    const hasSecond = solvers.some(({ second }) => second);
    const rows = solvers.toSorted((a, b) => a.evaluations - b.evaluations).map((solver) => [
      solver.words,
      countOf(solver.evaluations),
      threeDigits(solver.frechet.value),
      `${threeDigits(solver.frechet.low)} to ${threeDigits(solver.frechet.high)}`,
      percent(solver.confident),
      ...hasSecond ? secondCells(solver) : [],
    ]);
    const head = ["solver", "evaluations", "Fréchet distance", "95 % interval", "recognised"];
    const second = ["Fréchet distance, second judge", "95 % interval", "recognised"];
    return markup`<h3>${name}</h3>
${table([...head, ...hasSecond ? second : []], rows)}`;
  });
  return markup`<section id="solvers" aria-labelledby="solvers-title">
<h2 id="solvers-title">Quality against cost</h2>
<p>A solver follows the network's velocities from noise to an image. All start from the same noise. An evaluation is
one run of the network on one image; a step takes one or several. Lower and further left is better.</p>
${chart("solvers-chart", "Fréchet distance against evaluations, by solver", "tall")}
${chosen}
${details("Numbers of this chart", numbers)}
</section>`;
}

/** The cells of a solver by a second judge. */
function secondCells({ second }: SolverQuality): readonly string[] {
  if (!second) return [none, none, none];
  const { frechet: { value, low, high }, confident } = second;
  return [threeDigits(value), `${threeDigits(low)} to ${threeDigits(high)}`, percent(confident)];
}

/** Formats a number of evaluations, which is a mean for adaptive solvers. */
function countOf(evaluations: number): string {
  return String(Number(evaluations.toFixed(1)));
}

function threeDigits(value: number): string {
  return String(rounded(value, 3));
}
