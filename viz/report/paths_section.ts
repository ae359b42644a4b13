import type { Paths, ReportRun } from "./data.ts";
import { type Markup, markup } from "./markup.ts";
import type { Payload } from "./payload.ts";
import { chart, details, table } from "./tables.ts";

/** Many samples in a plane; at least one of the runs must have paths. The page shows the words on the chosen run. */
export function pathsSection(runs: readonly ReportRun[], payload: Payload): Markup {
  const all = runs.flatMap(({ paths }) => paths ?? []);
  const ofEach = (words: (paths: Paths) => Markup) =>
    all.map((paths, i) =>
      markup`<div data-paths="${i}"${i > 0 ? markup` hidden` : undefined}>${words(paths)}</div>`
    );
  const numbers = payload.runs.map(({ name, paths }) => {
    if (!paths) return undefined;
    const rows = paths.speed.median.map((speed, m) => {
      return [paths.t[m].toFixed(2), speed.toFixed(3), paths.straightness.median[m].toFixed(3)];
    });
    return markup`<h3>${name}</h3>${table(["t", "median speed", "median straightness"], rows)}`;
  });
  return markup`<section id="paths" aria-labelledby="paths-title">
<h2 id="paths-title">Paths through the space of images</h2>
${ofEach(planeText)}
<div class="controls"><label>Model <select id="paths-run"></select></label></div>
<div class="plane">
${chart("paths-chart", "Samples in the plane of two principal components", "tall", { hasTable: false })}
<figure><canvas id="paths-image" aria-hidden="true"></canvas>
<figcaption id="paths-text" aria-live="polite"></figcaption></figure></div>
${
    ofEach(({ classifier, classes, asked }) =>
      markup`${classifier && classesText(classifier)}${asked && askedText(asked, classes)}`
    )
  }
<div class="columns">
<div><h3>Speed</h3>${chart("speed-chart", "Speed over t", "low")}</div>
<div><h3>Straightness</h3>${chart("straightness-chart", "Straightness over t", "low")}</div>
</div>
<p class="small">Over all pixels, not only in the plane: the median of the samples, with a band from the 10 % to the 90 %
quantile. Straightness is the cosine between velocity and x1 \u2212 x0: it is 1 throughout where paths are straight
lines.</p>
${details("Numbers of speed and straightness", markup`${numbers}`)}
</section>`;
}

/** What is drawn. */
function planeText({ shape: [M, N], share: [first, second], real }: Paths): Markup {
  return markup`<p>${N} samples on their way (${
    M - 1
  } Euler steps, each one evaluation of the network), along the two directions in which real images differ most. This plane
is a linear projection and holds ${percent(first)} + ${
    percent(second)
  } of the variance of real images: samples that meet
here may be far apart in the other directions. Faint points are ${
    real.position.length / 2
  } real images; arrows show the
velocity in this plane, a tenth of t ahead.</p>`;
}

/** How classes were found, and how far to trust them. */
function classesText({ right, tried }: { readonly right: number; readonly tried: number }): Markup {
  return markup`<p class="small">Colours and shapes are classes, by a vote of the five nearest real images along 20
components. This simple classifier is right on ${right} of ${tried} held-out images (${
    percent(right / tried)
  }); it names
a class even for samples that look like none. Click a class in the legend to hide it.</p>`;
}

/** What the samples were asked to be, and how often they seem to be it. */
function askedText({ labels, guidance }: NonNullable<Paths["asked"]>, classes: Paths["classes"]): Markup {
  const how = guidance === 1 ? "without guidance" : `at guidance ${guidance}`;
  const hits = classes && Array.from(labels).filter((label, n) => label === classes[n]).length;
  const seen = hits === undefined
    ? undefined
    : markup`; the classifier sees the class asked for in ${percent(hits / labels.length)} of them`;
  return markup`<p class="small">The samples were asked to be of all classes in turn, ${how}${seen}.</p>`;
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}
