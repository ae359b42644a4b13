import type { ReportData } from "./data.ts";
import { type Markup, markup } from "./markup.ts";
import type { Payload } from "./payload.ts";
import { base64 } from "./quantise.ts";
import { chart, details, factTable, trainingNumbers } from "./tables.ts";

/** The outcome of the runs: samples, results, losses, settings. */
export function runSection({ runs, lossWarning }: ReportData, payload: Payload): Markup {
  const several = runs.length > 1;
  const tableOf = (facts: "results" | "settings" | "environment") => {
    return factTable(runs.map((run) => ({ name: run.name, facts: run[facts] })));
  };
  const pictures = runs.flatMap(({ name, samplesPng, samplesText }) => {
    return samplesPng ? [samples(name, samplesPng, samplesText)] : [];
  });
  const results = several ? markup`<h3>Results</h3>${tableOf("results")}` : undefined;
  const warning = lossWarning === undefined ? undefined : markup`<p class="note">${lossWarning}</p>`;
  const beside = several ? undefined : markup`<div>${tableOf("results")}</div>`;
  return markup`<section aria-labelledby="run-title">
<h2 id="run-title">${several ? "The runs" : "The run"}</h2>
<div class="columns">${pictures}${beside}</div>
${warning}
${results}
<h3>Loss</h3>
${chart("loss-chart", "Training and validation loss over the steps")}
<div class="columns">
${payload.runs.some(({ lossByTime }) => lossByTime.length > 0) ? lossOverTime : undefined}
<div><h3>Learning rate</h3>
${chart("rate-chart", "Learning rate over the steps", "low")}</div>
</div>
${details("Numbers of these charts", trainingNumbers(runs, payload))}
${details("Settings", tableOf("settings"))}
${details("Machine and code", tableOf("environment"))}
</section>`;
}

const lossOverTime = markup`<div><h3>Loss over t</h3>
${chart("bins-chart", "Test loss by time t", "low")}
<p class="small">Mean loss of the test images by the t drawn for each. Near t = 0 many images are still possible, so the
best velocity is an average over them, and part of the loss cannot be learnt away.</p></div>`;

function samples(name: string, png: Uint8Array, text?: string): Markup {
  const address = `data:image/png;base64,${base64(png)}`;
  return markup`<figure><img class="samples" src="${address}" alt="Samples of ${name}">
<figcaption>Samples of <b>${name}</b>${text && `: ${text}`}</figcaption></figure>`;
}
