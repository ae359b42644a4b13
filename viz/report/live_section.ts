import type { ReportData } from "./data.ts";
import { conditionControls } from "./condition_section.ts";
import { judgesOf } from "./live_payload.ts";
import { inScript, type Markup, markup } from "./markup.ts";
import { base64 } from "./quantise.ts";
import { solverControls } from "./solver_section.ts";

/** The controls to sample with, hidden until the page has found a device. */
export const liveControls = markup`<div id="live" role="group" aria-label="Samples drawn in this page" hidden>
<div class="controls"><button id="live-draw" type="button">New noise</button>
<label>Seed <input id="live-seed" type="number" min="0" max="4294967295" step="1" value="1" required></label>
${solverControls}
${conditionControls}
<button id="live-many" type="button">16 from here</button>
<button id="live-stop" type="button" hidden>Stop</button></div>
</div>
<p class="small" id="live-text" aria-live="polite"></p>
<div id="live-grid" class="columns" hidden></div>`;

/** Where the steps are shown that a solver chose for the sample on the screen. */
export const stepPlace = markup`<div id="step-strip" class="strip" hidden></div>`;

/** The brush, below the image that it paints in. */
export const paintTools = markup`<div id="paint-tools" class="tools" hidden>
<button id="paint" type="button" aria-pressed="false">Paint</button>
<div id="brush" role="radiogroup" aria-label="Brush" hidden>
${brush("white", "White")}${brush("black", "Black")}${brush("noise", "Noise")}
<input id="brush-size" type="range" min="1" max="9" step="2" value="3" aria-label="Width of the brush in pixels"></div>
<button id="paint-undo" type="button" title="Undo the painting" aria-label="Undo the painting" hidden>\u21b6</button></div>`;

function brush(value: string, title: string): Markup {
  const checked = value === "white" ? markup` checked` : undefined;
  return markup`<label title="${title}"><input type="radio" name="brush" value="${value}"${checked}>
<span class="brush ${value}"></span><span class="unseen">${title}</span></label>`;
}

/** The library and the weights, as text that costs nothing until it is used. */
export function liveScripts({ runs, live }: ReportData): Markup | undefined {
  const weights = (live?.checkpoints ?? []).flatMap((checkpoint, i) => {
    if (typeof checkpoint === "string" || runs[i].trajectories.length === 0) return [];
    const weaker = live?.weaker?.[i]?.checkpoint;
    return [
      markup`<script type="text/plain" id="checkpoint-${i}">${base64(checkpoint)}</script>\n`,
      ...weaker ? [markup`<script type="text/plain" id="early-${i}">${base64(weaker)}</script>\n`] : [],
    ];
  });
  if (!live || weights.length === 0) return undefined;
  const judges = judgesOf(live).map((judge, i) =>
    markup`<script type="text/plain" id="judge-${i}">${base64(judge)}</script>\n`
  );
  return markup`<script type="text/plain" id="library">${
    inScript(live.library)
  }</script>\n${weights}${judges}`;
}
