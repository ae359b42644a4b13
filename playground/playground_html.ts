import { deflated, htmlFile, inScript, Markup, markup } from "../viz/report/markup.ts";
import { packed } from "../viz/report/packing.ts";
import type { DigitsParts } from "./digits_parts.ts";
import { body, program, style } from "./page.js";

/**
 * The playground as the text of one HTML file that works offline.
 *
 * @param parts the text of `web/flow.js`, and the data for the step on digits, which the page lacks without it
 */
export function playgroundHtml(parts: { readonly library: string; readonly digits?: DigitsParts }): string {
  const { library, digits } = parts;
  const embedded = digits && packed(digits);
  return htmlFile(
    "Flow matching, live",
    style,
    markup`${new Markup(body)}
${deflated("library", new TextEncoder().encode(library))}
${embedded && [deflated("digits-data", embedded.data), deflated("digits-files", embedded.files)]}
<script>${inScript(program)}</script>`,
  );
}
