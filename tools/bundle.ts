/**
 * Builds the programs for browsers that stand in the repository, so that pages and reports need no compiler: a test
 * bundles them again and compares.
 *
 * `deno task build:web` makes `web/flow.js`, the library as one ES module; `deno task build:page` makes
 * `viz/report/page.js`, the program of reports.
 */

const root = new URL("../", import.meta.url);

/** The programs by the name of the task that builds each. */
export const bundles = {
  web: { entry: "web/mod.ts", out: "web/flow.js", format: "esm" },
  page: { entry: "viz/report/page/main.ts", out: "viz/report/page.js", format: "iife" },
} as const;

/** The Deno that the programs in the repository were built with: another one may hold another bundler. */
export const builtWith = "2.9.6";

/** Bundles a program and all it imports, without names and spaces that only people need. */
export async function bundle(name: keyof typeof bundles): Promise<string> {
  const { entry, format } = bundles[name];
  const flags = ["--quiet", "--lock=tests/deno.lock", "--platform=browser", "--minify", `--format=${format}`];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", ...flags, entry],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  if (!success) throw new Error(`Cannot bundle ${entry}: ${new TextDecoder().decode(stderr)}`);
  // Its only line ends stand in texts, where \n means the same: the program is one line.
  const text = new TextDecoder().decode(stdout).trim().replaceAll("\n", "\\n");
  return `// Built from ${entry} by \`deno task build:${name}\`; do not edit.\n${text}\n`;
}

if (import.meta.main) {
  const [name] = Deno.args;
  if (!(name === "web" || name === "page")) throw new Error(`Cannot build ${name} (expected web or page)`);
  await Deno.writeTextFile(new URL(bundles[name].out, root), await bundle(name));
}
