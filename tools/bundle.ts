/** Builds the programs for browsers, and the modules that export text: JSR, Node and bundlers cannot import text files. The
 * results are in the repository, so pages, reports and importers need no compiler. A test builds them again and compares.
 *
 * `deno task build web` builds `web/flow.js`, the library as one ES module, and a module that exports its text. `deno task
 * build page` builds the texts of reports and of the playground, and `deno task build plotly` the Plotly of reports.
 */

import { deflateRawSync } from "node:zlib";
import { base64 } from "../viz/image/base64.ts";

const root = new URL("../", import.meta.url);

/** A generated file: what `deno task build` calls it, and its text. */
interface Generated {
  readonly what: "web" | "page" | "plotly";
  make(): Promise<string>;
}

/** The entry modules of the programs for browsers. */
export const browserPrograms = {
  web: "web/mod.ts",
  report: "viz/report/page/main.ts",
  plotly: "viz/report/page/plotly/plotly.js",
  playground: "playground/page/main.ts",
} as const;

/** The generated files by path; a later file may contain the text of an earlier one. */
export const generated: Readonly<Record<string, Generated>> = {
  "web/flow.js": {
    what: "web",
    async make() {
      const entry = browserPrograms.web;
      return `// Built from ${entry} by \`deno task build web\`; do not edit.\n${await bundle(
        entry,
        "esm",
      )}\n`;
    },
  },
  "web/flow_text.js": {
    what: "web",
    make: async () => textModule("web", { library: await read("web/flow.js") }),
  },
  "viz/report/page.js": {
    what: "page",
    async make() {
      const styles = ["page", "quality", "flow", "live_and_print"];
      const texts = await Promise.all(styles.map((name) => read(`viz/report/style/${name}.css`)));
      const program = await bundle(browserPrograms.report, "iife");
      return textModule("page", { program, style: texts.join("") });
    },
  },
  "viz/report/plotly.js": {
    what: "plotly",
    async make() {
      const license =
        "/* Plotly.js 4.1.1, copyright Plotly, Inc., MIT license: https://github.com/plotly/plotly.js */";
      const program = new TextEncoder().encode(
        license + await bundled(browserPrograms.plotly, "iife", "viz/report/page/plotly/deno.lock"),
      );
      return textModule("plotly", { plotly: base64(deflateRawSync(program, { level: 9 })) });
    },
  },
  "playground/page.js": {
    what: "page",
    make: async () =>
      textModule("page", {
        program: await bundle(browserPrograms.playground, "iife"),
        style: await read("playground/page/page.css"),
        body: await read("playground/page/body.html"),
      }),
  },
};

const read = (path: string) => Deno.readTextFile(new URL(path, root));

/** A module that exports each text under its name. */
function textModule(what: string, texts: Readonly<Record<string, string>>): string {
  const exports = Object.entries(texts).map(([name, text]) =>
    `/** @type {string} */\nexport const ${name} = ${JSON.stringify(text)};\n`
  );
  return `// Built by \`deno task build ${what}\`; do not edit.\n${exports.join("")}`;
}

/** The Deno version that built the files in the repository; other versions may bundle differently. */
export const builtWith = "2.9.6";

/** Bundles a program, with each license on one line. */
async function bundle(entry: string, format: "esm" | "iife"): Promise<string> {
  // The minified program has line breaks in licenses, and in template strings, where \n means the same.
  return (await bundled(entry, format))
    .replaceAll(/\n\/\*\*[^]*?\*\//g, (license) => license.replaceAll(/\n( \*(?!\/))?/g, ""))
    .replaceAll("\n", "\\n");
}

/** Bundles a program and everything it imports, minified; its style sheets are left out. */
async function bundled(entry: string, format: "esm" | "iife", lock = "tests/deno.lock"): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const out = `${folder}/program.js`; // needed for programs with style sheets
    const flags = ["--quiet", `--lock=${lock}`, "--platform=browser", "--minify", `--format=${format}`];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", ...flags, "--output", out, entry],
      cwd: root,
      env: { NO_COLOR: "1" },
    }).output();
    if (!success) throw new Error(`Cannot bundle ${entry}: ${new TextDecoder().decode(stderr)}`);
    return (await Deno.readTextFile(out)).trim();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes the generated files of one kind. */
export async function writeGenerated(kind: Generated["what"]): Promise<void> {
  for (const [path, { what, make }] of Object.entries(generated)) {
    if (what === kind) await Deno.writeTextFile(new URL(path, root), await make());
  }
}
