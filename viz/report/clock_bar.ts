import { pacings } from "../flow/pacing.ts";
import { type Markup, markup } from "./markup.ts";

/** The slider of t, for all views. */
export function clockBar(): Markup {
  const options = pacings.map((name) => markup`<option value="${name}">${name}</option>`);
  return markup`<div id="clock" class="clock" role="group" aria-label="Time of the flow">
<button id="play" type="button">Play</button>
<input id="time" type="range" min="0" max="100" step="1" value="50" aria-label="Time t, 0 noise to 1 data">
<output id="time-text" for="time">t = 0.50</output>
<label><span>Pacing </span><select id="pacing" aria-label="Pacing">${options}</select></label></div>`;
}
