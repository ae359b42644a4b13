import { type Markup, markup } from "./markup.ts";

/** A paragraph, or a list below its heading. */
export type Passage = string | { readonly heading: string; readonly items: readonly string[] };

/** Shows passages below each other. */
export function shownPassages(passages: readonly Passage[]): Markup[] {
  return passages.map((passage) => {
    if (typeof passage === "string") return markup`<p>${passage}</p>\n`;
    const { heading, items } = passage;
    return markup`<p>${heading}:</p>\n<ul>\n${items.map((item) => markup`<li>${item}</li>\n`)}</ul>\n`;
  });
}
