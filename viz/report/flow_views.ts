import { pacings } from "../flow/pacing.ts";
import { imageSizeOf } from "../flow/trajectory.ts";
import { hasFewSteps } from "./result_section.ts";
import { colourBar, explorerControls, explorerSection } from "./explorer_section.ts";
import { chart, details, type Markup, markup, table } from "./markup.ts";
import type { Comparison, PlaneTrajectories, ReportData, ReportRun } from "./report_data.ts";
import { quantilesFigure } from "./run_figures.ts";
import { percent, quantiles } from "./series.ts";

/** All views that depend on t, with its slider below the first of them. */
export function flowViews({ runs, comparison }: ReportData): Markup | undefined {
  const first = runs.flatMap(({ trajectories }) => trajectories)[0];
  const isLive = runs.some(({ live }) => live !== undefined);
  const others = [
    runs.some(({ plane }) => plane) ? planeSection(runs) : undefined,
    comparison && comparisonSection(runs, comparison),
  ];
  if (!first) return others.some((view) => view) ? markup`<div>${clockBar()}${others}</div>` : undefined;
  const flow = explorerSection(isLive, imageSizeOf(first)[0]);
  return markup`<div>${flow}${clockBar()}${explorerControls(isLive)}${others}</div>`;
}

/** Links to all sections. */
export function contents({ runs, comparison }: ReportData): Markup {
  const sections = [
    { id: "flow", title: "Flow", isThere: runs.some(({ trajectories }) => trajectories.length > 0) },
    { id: "plane", title: "Trajectories", isThere: runs.some(({ plane }) => plane) },
    { id: "compare", title: "Side by side", isThere: comparison !== undefined },
    { id: "few-steps", title: "Few evaluations", isThere: hasFewSteps(runs) },
    { id: "quality", title: "Quality", isThere: runs.some(({ quality }) => quality) },
    { id: "solvers", title: "Solvers", isThere: runs.some(({ solvers }) => solvers) },
    { id: "training", title: "Training", isThere: true },
    { id: "settings", title: "Settings", isThere: true },
  ];
  const links = sections.filter(({ isThere }) => isThere)
    .map(({ id, title }) => markup`<a href="#${id}">${title}</a> `);
  return markup`<nav class="contents" aria-label="Contents">${links}</nav>`;
}

/** Many samples in a plane. The section holds texts for all runs; the page shows that of the selected run. */
function planeSection(runs: readonly ReportRun[]): Markup {
  const all = runs.flatMap(({ name, plane }) => plane ? [{ name, plane }] : []);
  const ofEach = (words: (plane: PlaneTrajectories) => Markup) =>
    all.map(({ plane }, i) =>
      markup`<div data-plane="${i}"${i > 0 ? markup` hidden` : undefined}>${words(plane)}</div>`
    );
  const numbers = all.map(({ name, plane: { t, speed, straightness, shape: [, N] } }) => {
    const speeds = quantiles(speed, N).median;
    const cosines = quantiles(straightness, N).median;
    const rows = speeds.map((speed, m) => [t[m].toFixed(2), speed.toFixed(3), cosines[m].toFixed(3)]);
    return markup`<h3>${name}</h3>${table(["t", "median speed", "median alignment"], rows)}`;
  });
  const overTime = (quantity: "speed" | "straightness", title: string) => {
    const figure = quantilesFigure(runs, quantity);
    const drawn = chart(`${quantity}-chart`, `${title} over t`, figure, { height: "low", clock: true });
    return markup`<div><h3>${title}</h3>${drawn}</div>`;
  };
  return markup`<section id="plane" aria-labelledby="plane-title">
<h2 id="plane-title">Trajectories through the space of images</h2>
${ofEach(planeText)}
<div class="controls"><label>Model <select id="plane-run"></select></label>
<label>Velocity field <select id="plane-field"></select></label></div>
<div class="plane">
${
    chart("plane-chart", "Samples in the plane of two principal components", undefined, {
      height: "tall",
      hasTable: false,
    })
  }
<figure><canvas id="plane-image" aria-hidden="true"></canvas>
<figcaption id="plane-text" aria-live="polite"></figcaption></figure></div>
${ofEach(classesText)}
<div class="columns">${[overTime("speed", "Speed"), overTime("straightness", "Alignment")]}</div>
<p class="small">Measured over all pixels, not only in the plane. Lines are medians over the samples; bands cover the
middle 80 %. Alignment is the cosine of the angle between the velocity and the straight line from a sample's noise to its
image: 1 if it heads straight there.</p>
${details("Numbers of speed and alignment", numbers)}
</section>`;
}

function planeText({ shape: [M, N], share, real }: PlaneTrajectories): Markup {
  const [first, second] = share.map((part) => percent(part));
  const reals = real.position.length / 2;
  return markup`<p>${N} samples on their way from noise to images (${
    M - 1
  } steps of Euler's method). This map shows only the
  two directions in which real images differ most, their principal components. They account for ${first} + ${second} of the
  variance of real images, so samples that meet here may still look different. The faint symbols are ${reals} real images;
  an arrow shows where the network sends a sample in the next tenth of t. The grey arrows are the velocity field in this plane:
  each is the mean velocity of the samples near it, and the more samples, the stronger.</p>`;
}

/** Explains the colours of the samples: classes by a judge, or those that were requested; and how often they agree. */
function classesText({ judged, conditioning, real }: PlaneTrajectories): Markup {
  const paragraphs: Markup[] = [];
  const hide = markup`<span class="screen"> Click a class in the legend to hide it.</span>`;
  if (judged) {
    paragraphs.push(
      markup`<p class="small">Each symbol is a sample, in the colour and shape of its class, assigned by the
    judge, a small classifier that labels ${
        percent(judged.accuracy)
      } of test images correctly. It assigns a class even to
    samples that look like none.${hide}</p>`,
    );
  } else if (conditioning) {
    paragraphs.push(
      markup`<p class="small">Each symbol is a sample, in the colour and shape of the class that was
    requested.${hide}</p>`,
    );
  } else if (real.classes) {
    paragraphs.push(
      markup`<p class="small">The colours and shapes are the classes of real images. Samples are grey until a
    judge assigns classes to them: evaluate the run, and write this report again.${hide}</p>`,
    );
  }
  if (conditioning) {
    const { labels, guidance } = conditioning;
    const how = guidance === 1 ? "without guidance" : `at guidance ${guidance}`;
    paragraphs.push(
      markup`<p class="small">The samples cycle through all classes, ${how}${
        judged &&
        `; the judge sees the requested class in ${percent(agreement(labels, judged.classes))} of them`
      }.</p>`,
    );
  }
  return markup`${paragraphs}`;
}

/** The share of samples whose requested class is the one that the judge sees. */
function agreement(labels: ArrayLike<number>, seen: ArrayLike<number>): number {
  return Array.from(labels).filter((label, n) => label === seen[n]).length / labels.length;
}

/** Two models side by side. */
function comparisonSection(
  all: readonly ReportRun[],
  compared: Comparison,
): Markup {
  const { shape: [S, T, C], t, runs: places, labels, difference } = compared;
  const runs = places.map((place) => all[place]);
  const ofChannels = C === 1 ? "" : ", mean over channels";
  const pairs = runs.flatMap((_, a) => runs.map((_, b) => [a, b])).filter(([a, b]) => a < b);
  const numbers = pairs.map(([a, b]) => {
    const rows = Array.from(t, (time, i) => {
      return [time.toFixed(2), ...[a, b].map((p) => difference[p][a][b][i].toFixed(4))];
    });
    return markup`<h3>${runs[a].name} and ${runs[b].name}</h3>
${table(["t", "on trajectories of the first", "on trajectories of the second"], rows)}`;
  });
  const { classNames = [] } = runs.find(({ classNames }) => classNames) ?? {};
  const classes = labels?.map((label) => classNames[label] ?? label).join(", ");
  const drawn = labels &&
    ` Models with classes draw classes ${classes} from noises 1 to ${labels.length}, without guidance.`;
  const scale = markup`v<sub>A</sub> \u2212 v<sub>B</sub> at A's position${ofChannels}, ${
    colourBar("signed")
  } <span id="compare-d-scale"></span>`;
  return markup`<section id="compare" aria-labelledby="compare-title">
<h2 id="compare-title">Side by side</h2>
<p>Two models start from the same noise, and the slider moves both. The rightmost picture is the difference of their
velocities at the same point, on the trajectory of A.</p>
<div class="controls"><label>A <select id="compare-a"></select></label><label>B <select id="compare-b"></select></label>
<label>Noise <select id="compare-sample"></select></label></div>
<div id="comparison"><div class="panels five">
${comparedPanel("compare-xa", "A: x at t", C === 1 ? markup`0 ${colourBar("image")} 1` : undefined)}
${
    comparedPanel(
      "compare-va",
      `A: velocity${ofChannels}`,
      markup`${colourBar("signed")} from darker to brighter`,
    )
  }
${comparedPanel("compare-xb", "B: x at t")}
${comparedPanel("compare-vb", `B: velocity${ofChannels}`)}
${comparedPanel("compare-d", "Difference", scale)}
</div>
<p class="readout" id="compare-text"></p></div>
<h3>Difference at shared points</h3>
${chart("difference-chart", "Difference of velocities over t", undefined, { height: "low", clock: true })}
<p class="small">Both networks are evaluated at the same ${S} x ${T} points, once on the trajectories of A and once on those
of B. Root mean square over pixels and samples.${drawn}</p>
${details("Numbers of the difference", numbers)}
</section>`;
}

function comparedPanel(id: string, title: string, text?: Markup): Markup {
  return markup`<figure><canvas id="${id}" role="img" aria-label="${title}"></canvas>
<figcaption><b>${title}</b><br>${text}</figcaption></figure>`;
}

function clockBar(): Markup {
  const options = pacings.map((name) => markup`<option value="${name}">${name}</option>`);
  return markup`<div id="clock" class="clock" role="group" aria-label="Time of the flow">
<button id="play" type="button">Play</button>
<input id="time" type="range" min="0" max="100" step="1" value="50" aria-label="Time t, 0 noise to 1 data">
<output id="time-text" for="time">t = 0.50</output>
<label><span>Pacing </span><select id="pacing" aria-label="Pacing">${options}</select></label></div>`;
}
