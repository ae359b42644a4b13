import { blockSize } from "../flow/quiver.ts";
import { bitsControls } from "./bits_section.ts";
import { liveControls, paintTools, stepPlace } from "./live_section.ts";
import { type Markup, markup } from "./markup.ts";
import { chart } from "./tables.ts";

/**
 * One sample in four linked pictures.
 *
 * @param live whether there are controls to draw new samples and to paint in them
 * @param channels of the images
 */
export function flowSection(live: boolean, channels: number): Markup {
  const ofChannels = channels === 1 ? "" : ` Mean of the ${channels} channels.`;
  const scale = markup`<span id="view-v-scale"></span>`;
  const ring = markup`<div id="brush-ring" class="ring" hidden></div>`;
  const arrows = markup`<canvas id="view-arrows" aria-hidden="true"></canvas>`;
  return markup`<section id="flow" class="${channels === 1 ? "grey" : "colour"}" aria-labelledby="flow-title">
<h2 id="flow-title">The flow, pixel by pixel</h2>
<p>A sample starts as noise and follows the network\u2019s velocity until t = 1. Move the slider at the bottom, play it, or
point at a pixel to see how it changes; click to hold the pixel.</p>
<div class="controls"><div id="explorer-samples" class="thumbnails" role="group" aria-label="Sample"></div>
<label>Model <select id="explorer-run"></select></label></div>
${live ? liveControls : undefined}
<div id="explorer"><div class="panels">
${
    panel(
      "view-x",
      "x at t",
      channels === 1
        ? markup`The image at t: black is 0, white is 1.`
        : markup`The image at t, in its colours.`,
      live ? { over: ring, tools: paintTools } : {},
    )
  }
${
    panel(
      "view-v",
      "Velocity v(x, t)",
      markup`Red brightens, blue darkens, ${scale} per unit of t.${ofChannels}`,
    )
  }
${panel("view-end", "Predicted end", markup`x + (1 \u2212 t) v: where the current velocity leads.`)}
${panel("view-quiver", "The study\u2019s quiver", quiverText(ofChannels), { over: arrows })}
</div>
<p class="readout"><span id="pixel-text" aria-live="polite"></span>
<button id="pixel-release" type="button" hidden>Release pixel</button></p>
<p class="small" id="flow-times"></p>${live ? stepPlace : undefined}</div>
${chart("pixel-chart", "Value and velocity of the chosen pixel over t", "", { hasTable: false })}
${live ? bitsControls : undefined}
</section>`;
}

function quiverText(ofChannels: string): Markup {
  const size = `${blockSize} x ${blockSize}`;
  return markup`The gradient of v averaged over ${size} blocks: where velocity rises, not where anything moves.${ofChannels}`;
}

/** A picture that a reader can point at, with a mark at the pixel. */
function panel(
  id: string,
  title: string,
  text: Markup,
  { over, tools }: { over?: Markup; tools?: Markup | undefined } = {},
): Markup {
  return markup`<figure>
<div class="frame" tabindex="0" data-arrows role="group" aria-label="${title}: arrow keys choose a pixel">
<canvas id="${id}" role="img" aria-label="${title}"></canvas>${over}<div class="mark"></div></div>
<figcaption><b>${title}</b><br>${text}</figcaption>${tools}</figure>`;
}
