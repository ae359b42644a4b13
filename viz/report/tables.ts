import type { Fact, ReportRun, Series } from "./data.ts";
import { type Html, html } from "./html.ts";
import type { Payload } from "./payload.ts";

/** A table of facts, a column for each run; a fact that a run lacks is a dash. */
export function factTable(runs: readonly { readonly name: string; readonly facts: readonly Fact[] }[]): Html {
  const names = [...new Set(runs.flatMap(({ facts }) => facts.map(([name]) => name)))];
  const valueOf = (facts: readonly Fact[], name: string) =>
    facts.find(([known]) => known === name)?.[1] ?? "\u2013";
  const head = html`
    <thead>
      <tr><td></td>${runs.map(({ name }, i) =>
        html`<th scope="col"><span class="swatch" style="background:var(--run-${i % 6})"></span>${name}</th>`
      )}</tr>
    </thead>
  `;
  return html`
    <div class="scroll">
      <table>${runs.length > 1 ? head : undefined}<tbody>${names.map((name) =>
        html`<tr><th scope="row">${name}</th>${
          runs.map(({ facts }) => html`<td>${valueOf(facts, name)}</td>`)
        }</tr>`
      )}</tbody></table>
    </div>
  `;
}

/** A table with a head. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): Html {
  return html`
    <div class="scroll">
      <table>
        <thead>
          <tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr>
        </thead>
        <tbody>${rows.map((row) => html`<tr>${row.map((value) => html`<td>${value}</td>`)}</tr>`)}</tbody>
      </table>
    </div>
  `;
}

/** Something to open. */
export function details(summary: string, ...content: readonly Html[]): Html {
  return html`<details><summary>${summary}</summary>${content}</details>`;
}

/** The numbers of the charts of training, for who cannot see them. */
export function trainingNumbers(runs: readonly ReportRun[], { runs: drawn }: Payload): Html {
  return html`${
    runs.map(({ name, valLoss }, i) => {
      const heading = runs.length > 1 ? html`<h3>${name}</h3>` : undefined;
      const { trainSmoothed, learningRate, lossByTime } = drawn[i];
      return html`${heading}${
        table(["step", "training loss, smoothed", "learning rate"], sparse(trainSmoothed, learningRate))
      }${
        table(["step", "validation loss"], valLoss.step.map((step, k) => [step, digits(valLoss.value[k])]))
      }${
        table(
          ["t", "test loss", "images"],
          lossByTime.map(({ from, to, loss, images }) => [
            `${from.toFixed(1)} to ${to.toFixed(1)}`,
            loss === null ? "\u2013" : digits(loss),
            images,
          ]),
        )
      }`;
    })
  }`;
}

/** About twenty rows of a series and of one beside it. */
function sparse({ step, value }: Series, beside: Series): (string | number)[][] {
  const every = Math.ceil(step.length / 20);
  const rows = step.flatMap((_, i) => i % every === every - 1 || i === step.length - 1 ? [i] : []);
  return rows.map((
    i,
  ) => [step[i], digits(value[i]), beside.value[i] === undefined ? "\u2013" : digits(beside.value[i])]);
}

function digits(value: number): string {
  return String(Number(value.toPrecision(4)));
}
