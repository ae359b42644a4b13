/**
 * Builds the programs for browsers. They are in the repository, so pages and reports need no compiler. A test builds
 * them again and compares.
 *
 * `deno task build:web` makes `web/flow.js`, the library as one ES module. `deno task build:page` makes
 * `viz/report/page.js`, the program of reports.
 */

const root = new URL("../", import.meta.url);

/** The programs, by name: `deno task build:NAME` builds each. */
export const bundles = {
  web: { entry: "web/mod.ts", out: "web/flow.js", format: "esm" },
  page: { entry: "viz/report/page/main.ts", out: "viz/report/page.js", format: "iife" },
} as const;

/** The Deno version that built the programs in the repository; other versions may bundle differently. */
export const builtWith = "2.9.6";

/** Bundles a program and everything it imports, minified. */
export async function bundle(name: keyof typeof bundles): Promise<string> {
  const { entry, format } = bundles[name];
  const flags = ["--quiet", "--lock=tests/deno.lock", "--platform=browser", "--minify", `--format=${format}`];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", ...flags, entry],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  if (!success) throw new Error(`Cannot bundle ${entry}: ${new TextDecoder().decode(stderr)}`);
  // The minified program has line breaks only in template strings, where \n means the same.
  const text = new TextDecoder().decode(stdout).trim().replaceAll("\n", "\\n");
  return `// Built from ${entry} by \`deno task build:${name}\`; do not edit.\n${text}\n`;
}

if (import.meta.main) {
  const [name] = Deno.args;
  if (!(name === "web" || name === "page")) throw new Error(`Cannot build ${name} (expected web or page)`);
  await Deno.writeTextFile(new URL(bundles[name].out, root), await bundle(name));
}
