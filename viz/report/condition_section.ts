import { markup } from "./markup.ts";

/**
 * The controls for class and guidance, hidden until the page knows a network that has classes or can be guided without.
 */
export const conditionControls = markup`<span id="live-condition" hidden>
<label id="live-class-label">Class <select id="live-class"></select></label>
<label>Guidance <input id="live-guidance" type="number" min="0" max="20" step="any" value="1.5" required></label></span>`;
