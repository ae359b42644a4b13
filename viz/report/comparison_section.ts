import type { Comparison, ReportRun } from "./data.ts";
import { type Markup, markup } from "./markup.ts";
import type { Payload } from "./payload.ts";
import { chart, details, table } from "./tables.ts";

/** Two models side by side, under the same slider. */
export function comparisonSection(
  all: readonly ReportRun[],
  { shape: [S, T], labels }: Comparison,
  { comparison }: Payload,
): Markup {
  const { difference, t, shape: [, , C], runs: places } = comparison!;
  const runs = places.map((place) => all[place]);
  const ofChannels = C === 1 ? "" : ", mean of the channels";
  const pairs = runs.flatMap((_, a) => runs.map((_, b) => [a, b])).filter(([a, b]) => a < b);
  const numbers = pairs.map(([a, b]) => {
    const rows = t.map((
      time,
      i,
    ) => [time.toFixed(2), ...[a, b].map((p) => difference[p][a][b][i].toFixed(4))]);
    return markup`<h3>${runs[a].name} and ${runs[b].name}</h3>
${table(["t", "on the path of the first", "on the path of the second"], rows)}`;
  });
  const scale =
    markup`v<sub>A</sub> \u2212 v<sub>B</sub> where A is${ofChannels}, <span id="compare-d-scale"></span>`;
  return markup`<section id="compare" aria-labelledby="compare-title">
<h2 id="compare-title">Side by side</h2>
<p>Two models start from the same noise; the slider moves both. On the right is the difference of their velocities at
the same point, on the path of A.</p>
<div class="controls"><label>A <select id="compare-a"></select></label><label>B <select id="compare-b"></select></label>
<label>Noise <select id="compare-sample"></select></label></div>
<div id="comparison"><div class="panels five">
${panel("compare-xa", "A: x at t")}
${panel("compare-va", `A: velocity${ofChannels}`)}
${panel("compare-xb", "B: x at t")}
${panel("compare-vb", `B: velocity${ofChannels}`)}
${panel("compare-d", "Difference", scale)}
</div>
<p class="readout" id="compare-text"></p></div>
<h3>Difference on shared points</h3>
${chart("difference-chart", "Difference of velocities over t", "low")}
<p class="small">Both networks are evaluated at the same ${S} x ${T} points: those that A passes through, then those that B
passes through. Root mean square over pixels and samples.${labels && askedFor(labels)}</p>
${details("Numbers of the difference", markup`${numbers}`)}
</section>`;
}

/** What models with classes were asked for. */
function askedFor(labels: readonly number[]): string {
  return ` Models with classes are asked for class ${
    labels.join(", ")
  } from noise 1 to ${labels.length}, without guidance.`;
}

function panel(id: string, title: string, text?: Markup): Markup {
  return markup`<figure><canvas id="${id}" role="img" aria-label="${title}"></canvas>
<figcaption><b>${title}</b><br>${text}</figcaption></figure>`;
}
