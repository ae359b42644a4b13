/** The parts that all pages of the website share: head, links at the top, and search. */
import { htmlFile, inScript, type Markup, markup } from "../../viz/report/markup.ts";
import { searchPage } from "./search_page.js";

/** A link in the website's navigation. */
export interface SiteLink {
  readonly title: string;
  /** Relative to the root of the website. */
  readonly path: string;
}

/** A searchable part of a page: a heading and the text below it. */
export interface SearchSection {
  /** The path of the page, relative to the root of the website. */
  readonly path: string;
  /** The anchor of the heading; empty for the start of the page. */
  readonly anchor: string;
  readonly title: string;
  readonly text: string;
}

/** The file with the sections to search. */
export const searchFile = "search.js";

/** The sections as a script, because pages opened from disk cannot load JSON. */
export function searchScript(sections: readonly SearchSection[]): string {
  return `globalThis.searchSections = ${JSON.stringify(sections)};\n`;
}

/**
 * Builds a page of the website.
 *
 * @param links the links at the top of each page
 */
export function framedPage(
  { path, title, body, links }: {
    readonly path: string;
    readonly title: string;
    readonly body: Markup;
    readonly links: readonly SiteLink[];
  },
): string {
  const root = "../".repeat(path.split("/").length - 1);
  const items = links.map((link) => {
    const isHere = link.path === path ? markup` aria-current="page"` : undefined;
    return markup`<a href="${root + link.path}"${isHere}>${link.title}</a>\n`;
  });
  return htmlFile(
    `${title} \u00b7 Flow matching`,
    style,
    markup`<a class="skip" href="#content">Skip to content</a>
<header><nav aria-label="Site">${items}</nav>
<search><input type="search" data-root="${root}" placeholder="Search" aria-label="Search the docs">
<div id="found" hidden><p role="status"></p><ol></ol></div></search></header>
<main id="content">${body}</main>
<script>${inScript(`(${searchPage})();`)}</script>`,
  );
}

const style = `:root { color-scheme: light dark; --paper: light-dark(#fdfdfb, #14171a);
  --card: light-dark(#f5f4f0, #1d2125); --ink: light-dark(#1f2328, #e8e6e1); --muted: light-dark(#5f666e, #a0a6ac);
  --line: light-dark(#e2e0d9, #33383d); --accent: light-dark(#0b6e67, #52c2b8) }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; overflow-wrap: break-word }
a { color: var(--accent) }
header, main { max-width: 1000px; margin: 0 auto; padding: 0 24px }
header { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; justify-content: space-between;
  padding-top: 16px }
nav { display: flex; flex-wrap: wrap; gap: 0 20px }
nav a { padding: 6px 0 }
nav a[aria-current] { color: var(--ink); font-weight: 600; text-decoration: none }
search { position: relative }
input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--muted); border-radius: 6px;
  padding: 5px 10px; width: 220px }
#found { position: absolute; right: 0; z-index: 1; width: min(500px, calc(100vw - 48px)); max-height: 70vh;
  overflow: auto; background: var(--paper); border: 1px solid var(--muted); border-radius: 6px; padding: 8px 16px }
@media (max-width: 600px) { search, input { width: 100% } #found { left: 0; width: auto } }
#found p { margin: 0; color: var(--muted); font-size: 14px }
#found ol { margin: 0; padding: 0; list-style: none }
#found li { padding: 6px 0; overflow-wrap: anywhere }
.skip { position: absolute; left: -999px }
.skip:focus { left: 24px; top: 2px }
main { padding-bottom: 64px }
h1, h2, h3 { line-height: 1.25; margin: 1.6em 0 .5em; overflow-wrap: anywhere }
h1 { font-size: clamp(1.7rem, 4.5vw, 2.4rem); margin-top: .8em }
:is(h1, h2, h3):target { color: var(--accent) }
img { max-width: 100%; height: auto; background: #fff }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: 14px }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
code { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere }
pre { background: var(--card); padding: 10px 14px; border-radius: 6px; white-space: pre-wrap }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; padding: 0;
  list-style: none }
.cards li { background: var(--card); border-radius: 8px; padding: 10px 14px }
.cards p { margin: 0; font-size: 14px }`;
