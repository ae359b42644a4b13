import { deflateSync } from "npm:fflate@0.8.3";
import { base64 } from "../viz/image/base64.ts";
import { htmlFile, inScript, Markup, markup } from "../viz/report/markup.ts";
import { type DigitsParts, packedDigits } from "./digits_parts.ts";
import { body, program, style } from "./page.js";

/**
 * The playground as the text of one HTML file that works offline.
 *
 * @param parts the text of `web/flow.js`, and the data for the step on digits, which the page lacks without it
 */
export function playgroundHtml(parts: { readonly library: string; readonly digits?: DigitsParts }): string {
  const { library, digits } = parts;
  const scripts = digits
    ? [
      bytesScript("part-flow", digits.flow),
      bytesScript("part-one-step", digits.oneStep),
      bytesScript("part-judge", digits.judge),
      bytesScript("part-images", packedDigits(digits)),
    ]
    : "";
  return htmlFile(
    "Flow matching, live",
    style,
    markup`${new Markup(body)}
${bytesScript("library", deflateSync(new TextEncoder().encode(library)))}
${scripts}
<script>${inScript(program)}</script>`,
  );
}

/** Embeds bytes for the page's program, as text that browsers do not parse. */
function bytesScript(id: string, bytes: Uint8Array): Markup {
  return markup`<script type="text/plain" id="${id}">${base64(bytes)}</script>`;
}
