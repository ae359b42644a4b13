import { colormap } from "../image/colormap.ts";
import { reportMaps } from "./page_data.ts";
import { chart, details, type Markup, markup } from "./markup.ts";

const tolerances = ["0.1", "0.01", "0.001", "0.0001", "0.00001"];

function tolerance(value: string): Markup {
  return markup`<option${value === "0.001" ? markup` selected` : undefined}>${value}</option>`;
}

/** The solver's controls; the page adds the names that the library offers. */
const solverControls =
  markup`<label>Seed <input id="live-seed" type="number" min="0" max="4294967295" step="1" value="1" required></label>
<label>Solver <select id="live-solver"></select></label>
<label>Steps <input id="live-steps" type="number" min="1" max="1000" step="1" value="20" required></label>
<label>Times <select id="live-times"></select></label>
<label hidden>Tolerance <select id="live-tolerance">${tolerances.map(tolerance)}</select></label>`;

/** The controls for new samples, hidden until the page has a device. */
const liveControls = markup`<div id="live" role="group" aria-label="New samples" hidden>
<div class="controls"><button id="live-draw" type="button">New noise</button>
<label id="live-class-label" hidden>Class <select id="live-class"></select></label>
<label id="live-slide-label" hidden>Guidance
<input id="live-slide" type="range" min="1" step="0.05"><output id="live-slide-value"></output></label>
<button id="live-stop" type="button" hidden>Stop</button></div>
<details id="live-more"><summary>More</summary><div class="controls">
${solverControls}
<label id="live-guidance-label" hidden>Guidance
<input id="live-guidance" type="number" min="0" max="20" step="any" value="1.5" required></label>
<button id="live-many" type="button">Draw 16</button>
<button id="live-compare" type="button">Compare steps</button></div></details>
</div>
<p class="small" id="live-text" aria-live="polite"></p>`;

/** A bar with the colours of images from 0 to 1, or of signed values from blue below 0 to red above. */
export function colourBar(use: keyof typeof reportMaps): Markup {
  const palette = colormap(reportMaps[use]);
  const stops = Array.from(
    { length: 9 },
    (_, i) => `rgb(${palette.subarray(3 * Math.round(255 * i / 8)).slice(0, 3)})`,
  );
  if (use === "signed") stops.reverse(); // its palette starts with red
  return markup`<span class="bar" style="background:linear-gradient(to right,${stops.join()})"></span>`;
}

/** The brush, shown below the image. */
const paintTools = markup`<div id="paint-tools" class="tools" hidden>
<button id="paint" type="button" aria-pressed="false">Paint</button>
<div id="brush" role="radiogroup" aria-label="Brush" hidden>
${brush("white", "White")}${brush("black", "Black")}${brush("noise", "Noise")}
<input id="brush-size" type="range" min="1" max="9" step="2" value="3" aria-label="Brush width in pixels"></div>
<button id="paint-undo" type="button" title="Undo painting" aria-label="Undo painting" hidden>\u21b6</button></div>`;

function brush(value: string, title: string): Markup {
  const checked = value === "white" ? markup` checked` : undefined;
  return markup`<label title="${title}"><input type="radio" name="brush" value="${value}"${checked}>
<span class="brush ${value}"></span><span class="unseen">${title}</span></label>`;
}

/**
 * Renders one sample as three linked pictures.
 *
 * @param live whether to add a brush
 * @param channels number of channels of the images
 */
export function explorerSection(live: boolean, channels: number): Markup {
  const ofChannels = channels === 1 ? "" : ` Mean over the ${channels} channels.`;
  const values = channels === 1 ? markup`<br>0 ${colourBar("image")} 1` : undefined;
  const imageText = markup`Noise at t = 0, an image at t = 1.${values}`;
  const scale = markup`<span id="view-v-scale"></span>`;
  const velocityText = markup`How each pixel changes: blue darkens, red brightens.${ofChannels}
<br>${colourBar("signed")} ${scale} per unit of t`;
  const ring = markup`<div id="brush-ring" class="ring" hidden></div>`;
  const endText = markup`x + (1 \u2212 t) v: the image at t = 1 if the velocity stayed the same.`;
  return markup`<section id="flow" class="${channels === 1 ? "grey" : "colour"}" aria-labelledby="flow-title">
<h2 id="flow-title">The flow</h2>
<div id="explorer"><div class="panels three">
${panel("view-x", "The image x at t", imageText, live ? { over: ring, tools: paintTools } : {})}
${panel("view-v", "Its velocity v", velocityText)}
${panel("view-end", "Predicted end", endText)}
</div></div>
</section>`;
}

const pixelLabel = "Value and velocity of the selected pixel over t";
const pixelChart = chart("pixel-chart", pixelLabel, undefined, { clock: true, hasTable: false });

/** The controls that choose the sample, and facts about it, below the time. */
export function explorerControls(live: boolean): Markup {
  return markup`<div id="flow-more" role="group" aria-label="Samples of the flow">
${live ? liveControls : undefined}
<div class="controls"><div id="explorer-samples" class="thumbnails" role="group" aria-label="Sample"></div>
<label>Model <select id="explorer-run"></select></label></div>
${live ? markup`<div id="live-grid" class="columns" hidden></div>` : undefined}
<p class="readout"><span id="pixel-text" aria-live="polite"></span>
<button id="pixel-release" type="button" hidden>Release pixel</button></p>
<p class="small" id="flow-times"></p>
<p class="small screen">Point at a pixel to see how it changes; click to keep it selected.</p>
${live ? markup`<div id="step-strip" class="strip" hidden></div>` : undefined}
${details("The selected pixel over t", pixelChart)}
</div>`;
}

/** A picture with a mark at the selected pixel. */
function panel(
  id: string,
  title: string,
  text: Markup,
  { over, tools }: { over?: Markup; tools?: Markup | undefined } = {},
): Markup {
  return markup`<figure>
<div class="frame" tabindex="0" data-arrows role="group" aria-label="${title}: arrow keys select a pixel">
<canvas id="${id}" role="img" aria-label="${title}"></canvas>${over}<div class="mark"></div></div>
<figcaption><b>${title}</b><br>${text}</figcaption>${tools}</figure>`;
}
