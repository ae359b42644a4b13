/** The modules of this repository and their imports, as `deno info` sees them. */

import assert from "node:assert/strict";
import { join, posix } from "node:path";
import { withFolder } from "./folder.ts";

const root = new URL("..", import.meta.url);

/** One module imports another. Paths start at the root of the repository. */
export interface Import {
  readonly from: string;
  /** Undefined for packages and what Deno brings. */
  readonly to: string | undefined;
  /** As the module writes it. */
  readonly specifier: string;
  /** False for `import type` and `export type`, which leave nothing to load. */
  readonly runtime: boolean;
}

interface Dependency {
  readonly specifier: string;
  readonly code?: { readonly specifier?: string };
  readonly type?: { readonly specifier?: string };
}

interface ModuleInfo {
  readonly specifier: string;
  readonly error?: string;
  readonly dependencies?: readonly Dependency[];
}

/**
 * All files below a folder, hidden ones left out.
 *
 * @param without folders to leave out
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

/** Text of a file of the repository. */
export function textOf(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, root));
}

/**
 * All imports of the repository's own files that can be reached from some files.
 *
 * @param entries modules, and notebooks and pages, whose cells and scripts import modules
 */
export async function importsFrom(entries: readonly string[]): Promise<Import[]> {
  const isModule = (path: string) => /\.[jt]s$/.test(path);
  const embedded = await Promise.all(entries.filter((path) => !isModule(path)).map(embeddedImports));
  const modules = [...entries, ...embedded.flat().map(({ to }) => to)].filter(isModule);
  return [...embedded.flat(), ...(await modulesFrom(modules)).flatMap(importsOf)];
}

/** Relative imports in the cells of a notebook, where quotes are escaped, or in the scripts of a page. */
async function embeddedImports(path: string): Promise<(Import & { readonly to: string })[]> {
  const specifiers = (await textOf(path)).matchAll(/\b(?:from |import\()\\?"(\.[^"\\]+)\\?"/g);
  return Array.from(specifiers, ([, specifier]) => {
    return { from: path, to: posix.join(posix.dirname(path), specifier), specifier, runtime: true };
  });
}

/** What one call of `deno info` knows of all modules that some modules reach. */
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
  return dependencies.map(({ specifier, code, type }) => {
    return { from, to: pathOf((code ?? type)?.specifier), specifier, runtime: code !== undefined };
  });
}

function pathOf(specifier: string | undefined): string | undefined {
  return specifier?.startsWith(root.href) ? specifier.slice(root.href.length) : undefined;
}

/** Circles of imports at run time: for each import the shortest circle that it is part of, each circle once. */
export function circles(imports: readonly Import[]): string[] {
  const next = new Map<string, Set<string>>();
  for (const { from, to, runtime } of imports) {
    if (runtime && to !== undefined) next.set(from, (next.get(from) ?? new Set()).add(to));
  }
  const found = new Set<string>();
  for (const [from, targets] of next) {
    for (const to of targets) {
      const circle = shortestPath(next, to, from);
      if (circle) found.add(fromItsFirst(circle));
    }
  }
  return [...found].sort();
}

function shortestPath(
  next: ReadonlyMap<string, ReadonlySet<string>>,
  start: string,
  end: string,
): string[] | undefined {
  const paths = [[start]];
  const seen = new Set([start]);
  for (const path of paths) {
    const last = path.at(-1)!;
    if (last === end) return path;
    for (const to of next.get(last) ?? []) {
      if (!seen.has(to)) paths.push([...path, to]);
      seen.add(to);
    }
  }
  return undefined;
}

/** A circle in words that do not depend on where it was entered. */
function fromItsFirst(circle: readonly string[]): string {
  const first = circle.indexOf([...circle].sort()[0]);
  return [...circle.slice(first), ...circle.slice(0, first), circle[first]].join(" -> ");
}

/** Files that some files import, over any number of steps, with these files themselves. */
export function reachedFrom(entries: readonly string[], imports: readonly Import[]): Set<string> {
  const reached = new Set(entries);
  // A set's iteration visits what is added on the way.
  for (const path of reached) {
    for (const { from, to } of imports) if (from === path && to !== undefined) reached.add(to);
  }
  return reached;
}
