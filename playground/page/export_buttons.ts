/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import { programText } from "../program_text.ts";
import type { PlaygroundSettings } from "../settings.ts";

/** Lets the buttons copy the link or the program. @param settings returns the page's settings */
export function offerCopies(settings: () => PlaygroundSettings): void {
  byId("copy-link").addEventListener("click", () => void copy(location.href, "The link"));
  byId("copy-code").addEventListener("click", () => {
    const base = location.protocol === "http:" ? `${location.origin}/` : "./";
    void copy(programText(settings(), base), "The program");
  });
}

function say(words: string): void {
  byId("exported").textContent = words;
}

/** Copies text to the clipboard; if the browser forbids it, shows the text for copying by hand. */
async function copy(text: string, what: string): Promise<void> {
  const shown = byId<HTMLTextAreaElement>("copied");
  shown.value = text;
  try {
    await navigator.clipboard.writeText(text);
    shown.hidden = true;
    say(`${what} was copied.`);
  } catch {
    shown.hidden = false;
    shown.select();
    say(`The browser does not allow copying here. ${what} is below: press Ctrl+C to copy it.`);
  }
}
