/**
 * The examples in the docs and in the comments of modules, each as a module of its own. All share a program: `deno test
 * --doc` would load the library for each of them, which takes most of the time.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { context } from "../kernels/core/context.ts";
import { withCacheFolder } from "./folder.ts";
import { filesBelow, textOf } from "./module_graph.ts";
import { testNeeding } from "./permissions.ts";

interface Example {
  /** `docs/library.md, example 2`. */
  readonly name: string;
  readonly language: string;
  /** A module whose relative imports are addresses. */
  readonly code: string;
}

/** Files that may hold examples. */
async function documented(): Promise<string[]> {
  const files = await filesBelow("./", ["runs", "node_modules", "coverage", "tests"]);
  return files.filter((path) => /\.(md|ts)$/.test(path)).sort();
}

/** The blocks of code of a page, or of the comments of a module, except those marked as `ignore`. */
async function examplesIn(path: string): Promise<Example[]> {
  const text = await textOf(path);
  const start = path.endsWith(".md") ? "" : " *\\* ";
  const blocks = text.matchAll(new RegExp(`^(${start})\`\`\`(ts|js)\n(.*?)^${start}\`\`\`$`, "gms"));
  const addressOf = (to: string) => new URL(to, new URL(`../${path}`, import.meta.url)).href;
  return Array.from(blocks, ([, { length }, language, block], i) => ({
    name: `${path}, example ${i + 1}`,
    language,
    code: block.split("\n").map((line) => line.slice(length)).join("\n")
      .replaceAll(/(?<=from |import\()"(\.[^"]+)"/g, (_, to) => JSON.stringify(addressOf(to))),
  }));
}

testNeeding(
  { read: true, write: true },
  "the examples of docs and comments run as they are",
  () =>
    withCacheFolder("examples", async (folder) => {
      const examples = (await Promise.all((await documented()).map(examplesIn))).flat();
      assert.ok(examples.length > 60, `${examples.length} examples`);
      for (const [i, { name, language, code }] of examples.entries()) {
        const file = join(folder, `${i}.${language}`);
        await Deno.writeTextFile(file, code);
        await import(`file://${file}`).catch((error) => assert.fail(`${name}: ${error.stack}`));
        context.device = undefined; // the next one opens its own
      }
    }),
);
