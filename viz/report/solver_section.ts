import { type Markup, markup } from "./markup.ts";

const tolerances = ["0.1", "0.01", "0.001", "0.0001", "0.00001"];

function tolerance(value: string): Markup {
  return markup`<option${value === "0.001" ? markup` selected` : undefined}>${value}</option>`;
}

/** The controls by which a reader chooses how flows are solved; the page fills in what the library offers. */
export const solverControls = markup`<label>Solver <select id="live-solver"></select></label>
<label>Steps <input id="live-steps" type="number" min="1" max="1000" step="1" value="20" required></label>
<label>Times <select id="live-times"></select></label>
<label hidden>Tolerance <select id="live-tolerance">${tolerances.map(tolerance)}</select></label>`;
