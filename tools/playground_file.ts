/** The playground as one file that works without a server. */

import { lessonModule } from "../playground/playground_html.ts";
import { playgroundPage } from "../experiments/serve.ts";
import { library } from "../web/flow_text.js";

/** Writes the page or, if the name ends with `.js`, a module that defines the element `<flow-lesson>`. */
export async function writePlayground(file = "playground.html"): Promise<void> {
  const isModule = file.endsWith(".js");
  const text = isModule ? lessonModule(library) : await playgroundPage();
  await Deno.writeTextFile(file, text);
  const next = isModule ? `use <flow-lesson step="average">` : "open it in a browser";
  console.log(`${file}: ${(text.length / 1e6).toFixed(2)} MB; ${next}`);
}
