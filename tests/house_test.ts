/** The size of the house, so that growth is seen: whoever raises a number says why in the commit. */

import assert from "node:assert/strict";
import { posix } from "node:path";
import { filesBelow, importsFrom, reachedFrom, textOf } from "./module_graph.ts";
import { testNeeding, toRun } from "./permissions.ts";

/** Most lines, and most files, of parts of the repository, which are folders; "." is the root. */
const ceilings: Readonly<
  Record<string, { readonly of: readonly string[]; readonly lines: number; readonly files?: number }>
> = {
  product: {
    of: [".", "kernels", "models", "viz", "web", "playground", "experiments", "tools"],
    lines: 58_000,
    files: 340,
  },
  experiments: { of: ["experiments"], lines: 19_000 },
  "viz and playground": { of: ["viz", "playground"], lines: 12_000 },
  "kernels and models": { of: ["kernels", "models"], lines: 26_500 },
  tests: { of: ["tests"], lines: 35_300 },
};
/** Most modules that a page or program loads with `mod.ts`, each by a request of its own. */
const mostModules = 140;
/** A file holds what is read together. */
const mostLines = 500;

/** Files that programs write. */
const written = ["compiled_kernels.ts", "font.ts", "kernel_signatures.ts"];

/** The number of lines of each file. */
async function linesOfFiles(): Promise<[path: string, lines: number][]> {
  const folders = [...ceilings.product.of, "tests"].filter((folder) => folder !== ".");
  const below = await Promise.all(folders.map((folder) => filesBelow(`${folder}/`)));
  const files = [...below.flat(), "mod.ts", "cli.ts"].filter((path) => /\.(ts|wgsl|css|py)$/.test(path));
  return await Promise.all(
    files.map(async (path) => [path, (await textOf(path)).split(/\n(?!$)/).length] as [string, number]),
  );
}

testNeeding({ read: true }, "no part of the house is above its ceiling", async () => {
  const modules = (await linesOfFiles()).filter(([path]) =>
    /\.(ts|wgsl)$/.test(path) && !written.includes(posix.basename(path)) && !path.startsWith("tests/bench/")
  );
  const above: string[] = [];
  for (const [part, { of, lines, files = Infinity }] of Object.entries(ceilings)) {
    const inside = modules.filter(([path]) => of.includes(path.includes("/") ? path.split("/")[0] : "."));
    const sum = inside.reduce((sum, [, lines]) => sum + lines, 0);
    const size = `${part}: ${sum.toLocaleString("en")} lines in ${inside.length} files`;
    console.log(size);
    if (sum > lines || inside.length > files) above.push(size);
  }
  assert.deepEqual(above, [], "remove something, or raise a ceiling with a reason");
});

testNeeding({ read: true }, `no file is longer than ${mostLines} lines`, async () => {
  const isLong = ([path, lines]: [string, number]) =>
    lines > mostLines && !written.includes(posix.basename(path));
  assert.deepEqual((await linesOfFiles()).filter(isLong), []);
});

testNeeding(toRun, `mod.ts loads at most ${mostModules} modules of ours`, async () => {
  const all = await importsFrom(["mod.ts"]);
  const { size } = reachedFrom(["mod.ts"], all.filter(({ runtime }) => runtime));
  console.log(`mod.ts: ${size} modules, ${reachedFrom(["mod.ts"], all).size} with those of types alone`);
  assert.ok(size <= mostModules, `${size} modules: merge what is read together`);
});
