import type { ReportData, ReportRun } from "./data.ts";
import { type Html, html } from "./html.ts";
import type { Payload } from "./payload.ts";
import { base64 } from "./quantise.ts";
import { details, factTable, table, trainingNumbers } from "./tables.ts";

/** What came of the runs: samples, results, losses, settings. */
export function runSection({ runs }: ReportData, payload: Payload): Html {
  const pictures = runs.flatMap(({ name, samplesPng }) =>
    samplesPng ? [samplesFigure(name, samplesPng)] : []
  );
  const binned = runs.some(({ lossByTime = [] }) => lossByTime.length > 0);
  return html`<section aria-labelledby="run-title">
<h2 id="run-title">${runs.length > 1 ? "The runs" : "The run"}</h2>
<div class="columns">${pictures}<div>${
    factTable(runs.map(({ name, results }) => ({ name, facts: results })))
  }</div></div>
<h3>Loss</h3>
<div id="loss-chart" class="chart" role="img" aria-label="Training and validation loss over the steps; numbers below"></div>
<div class="columns">
${
    binned
      ? html`
        <div>
          <h3>Where in time it errs</h3>
          <div id="bins-chart" class="chart low" role="img" aria-label="Test loss by time t; numbers below"></div>
          <p
            class="small">Mean loss of the test images by the time t that was drawn for each. Near t = 0 the end of the way is
        still open, so the best velocity is an average over digits and some of the loss cannot be learnt away.</p>
        </div>
      `
      : html`<div id="bins-chart" hidden></div>`
  }
<div><h3>Learning rate</h3>
<div id="rate-chart" class="chart low" role="img" aria-label="Learning rate over the steps; numbers below"></div></div>
</div>
${details("Numbers of these charts", trainingNumbers(runs, payload))}
${details("Settings", factTable(runs.map(({ name, settings }) => ({ name, facts: settings }))))}
${details("Machine and code", factTable(runs.map(({ name, environment }) => ({ name, facts: environment }))))}
</section>`;
}

function samplesFigure(name: string, png: Uint8Array): Html {
  return html`<figure><img class="samples" src="data:image/png;base64,${
    base64(png)
  }" alt="Samples of ${name}">
<figcaption>Samples of <b>${name}</b></figcaption></figure>`;
}

/** One sample in four linked pictures. */
export function flowSection(): Html {
  const panel = (id: string, title: string, text: Html, over?: Html) =>
    html`
      <figure>
        <div class="frame" tabindex="0" data-arrows role="img" aria-label="${title}: arrow keys choose a pixel">
      <canvas id="${id}"></canvas>${over}<div class="mark"></div></div>
        <figcaption><b>${title}</b><br>${text}</figcaption>
      </figure>
    `;
  return html`
    <section id="flow" aria-labelledby="flow-title">
      <h2 id="flow-title">The flow, pixel by pixel</h2>
      <p>A sample starts as noise and follows the velocity that the network gives it, until t = 1. Move the slider at the
    bottom, play it, or point at a pixel to see what becomes of it; a click holds the pixel.</p>
      <div class="controls"><div id="explorer-samples" class="thumbnails" role="group" aria-label="Sample"></div>
    <label>Model <select id="explorer-run"></select></label></div>
      <div id="explorer">
        <div class="panels">
    ${panel("view-x", "x at t", html`The image on its way, black 0, white 1.`)}
    ${panel(
      "view-v",
      "Velocity v(x, t)",
      html`Red brightens, blue darkens, <span id="view-v-scale"></span> a unit of t.`,
    )}
    ${panel("view-end", "Predicted end", html`x + (1 \u2212 t) v: where the current velocity would lead.`)}
    ${panel(
      "view-quiver",
      "The study\u2019s quiver",
      html`The gradient of v averaged over 4 x 4 blocks: where velocity rises, not
where anything moves.`,
      html`<canvas id="view-arrows" aria-hidden="true"></canvas>`,
    )}
        </div>
        <p
          class="readout"><span id="pixel-text" aria-live="polite"></span><button id="pixel-release" hidden>Release pixel</button></p>
        <p class="small" id="flow-times"></p>
      </div>
      <div id="pixel-chart" class="chart low" role="img"
        aria-label="Value and velocity of the chosen pixel over t"></div>
    </section>
  `;
}

/** Many samples in a plane. */
export function pathsSection(runs: readonly ReportRun[], payload: Payload): Html {
  const { shape: [M, N], share, classifier, real } = runs.find(({ paths }) => paths)!.paths!;
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
  return html`<section id="paths" aria-labelledby="paths-title">
<h2 id="paths-title">Paths through the space of images</h2>
<p>${N} samples on their way (${
    M - 1
  } Euler steps), seen along the two directions in which real images differ most. This
plane is a linear projection and holds ${percent(share[0])} + ${
    percent(share[1])
  } of the variance of real images: samples
that meet here may be far apart in the other directions. Faint points are ${real.classes.length} real images; arrows are
the velocity in this plane, a tenth of t ahead.</p>
<div class="controls"><label>Model <select id="paths-run"></select></label></div>
<div class="plane"><div id="paths-chart" class="chart tall" role="img" aria-label="Samples in the plane of two principal components"></div>
<figure><canvas id="paths-image" aria-hidden="true"></canvas><figcaption id="paths-text" aria-live="polite"></figcaption></figure></div>
<p class="small">Colours are classes by the five nearest real images along 20 components, a simple classifier that is right
on ${classifier.right} of ${classifier.tried} held-out images (${
    percent(classifier.right / classifier.tried)
  }); of samples
that are no digits it names one all the same. A click on a class in the legend hides it.</p>
<div class="columns">
<div><h3>Speed</h3><div id="speed-chart" class="chart low" role="img" aria-label="Speed over t; numbers below"></div></div>
<div><h3>Straightness</h3><div id="straightness-chart" class="chart low" role="img" aria-label="Straightness over t; numbers below"></div></div>
</div>
<p class="small">Over all pixels, not the plane alone: the median of the samples and the band of the middle eight tenths.
Straightness is the cosine between velocity and x1 \u2212 x0; a flow of straight lines has 1 throughout.</p>
${
    details(
      "Numbers of speed and straightness",
      html`${
        payload.runs.map(({ name, paths }) =>
          paths &&
          html`${runs.length > 1 ? html`<h3>${name}</h3>` : undefined}${
            table(
              ["t", "median speed", "median straightness"],
              paths.speed.median.map((speed, m) => {
                return [paths.t[m].toFixed(2), speed.toFixed(3), paths.straightness.median[m].toFixed(3)];
              }),
            )
          }`
        )
      }`,
    )
  }
</section>`;
}

/** Two models side by side. */
export function comparisonSection({ runs, comparison }: ReportData, payload: Payload): Html {
  const { difference, t } = payload.comparison!;
  const [S] = comparison!.shape;
  const panel = (id: string, title: string) =>
    html`
      <figure>
        <canvas id="${id}" role="img" aria-label="${title}"></canvas>
        <figcaption><b>${title}</b></figcaption>
      </figure>
    `;
  const pairs = runs.flatMap((_, a) => runs.map((_, b) => [a, b])).filter(([a, b]) => a < b);
  return html`<section id="compare" aria-labelledby="compare-title">
<h2 id="compare-title">Side by side</h2>
<p>Models from the same noise, by the same slider. On the right v_A \u2212 v_B at one point, that on the way of A: what the
networks answer differently when asked the same.</p>
<div class="controls"><label>A <select id="compare-a"></select></label><label>B <select id="compare-b"></select></label>
<label>Noise <select id="compare-sample"></select></label></div>
<div id="comparison"><div class="panels five">${panel("compare-xa", "A: x at t")}${
    panel("compare-va", "A: velocity")
  }${panel("compare-xb", "B: x at t")}${panel("compare-vb", "B: velocity")}${
    panel("compare-d", "v_A \u2212 v_B")
  }</div>
<p class="readout" id="compare-text"></p></div>
<h3>Difference on shared points</h3>
<div id="difference-chart" class="chart low" role="img" aria-label="Difference of velocities over t; numbers below"></div>
<p class="small">Both networks are evaluated at the same ${S} x ${t.length} points, once those that A passes through and once
those that B does; root mean square over pixels and samples.</p>
${
    details(
      "Numbers of the difference",
      html`${
        pairs.map(([a, b]) =>
          html`<h3>${runs[a].name} and ${runs[b].name}</h3>${
            table(
              ["t", "on the way of the first", "on the way of the second"],
              t.map((time, i) => {
                return [
                  time.toFixed(2),
                  difference[a][a][b][i].toFixed(4),
                  difference[b][a][b][i].toFixed(4),
                ];
              }),
            )
          }`
        )
      }`,
    )
  }
</section>`;
}

/** The slider of t, for all views. */
export function clock(): Html {
  const pacings = ["linear", "quadratic", "inv_quadratic", "logarithmic"];
  return html`<div id="clock" class="clock" role="group" aria-label="Time of the flow">
<button id="play" type="button">Play</button>
<input id="time" type="range" min="0" max="100" step="1" value="50" aria-label="Time t, 0 noise to 1 data">
<output id="time-text" for="time">t = 0.50</output>
<label><span>Pacing </span><select id="pacing" aria-label="Pacing">${
    pacings.map((name) => html`<option value="${name}">${name.replace("inv_", "inverse ")}</option>`)
  }</select></label></div>`;
}
