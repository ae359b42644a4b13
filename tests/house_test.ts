/** The size of the house, so that growth is seen: whoever raises a number says why in the commit. */

import assert from "node:assert/strict";
import { posix } from "node:path";
import { filesBelow, importsFrom, reachedFrom, textOf } from "./module_graph.ts";
import { testNeeding, toRun } from "./permissions.ts";

/** The folders of the product; "." is the root. */
const product = [".", "kernels", "models", "viz", "web", "playground", "experiments", "tools"];
/** Most lines of the product. Whoever lowers the size lowers this, too; whoever raises it says why in the commit. */
const mostLines = 56_500;
/** Most modules that a page or program loads with `mod.ts`, each by a request of its own. */
const mostModules = 140;

/** The assembler's blocks, one for each shape: their length follows from the processor, not from the design. */
const uncounted = "kernels/devices/cpu/assembly/";

/** Files that programs write. */
const written = ["compiled_kernels.ts", "font.ts", "kernel_signatures.ts"];

/** The number of lines of each module in the product and in `tests/`, except of generated ones, benchmarks and assembly. */
async function linesOfModules(): Promise<{ readonly path: string; readonly lines: number }[]> {
  const folders = [...product, "tests"].filter((folder) => folder !== ".");
  const below = await Promise.all(folders.map((folder) => filesBelow(`${folder}/`)));
  const paths = [...below.flat(), "mod.ts", "cli.ts"].filter((path) =>
    /\.(ts|wgsl)$/.test(path) && !written.includes(posix.basename(path)) &&
    !path.startsWith("tests/bench/") &&
    !path.startsWith(uncounted)
  );
  return await Promise.all(
    paths.map(async (path) => ({ path, lines: (await textOf(path)).split(/\n(?!$)/).length })),
  );
}

/** The room of a file: its folder, two levels deep; "." is the root. */
function roomOf(path: string): string {
  const folders = path.split("/").slice(0, -1).slice(0, 2);
  return folders.length === 0 ? "." : folders.join("/");
}

/** The size of some files in words. */
function sizeOf(files: readonly { readonly lines: number }[]): string {
  const sum = files.reduce((sum, { lines }) => sum + lines, 0);
  return `${sum.toLocaleString("en")} lines in ${files.length} ${files.length === 1 ? "file" : "files"}`;
}

testNeeding({ read: true }, "the product does not grow unnoticed", async () => {
  const modules = await linesOfModules();
  const byRoom = Map.groupBy(modules, ({ path }) => roomOf(path));
  for (const [room, files] of [...byRoom].sort(([a], [b]) => a < b ? -1 : 1)) {
    console.log(`${room}: ${sizeOf(files)}`);
  }
  const inside = modules.filter(({ path }) => product.includes(roomOf(path).split("/")[0]));
  console.log(`product: ${sizeOf(inside)}`);
  const sum = inside.reduce((sum, { lines }) => sum + lines, 0);
  assert.ok(sum <= mostLines, `${sum} lines: remove something, or raise the number with a reason`);
});

testNeeding(toRun, `mod.ts loads at most ${mostModules} modules of ours`, async () => {
  const all = await importsFrom(["mod.ts"]);
  const { size } = reachedFrom(["mod.ts"], all.filter(({ runtime }) => runtime));
  console.log(`mod.ts: ${size} modules, ${reachedFrom(["mod.ts"], all).size} with those of types alone`);
  assert.ok(size <= mostModules, `${size} modules: load less, or merge what is always loaded together`);
});
