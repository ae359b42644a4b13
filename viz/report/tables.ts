import type { Fact, ReportRun, Series } from "./data.ts";
import { type Markup, markup } from "./markup.ts";
import type { Payload } from "./payload.ts";

const none = "\u2013";

/** A table of facts, a column for each run; a fact that a run lacks is a dash. */
export function factTable(
  runs: readonly { readonly name: string; readonly facts: readonly Fact[] }[],
): Markup {
  const names = [...new Set(runs.flatMap(({ facts }) => facts.map(([name]) => name)))];
  const heads = runs.map(({ name }, i) =>
    markup`<th scope="col"><span class="swatch" style="background:var(--run-${i % 6})"></span>${name}</th>`
  );
  const rows = names.map((name) => {
    const cells = runs.map(({ facts }) =>
      markup`<td>${facts.find(([known]) => known === name)?.[1] ?? none}</td>`
    );
    return markup`<tr><th scope="row">${name}</th>${cells}</tr>`;
  });
  const head = runs.length > 1 ? markup`<thead><tr><td></td>${heads}</tr></thead>` : undefined;
  return markup`<div class="scroll"><table>${head}<tbody>${rows}</tbody></table></div>`;
}

/** A table with a head. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): Markup {
  const heads = head.map((name) => markup`<th scope="col">${name}</th>`);
  const body = rows.map((row) => markup`<tr>${row.map((value) => markup`<td>${value}</td>`)}</tr>`);
  return markup`<div class="scroll"><table><thead><tr>${heads}</tr></thead><tbody>${body}</tbody></table></div>`;
}

/** A part of the page that is closed at first. */
export function details(summary: string, content: Markup): Markup {
  return markup`<details><summary>${summary}</summary>${content}</details>`;
}

/** The place of a chart; screen readers are told of a table below with its numbers, unless it has none. */
export function chart(id: string, label: string, height = "", { hasTable = true } = {}): Markup {
  const numbers = hasTable ? "; numbers below" : "";
  return markup`<div id="${id}" class="chart ${height}" role="img" aria-label="${label}${numbers}"></div>`;
}

/** The numbers of the training charts, for readers who cannot see them. */
export function trainingNumbers(runs: readonly ReportRun[], { runs: drawn }: Payload): Markup {
  return markup`${
    runs.map(({ name, valLoss, learningRate }, i) => {
      const { trainSmoothed, lossByTime } = drawn[i];
      const vals = valLoss.step.map((step, k) => [step, digits(valLoss.value[k])]);
      const bins = lossByTime.map(({ from, to, loss, images }) => {
        return [`${from.toFixed(1)} to ${to.toFixed(1)}`, loss === null ? none : digits(loss), images];
      });
      return markup`<h3>${name}</h3>
${table(["step", "training loss, smoothed", "learning rate"], sparse(trainSmoothed, learningRate))}
${table(["step", "validation loss"], vals)}
${table(["t", "test loss", "images"], bins)}`;
    })
  }`;
}

/** About twenty rows of a series, and what another has at the same steps. */
function sparse({ step, value }: Series, beside: Series): (string | number)[][] {
  const every = Math.ceil(step.length / 20);
  const rows = step.flatMap((_, i) => i % every === every - 1 || i === step.length - 1 ? [i] : []);
  return rows.map((i) => {
    const second = beside.value[beside.step.indexOf(step[i])];
    return [step[i], digits(value[i]), second === undefined ? none : digits(second)];
  });
}

/** A number with four digits. */
export function digits(value: number): string {
  return String(Number(value.toPrecision(4)));
}
