import { type Markup, markup } from "../../viz/report/markup.ts";
import { readProgramFile } from "../run/program_files.ts";
import { apiPages } from "./api_pages.ts";
import { framedPage, searchFile, searchScript, type SiteLink } from "./page_frame.ts";
import { addressFrom, type SitePage, sitePages } from "./site_pages.ts";

/** The path of the playground in a website. */
export const playgroundFile = "playground.html";

/** Files of the checkout that the example page needs. */
export const exampleFiles: readonly string[] = [
  "examples/sample_in_page.html",
  "examples/sample_in_worker.js",
  "web/flow.js",
  "checkpoints/mnist_classes.safetensors",
];

/** The output of `deno doc` for the library, if the task wrote it. */
const apiText = ".cache/api.txt";

/**
 * Builds the pages of the website that do not depend on runs: README.md as the start page, the docs, the API and the search.
 *
 * @param links additional links on all pages
 * @param top content at the top of the start page
 * @returns contents by path
 */
export async function docsSite(
  links: readonly SiteLink[],
  top: Markup,
): Promise<Map<string, string | Uint8Array<ArrayBuffer>>> {
  const { pages, files } = await sitePages(readIfThere);
  const docs = pages.filter(({ path }) => path.startsWith("docs/"));
  const text = await readIfThere(apiText);
  const api = text ? apiPages(new TextDecoder().decode(text)) : [];
  const lists = [listPage("docs/index.html", "Docs", docs), listPage("api/index.html", "API", api)]
    .flatMap((list) => list ?? []);
  const all = [
    { title: "Home", path: "index.html" },
    { title: "Playground", path: playgroundFile },
    ...links,
    ...lists.map(({ title, path }) => ({ title, path })),
  ];
  const framed = [...pages, ...lists, ...api].map(({ path, title, body }) => {
    const above = path === "index.html" ? top : undefined;
    return [path, framedPage({ path, title, body: markup`${above}${body}`, links: all })] as const;
  });
  const search = searchScript([...pages, ...api].flatMap(({ sections }) => sections));
  return new Map<string, string | Uint8Array<ArrayBuffer>>([...framed, ...files, [searchFile, search]]);
}

/** A list of pages with their first sentences; undefined if there are none. */
function listPage(path: string, title: string, pages: readonly SitePage[]): SitePage | undefined {
  if (pages.length === 0) return undefined;
  const items = pages.map((page) =>
    markup`<li><a href="${addressFrom(path, page.path)}">${page.title}</a><p>${page.about}</p></li>\n`
  );
  return {
    path,
    title,
    about: "",
    body: markup`<h1>${title}</h1><ul class="cards">${items}</ul>`,
    sections: [],
  };
}

/** Reads a file of the program; undefined for a folder, or for a file that a package lacks. */
async function readIfThere(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await readProgramFile(path);
  } catch {
    return undefined;
  }
}
