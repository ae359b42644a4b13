/** Builds the programs for browsers, and the modules that export text: JSR, Node and bundlers cannot import text files. The
 * results are in the repository, so pages, reports and importers need no compiler. A test builds them again and compares.
 *
 * `deno task build web` builds `web/flow.js`, the library as one ES module, and a module that exports its text. `deno task
 * build page` builds the texts of reports and of the playground.
 */

const root = new URL("../", import.meta.url);

/** A generated file: what `deno task build` calls it, and its text. */
interface Generated {
  readonly what: "web" | "page";
  make(): Promise<string>;
}

/** The entry modules of the programs for browsers. */
export const browserPrograms = {
  web: "web/mod.ts",
  report: "viz/report/page/main.ts",
  playground: "playground/page/main.ts",
  lesson: "playground/page/flow_lesson.ts",
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
      const styles = ["page", "charts", "quality", "flow", "live_and_print"];
      const texts = await Promise.all(styles.map((name) => read(`viz/report/style/${name}.css`)));
      const program = await bundle(browserPrograms.report, "iife");
      return textModule("page", { program, style: texts.join("") });
    },
  },
  "playground/page.js": {
    what: "page",
    make: async () =>
      textModule("page", {
        program: await bundle(browserPrograms.playground, "iife"),
        lesson: await bundle(browserPrograms.lesson, "esm"),
        style: (await Promise.all(["story", "page"].map((name) => read(`playground/page/${name}.css`)))).join(
          "",
        ),
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

/** Bundles a program and everything it imports, minified. */
async function bundle(entry: string, format: "esm" | "iife"): Promise<string> {
  const flags = ["--quiet", "--lock=tests/deno.lock", "--platform=browser", "--minify", `--format=${format}`];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", ...flags, entry],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  if (!success) throw new Error(`Cannot bundle ${entry}: ${new TextDecoder().decode(stderr)}`);
  // The minified program has line breaks in licenses, and in template strings, where \n means the same.
  return new TextDecoder().decode(stdout).trim()
    .replaceAll(/\n\/\*\*[^]*?\*\//g, (license) => license.replaceAll(/\n( \*(?!\/))?/g, ""))
    .replaceAll("\n", "\\n");
}

/** Writes the generated files of one kind. */
export async function writeGenerated(kind: Generated["what"]): Promise<void> {
  for (const [path, { what, make }] of Object.entries(generated)) {
    if (what === kind) await Deno.writeTextFile(new URL(path, root), await make());
  }
}
