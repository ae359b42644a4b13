/** The modules of this repository and their imports, from `deno info`. */

import assert from "node:assert/strict";
import { join, posix } from "node:path";
import { withFolder } from "./folder.ts";

const root = new URL("..", import.meta.url);

/** An import of one module by another. Paths start at the root of the repository. */
export interface Import {
  readonly from: string;
  /** Undefined for packages and for modules built into Deno. */
  readonly to: string | undefined;
  /** The specifier as written in the module. */
  readonly specifier: string;
  /** False for `import type` and `export type`, which load nothing. */
  readonly runtime: boolean;
  /** True for `import()`, which loads when it is called. */
  readonly dynamic?: boolean;
}

interface ModuleInfo {
  readonly specifier: string;
  readonly error?: string;
  readonly dependencies?: readonly (
    & { readonly specifier: string; readonly isDynamic?: boolean }
    & { readonly [Part in "code" | "type"]?: { readonly specifier?: string } }
  )[];
}

/**
 * All files below a folder, except hidden ones.
 *
 * @param without folders to skip
 */
export async function filesBelow(folder: string, without: readonly string[] = []): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
    if (name.startsWith(".") || without.includes(name)) continue;
    const path = posix.join(folder, name);
    if (isDirectory) files.push(...await filesBelow(`${path}/`));
    else files.push(path);
  }
  return files;
}

export function textOf(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, root));
}

/**
 * All imports of the repository's own files that are reachable from some entries.
 *
 * @param entries modules, or notebooks and pages with imports in their cells and scripts
 */
export async function importsFrom(entries: readonly string[]): Promise<Import[]> {
  const isModule = (path: string) => /\.[jt]s$/.test(path);
  const embedded = await Promise.all(entries.filter((path) => !isModule(path)).map(embeddedImports));
  const modules = [...entries, ...embedded.flat().map(({ to }) => to)].filter(isModule);
  return [...embedded.flat(), ...(await modulesFrom(modules)).flatMap(importsOf)];
}

/** Relative imports in the cells of a notebook (where quotes are escaped) or in the scripts of a page. */
async function embeddedImports(path: string): Promise<(Import & { readonly to: string })[]> {
  const specifiers = (await textOf(path)).matchAll(/\b(?:from |import\()\\?"(\.[^"\\]+)\\?"/g);
  return Array.from(specifiers, ([, specifier]) => {
    return { from: path, to: posix.join(posix.dirname(path), specifier), specifier, runtime: true };
  });
}

/** All modules reachable from some modules, by one call of `deno info`. */
async function modulesFrom(entries: readonly string[]): Promise<ModuleInfo[]> {
  return await withFolder(async (folder) => {
    const all = join(folder, "all.ts");
    const lines = entries.map((path) => `import ${JSON.stringify(new URL(path, root).href)};\n`);
    await Deno.writeTextFile(all, lines.join(""));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config=deno.json", "--lock=tests/deno.lock", all],
      cwd: root,
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const { modules }: { modules: ModuleInfo[] } = JSON.parse(new TextDecoder().decode(stdout));
    for (const { error } of modules) assert.equal(error, undefined);
    return modules;
  });
}

function importsOf({ specifier, dependencies = [] }: ModuleInfo): Import[] {
  const from = pathOf(specifier);
  if (from === undefined) return [];
  return dependencies.map(({ specifier, code, type, isDynamic }) => {
    const to = pathOf((code ?? type)?.specifier);
    return { from, to, specifier, runtime: code !== undefined, dynamic: isDynamic };
  });
}

function pathOf(specifier: string | undefined): string | undefined {
  return specifier?.startsWith(root.href) ? specifier.slice(root.href.length) : undefined;
}

/** The modules in circles of imports, and those between two circles. */
export function inCircles(imports: readonly Import[]): string[] {
  for (let left = imports;;) {
    const [importing, imported] = [new Set(left.map(({ from }) => from)), new Set(left.map(({ to }) => to))];
    const between = left.filter(({ from, to }) => imported.has(from) && importing.has(to!));
    if (between.length === left.length) return [...importing].sort();
    left = between;
  }
}

/** The given files, and all files that they import directly or indirectly. */
export function reachedFrom(entries: readonly string[], imports: readonly Import[]): Set<string> {
  const reached = new Set(entries);
  // Iterating a set also visits entries added meanwhile.
  for (const path of reached) {
    for (const { from, to } of imports) if (from === path && to !== undefined) reached.add(to);
  }
  return reached;
}
