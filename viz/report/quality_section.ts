import { grid } from "../image/grid.ts";
import { encodePng } from "../image/png.ts";
import { checkFilled } from "./check_data.ts";
import type { ReportData } from "./data.ts";
import { intervalAxis } from "./interval_axis.ts";
import { type Markup, markup } from "./markup.ts";
import type { JudgedSamples, Quality, QualityFigure } from "./quality.ts";
import { base64 } from "./quantise.ts";
import { chart, details, digits, table } from "./tables.ts";

/** Runs with their quality and their numbers among all runs. */
type Judged = readonly { readonly run: number; readonly name: string; readonly quality: Quality }[];

const best = { higher: "high is good", lower: "low is good", real: "near real images is good" } as const;

/** How good the networks are: figures with intervals between real images and noise, and samples, worst first. */
export function qualitySection(
  { runs, qualityWarning }: Pick<ReportData, "runs" | "qualityWarning">,
): Markup | undefined {
  const judged = runs.flatMap(({ name, quality }, run) => quality ? [{ run, name, quality }] : []);
  if (judged.length === 0) return undefined;
  const several = runs.length > 1;
  const about = judged.map(({ name, quality }) =>
    markup`<p class="small">${several ? markup`<b>${name}</b>: ` : undefined}${quality.how}</p>`
  );
  const pictures = judged.flatMap(({ name, quality: { samples } }) =>
    samples
      ? [markup`<h3>Samples${several ? ` of ${name}` : ""}, least certain first</h3>${pictureOf(samples)}`]
      : []
  );
  const warning = qualityWarning === undefined ? undefined : markup`<p class="note">${qualityWarning}</p>`;
  const course = judged.some(({ quality }) => quality.course) ? courseCharts : undefined;
  return markup`<section id="quality" aria-labelledby="quality-title">
<h2 id="quality-title">How good</h2>
<p>Dots are measured, lines through them are 95 % intervals. <span class="key real">Real images</span> give what a
perfect network would; <span class="key noise">noise</span> gives what a network that learnt nothing would.</p>
${warning}
${figureTable(judged, several)}
${about}
${course}
${pictures}
${details("Numbers of these figures", numbersOf(judged))}
</section>`;
}

function figureTable(judged: Judged, several: boolean): Markup {
  const titles = [...new Set(judged.flatMap(({ quality }) => quality.figures.map(({ title }) => title)))];
  const rows = titles.map((title) => {
    const figures = judged.flatMap(({ run, quality }) => {
      const figure = quality.figures.find((figure) => figure.title === title);
      return figure ? [{ run, figure }] : [];
    });
    const [{ figure }] = figures;
    const shown = shownBy(figure);
    const values = figures.map(({ run, figure: { value } }) =>
      markup`<div>${
        several ? markup`<span class="swatch" style="background:var(--run-${run % 6})"></span>` : undefined
      }${shown(value)}</div>`
    );
    return markup`<tr><th scope="row">${title}<br><span class="small">${best[figure.better]}</span></th>
<td class="value">${values}</td><td>${
      intervalAxis(figures, shown)
    }</td><td class="meaning small">${figure.meaning}.</td></tr>`;
  });
  return markup`<div class="scroll"><table class="figures"><tbody>${rows}</tbody></table></div>`;
}

const courseCharts = markup`<div class="columns"><div><h3>Straightness over t</h3>
${
  chart("quality-straightness", "Mean squared difference between velocity and straight line over t", "low")
}</div>
<div><h3>Curvature over t</h3>
${chart("quality-curvature", "Change of the velocity along the way over t", "low")}</div></div>`;

function pictureOf(
  { shape: [N, K, C, H, W], image, nearest, confidence, classes, rank }: JudgedSamples,
): Markup {
  const P = C * H * W;
  checkFilled("judged samples", [N, C, H, W], image.length);
  checkFilled("training images nearest to samples", [N, K, C, H, W], nearest.length);
  for (const [name, { length }] of Object.entries({ confidence, classes, rank })) {
    checkFilled(`${name} of judged samples`, [N], length);
  }
  const cells = Array.from({ length: N }, (_, n) => {
    const pixels = new Float32Array((K + 1) * P);
    pixels.set(image.subarray(n * P, (n + 1) * P));
    pixels.set(nearest.subarray(n * K * P, (n + 1) * K * P), P);
    const png = encodePng(grid(pixels, [K + 1, C, H, W], { columns: 1, gap: 2 }));
    const words = `class ${classes[n]}, p = ${confidence[n].toFixed(2)}`;
    const place = `${(100 * rank[n]).toFixed(0)} % of samples are less certain`;
    return markup`<figure title="${place}"><img src="data:image/png;base64,${
      base64(png)
    }" alt="A sample and the ${K} training images nearest to it; ${words}">
<figcaption>${classes[n]}<br>${confidence[n].toFixed(2)}</figcaption></figure>`;
  });
  return markup`<div class="judged">${cells}</div>
<p class="small">Each column is a sample, below it the ${K} training images nearest to it, then the class that the judge sees
and its probability. A sample that equals an image below it is a copy.</p>`;
}

function numbersOf(judged: Judged): Markup {
  return markup`${
    judged.map(({ name, quality: { figures, course } }) => {
      const rows = figures.map((figure) => {
        const shown = shownBy(figure);
        const { title, value, low, high, real, noise, cost } = figure;
        const optional = (value: number | undefined) => value === undefined ? "\u2013" : shown(value);
        return [
          title,
          shown(value),
          `${shown(low)} to ${shown(high)}`,
          optional(real),
          optional(noise),
          cost,
        ];
      });
      return markup`<h3>${name}</h3>${
        table(["", "value", "95 % interval", "real images", "noise", "cost"], rows)
      }${course && courseTable(course)}`;
    })
  }`;
}

function courseTable({ t, straightness, curvature }: NonNullable<Quality["course"]>): Markup {
  const rows = t.map((time, i) => [time.toFixed(2), digits(straightness[i]), digits(curvature[i])]);
  return table(["t", "straightness", "curvature"], rows);
}

/** How values of a figure are written. */
function shownBy({ share }: QualityFigure): (value: number) => string {
  return (value) => share ? `${(100 * value).toFixed(1)} %` : digits(value);
}
