/** The docs as HTML pages: README.md and everything that it links to. */
import { posix } from "node:path";
import { Marked, type Token } from "npm:marked@18.2.1";
import { Markup, markup } from "../../viz/report/markup.ts";
import type { SearchSection } from "./page_frame.ts";

/** A page without its frame. */
export interface SitePage {
  /** Relative to the root of the website. */
  readonly path: string;
  readonly title: string;
  /** The first sentence. */
  readonly about: string;
  readonly body: Markup;
  readonly sections: readonly SearchSection[];
}

/** Pages, and the files that they show, by path relative to the root of the website. */
export interface SitePages {
  readonly pages: readonly SitePage[];
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** Reads a file of the repository; undefined if there is none. */
export type Read = (path: string) => Promise<Uint8Array<ArrayBuffer> | undefined>;

/** Files that are copied unchanged; all others that are not Markdown become pages of code. */
const asIs = /\.(png|gif|html|ipynb)$/;

/** The page of a file in the repository. */
function pageOf(file: string): string {
  if (file === "README.md") return "index.html";
  return asIs.test(file) ? file : `${file.replace(/\.md$/, "")}.html`;
}

/** The address of a page of the website, relative to another page. */
export function addressFrom(page: string, target: string): string {
  return posix.relative(posix.dirname(page), target);
}

/** Builds pages of README.md and of everything it links to. Links to unreadable files become text. */
export async function sitePages(read: Read): Promise<SitePages> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const left = ["README.md"];
  for (const file of left) {
    const bytes = await read(file);
    if (bytes === undefined) continue;
    files.set(file, bytes);
    if (!file.endsWith(".md")) continue;
    marked.walkTokens(marked.lexer(textOf(bytes)), (token) => {
      if (token.type !== "link" && token.type !== "image") return;
      const target = targetOf(file, token.href)?.file;
      if (target !== undefined && !left.includes(target)) left.push(target);
    });
  }
  const shown = [...files].filter(([file]) => !asIs.test(file));
  return {
    pages: shown.map(([file, bytes]) =>
      file.endsWith(".md") ? markdownPage(file, textOf(bytes), files) : codePage(file, textOf(bytes))
    ),
    files: new Map([...files].filter(([file]) => asIs.test(file))),
  };
}

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** The file and heading that a link in a file leads to; undefined for the web and for headings in the same file. */
function targetOf(
  from: string,
  href: string,
): { readonly file: string; readonly anchor: string } | undefined {
  if (/^(\w+:|#)/.test(href)) return undefined;
  const [path, anchor] = href.split("#");
  return { file: posix.join(posix.dirname(from), path), anchor: anchor ? `#${anchor}` : "" };
}

function codePage(file: string, text: string): SitePage {
  const body = markup`<h1>${file}</h1><pre><code>${text}</code></pre>`;
  return { path: pageOf(file), title: file, about: "", body, sections: [] };
}

/** The Markdown parser. Each page sets how to render its links and headings. */
const marked = new Marked();

/**
 * Builds a page from Markdown.
 *
 * @param file its path in the repository, to which its links are relative
 * @param files the files that links may lead to
 */
export function markdownPage(
  file: string,
  text: string,
  files: SitePages["files"],
  path = pageOf(file),
): SitePage {
  const tokens = marked.lexer(text);
  const { sections, anchors } = sectionsOf(path, tokens);
  const writer = new Marked({
    renderer: {
      heading(token) {
        const inner = this.parser.parseInline(token.tokens);
        return `<h${token.depth} id="${anchors.get(token)}">${inner}</h${token.depth}>\n`;
      },
      link({ href, tokens }) {
        const inner = new Markup(this.parser.parseInline(tokens));
        const target = targetOf(file, href);
        if (target && !files.has(target.file)) return inner.text;
        const address = target ? addressFrom(path, pageOf(target.file)) + target.anchor : href;
        return markup`<a href="${address}">${inner}</a>`.text;
      },
      image({ href, text }) {
        const target = targetOf(file, href)?.file ?? "";
        const bytes = files.get(target);
        if (bytes === undefined) return markup`<i>${text}</i>`.text;
        const [width, height] = sizeOf(bytes);
        return markup`<img src="${
          addressFrom(path, target)
        }" alt="${text}" width="${width}" height="${height}">`.text;
      },
    },
  });
  const html = writer.parser(tokens)
    .replaceAll("<table>", `<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>`)
    .replaceAll("</table>", "</table></div>")
    .replaceAll(/<(td|th) align="(\w+)"/g, `<$1 style="text-align:$2"`);
  const [paragraph] = tokens.filter(({ type, raw }) => type === "paragraph" && !raw.startsWith("!"));
  return {
    path,
    title: sections[0]?.title ?? path,
    about: paragraph ? plain(paragraph).replace(/(?<=[.:?])\s.*/s, "").replace(/:$/, ".") : "",
    body: new Markup(html),
    sections,
  };
}

/** The text of a token without its markup. */
function plain(token: Token): string {
  if ("tokens" in token && token.tokens) return token.tokens.map(plain).join("");
  return "text" in token ? String(token.text).replaceAll("&lt;", "<") : "";
}

/** The sections of a page, and the anchors of its headings, named as on GitHub. */
function sectionsOf(path: string, tokens: readonly Token[]) {
  const anchors = new Map<Token, string>();
  const sections = [{ path, anchor: "", title: "", text: "" }];
  for (const token of tokens) {
    if (token.type === "heading") {
      const title = plain(token);
      const slug = title.toLowerCase().replace(/[^\w -]/g, "").replaceAll(" ", "-");
      const before = sections.filter((other) => other.anchor.replace(/-\d+$/, "") === slug).length;
      const anchor = before === 0 ? slug : `${slug}-${before}`;
      anchors.set(token, anchor);
      sections.push({ path, anchor, title, text: "" });
    } else if (token.type !== "html") {
      sections.at(-1)!.text += token.raw.replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(
        /([\s|`*]|-{3,})+/g,
        " ",
      );
    }
  }
  return { sections: sections.filter(({ title }) => title !== ""), anchors };
}

/** Width and height of a PNG or GIF, from its header. */
function sizeOf(bytes: Uint8Array<ArrayBuffer>): readonly [width: number, height: number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return bytes[0] === 0x89
    ? [view.getUint32(16), view.getUint32(20)]
    : [view.getUint16(6, true), view.getUint16(8, true)];
}
