/**
 * Builds the programs for browsers. They are in the repository, so pages and reports need no compiler. A test builds
 * them again and compares.
 *
 * `deno task build:web` makes `web/flow.js`, the library as one ES module. `deno task build:page` makes
 * `viz/report/page.js`, the program of reports, and `playground/page.js`, that of the playground.
 */

const root = new URL("../", import.meta.url);

/** The programs by name, each with the task that builds it. */
export const bundles = {
  web: { entry: "web/mod.ts", out: "web/flow.js", format: "esm", task: "build:web" },
  page: { entry: "viz/report/page/main.ts", out: "viz/report/page.js", format: "iife", task: "build:page" },
  playground: {
    entry: "playground/page/main.ts",
    out: "playground/page.js",
    format: "iife",
    task: "build:page",
  },
} as const;

/** Name of a program. */
type BundleName = keyof typeof bundles;

/** The Deno version that built the programs in the repository; other versions may bundle differently. */
export const builtWith = "2.9.6";

/** Bundles a program and everything it imports, minified. */
export async function bundle(name: BundleName): Promise<string> {
  const { entry, format, task } = bundles[name];
  const flags = ["--quiet", "--lock=tests/deno.lock", "--platform=browser", "--minify", `--format=${format}`];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", ...flags, entry],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  if (!success) throw new Error(`Cannot bundle ${entry}: ${new TextDecoder().decode(stderr)}`);
  // The minified program has line breaks only in template strings, where \n means the same.
  const text = new TextDecoder().decode(stdout).trim().replaceAll("\n", "\\n");
  return `// Built from ${entry} by \`deno task ${task}\`; do not edit.\n${text}\n`;
}

if (import.meta.main) {
  for (const name of Deno.args) {
    if (!Object.hasOwn(bundles, name)) {
      throw new Error(`Cannot build ${name} (expected ${Object.keys(bundles).join(", ")})`);
    }
    await Deno.writeTextFile(
      new URL(bundles[name as BundleName].out, root),
      await bundle(name as BundleName),
    );
  }
}
