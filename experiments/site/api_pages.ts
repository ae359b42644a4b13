import { markdownPage, type SitePage } from "./site_pages.ts";

/** A declaration in the output of `deno doc`: its location and signature, then indented text and members or tags. */
const declaration = /^Defined in (\S+):\d+:\d+\n\n([^\n]*)\n(.*?)(?=^Defined in |(?![\s\S]))/gms;

/** The declared name in a signature. */
const nameIn = /\b(?:function|const|class|interface|type|enum|namespace)\*? (\w+)/;

/** Splits text from members and tags, which start at the first line that is followed by an indented one. */
const wordsAndMembers = /^(.*?)(?:(?:^|\n)(?=[^\s][^\n]*\n {2})(.*))?$/s;

/** The parts of the library, by folder. */
const parts: Readonly<Record<string, string>> = {
  kernels: "tensors, autograd, ops and devices",
  models: "networks, flow matching, solvers, training and files",
  viz: "pictures, figures and reports",
};

/**
 * Builds the pages of the API: one for each part of the library, with all its exports.
 *
 * @param text the output of `deno doc` for the library's modules, possibly in another checkout
 */
export function apiPages(text: string): SitePage[] {
  const found = Array.from(text.matchAll(declaration));
  let root = found[0]?.[1] ?? "";
  while (!found.every(([, address]) => address.startsWith(root))) root = root.replace(/[^/]*\/?$/, "");
  const all = found.map(([, address, signature, rest]) => {
    const [, words, members] = wordsAndMembers.exec(rest.replaceAll(/^ {2}/gm, "").trim())!;
    const file = address.replace(root, "");
    const [, name = signature] = nameIn.exec(signature) ?? [];
    const said = [`## ${name}`, code(signature), words, members ? code(members) : "", `In \`${file}\`.`];
    return { part: file.split("/")[0], name, markdown: said.join("\n\n") };
  });
  return Object.entries(parts).map(([part, about]) => {
    const own = new Map(all.filter((one) => one.part === part).map(({ name, markdown }) => [name, markdown]));
    const sorted = [...own].sort(([a], [b]) => a.localeCompare(b));
    const anchors = sorted.map(([name]) => name.toLowerCase());
    const links = sorted.map(([name], i) =>
      `[${name}](#${anchors[i]}${anchors[i] === anchors[i - 1] ? "-1" : ""})`
    );
    const head = [`# API: ${part}`, `This part of the library has ${about}.`, links.join(" \u00b7 ")];
    const text = [...head, ...sorted.map(([, markdown]) => markdown)].join("\n\n");
    return markdownPage("api.md", text, new Map(), `api/${part}.html`);
  });
}

const code = (text: string) => `\`\`\`\`ts\n${text}\n\`\`\`\``;
