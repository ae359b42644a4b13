import { markup } from "./markup.ts";

/** Test images whose bits per dimension a reader can ask for, hidden until the page knows a network and such images. */
export const bitsControls = markup`<div id="bits" role="group" aria-labelledby="bits-title" hidden>
<h3 id="bits-title">Does the network expect a real image?</h3>
<p class="small">Press a test image: no network learned from it. The page follows it back from t = 1 to noise and sums up how
the flow squeezes space on the way: its likelihood, told in bits per dimension. A code that knows nothing spends 8 bits on
each value of an image; one built on the network spends fewer on what the network expects.</p>
<div id="bits-examples" class="thumbnails"></div>
<div class="controls"><button id="bits-stop" type="button" hidden>Stop</button>
<progress id="bits-progress" aria-label="Way back to noise" max="1" value="0" hidden></progress>
<p class="small" id="bits-text" aria-live="polite"></p></div></div>`;
