/** The program of a custom network: its module and what it imports, as text that runs anywhere. */

import { stripTypeScriptTypes } from "node:module";
import { basename, dirname, extname, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import project from "../../deno.json" with { type: "json" };
import * as library from "../../web/mod.ts";
import { programRoot } from "../run/program_files.ts";
import { reasonOf, sha256 } from "../run/run_folder.ts";
import { ConfigError } from "../cli/setting.ts";

/** Texts of modules, in which imports of the library read {@linkcode libraryName}, and others name the files. */
export interface ModuleSources {
  /** The file of the network. */
  readonly main: string;
  /** Texts by file, relative to the folder of the network's. */
  readonly files: Readonly<Record<string, string>>;
}

/** The library in imports of {@linkcode ModuleSources}. */
const libraryName = "flow-matching";

/** The library's modules below {@linkcode programRoot}, and its name in a registry. */
const ofLibrary = /^(?:mod\.[jt]s|(?:kernels|models|viz|web)\/.*)$/;
const libraryPackage = new RegExp(`^(?:(?:npm|jsr):/?)?${project.name}(?:@[^/]*)?(?:/\\w+)?$`);

/** The specifiers of static imports and exports. Stripping types may leave the end of a comment before one. */
const importing =
  /((?:^|;|\*\/)[ \t]*(?:import|export)[\w$\s{},*]*?\bfrom\s*|(?:^|;|\*\/)[ \t]*import\s*)(["'])([^"'\n]+)\2/gm;

/** Maximum bytes of a network's program, without the library. */
const maxBytes = 2 ** 20;

/**
 * Reads a module and the files that it imports, without running them.
 *
 * @throws {ConfigError} if a file cannot be read
 */
export function readSources(path: string): ModuleSources {
  const files: Record<string, string> = {};
  const refuse = (why: string) => new ConfigError(`Cannot use ${path}: ${why}`);
  const read = (file: string, by = "") => {
    const name = relative(folder, file);
    if (name in files) return;
    files[name] = ""; // files may import each other
    let text: string;
    try {
      const { isFile, isDirectory } = Deno.statSync(file);
      if (!isFile) {
        throw refuse(`${by}it is ${isDirectory ? "a folder" : "a pipe or a device"} (expected a file)`);
      }
      text = Deno.readTextFileSync(file);
    } catch (error) {
      throw error instanceof ConfigError ? error : refuse(by + reasonOf(error));
    }
    files[name] = text.replace(importing, (all, start: string, quote: string, specifier: string) => {
      if (isLibrary(specifier, file)) return start + quote + libraryName + quote;
      if (!/^(?:\.{0,2}\/|file:)/.test(specifier)) return all; // a package, for example
      const imported = fileURLToPath(new URL(specifier, pathToFileURL(file)));
      read(imported, `it imports ${specifier}: `);
      return `${start}${quote}./${relative(folder, imported)}${quote}`;
    });
  };
  const main = realPathOf(path, refuse);
  const folder = dirname(main);
  read(main);
  const bytes = Object.values(files).reduce((sum, text) => sum + text.length, 0);
  if (bytes <= maxBytes) return { main: basename(main), files };
  throw refuse(`it and its imports have ${bytes} bytes (expected at most ${maxBytes})`);
}

/** Whether a file imports this program's library by a specifier. */
function isLibrary(specifier: string, file: string): boolean {
  if (libraryPackage.test(specifier)) return true;
  if (!/^(?:\.{0,2}\/|file:|https?:)/.test(specifier)) return false;
  const { href } = new URL(specifier, pathToFileURL(file));
  return href.startsWith(programRoot.href) && ofLibrary.test(href.slice(programRoot.href.length));
}

function realPathOf(path: string, refuse: (why: string) => Error): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    throw refuse(reasonOf(error));
  }
}

/** The text that a run keeps of a network's program. */
export function encodeSources(sources: ModuleSources): string {
  return JSON.stringify(sources, null, 1) + "\n";
}

/** Reads what {@linkcode encodeSources} wrote. @throws {ConfigError} if it is something else */
export function decodeSources(text: string, path: string): ModuleSources {
  try {
    const { main, files } = JSON.parse(text);
    const texts = Object.values(Object(files));
    if (typeof main === "string" && main in files && texts.every((file) => typeof file === "string")) {
      return { main, files };
    }
  } catch { /* not JSON */ }
  throw new ConfigError(
    `Cannot use ${path}: it is not the program of a network (expected the network.json of a run)`,
  );
}

/** SHA-256 of a network's program, in hex. */
export function sourcesDigest(sources: ModuleSources): Promise<string> {
  return sha256(new TextEncoder().encode(encodeSources(sources)));
}

/** The types of files in data URLs. */
const types: Readonly<Record<string, string>> = {
  ".ts": "application/typescript",
  ".mts": "application/typescript",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
};

/**
 * The address of a network's program, a `data:` URL. It takes the library from `globalThis.flowMatching`.
 *
 * @param plain whether to strip types, as a page needs
 * @throws {ConfigError} if files import each other, or hold TypeScript that cannot be stripped
 */
export function linkedModule({ main, files }: ModuleSources, plain: boolean): string {
  const names = Object.keys(library);
  const shim = urlOf(libraryName, types[".js"], `const{${names}}=globalThis.flowMatching;export{${names}}`);
  const urls = new Map<string, string>();
  const link = (name: string, from: readonly string[]): string => {
    if (from.includes(name)) {
      throw new ConfigError(
        `Cannot use ${main}: ${from.at(-1)} and ${name} import each other (expected no circular imports)`,
      );
    }
    const type = types[extname(name)];
    if (type === undefined) {
      throw new ConfigError(
        `Cannot use ${main}: it imports ${name} (expected modules, .ts or .js, or .json)`,
      );
    }
    const text = plain && type === types[".ts"] ? stripped(files[name], main, name) : files[name];
    const linked = text.replace(importing, (all, start: string, quote: string, specifier: string) => {
      if (specifier === libraryName) return start + quote + shim + quote;
      const imported = specifier.replace(/^\.\//, "");
      return Object.hasOwn(files, imported) ? start + quote + at(imported, [...from, name]) + quote : all;
    });
    return urlOf(name, plain && type === types[".ts"] ? types[".js"] : type, linked);
  };
  const at = (name: string, from: readonly string[]) => {
    const url = urls.get(name) ?? link(name, from);
    urls.set(name, url);
    return url;
  };
  return at(main, []);
}

function stripped(text: string, main: string, name: string): string {
  try {
    return stripTypeScriptTypes(text, { mode: "transform" as "strip" });
  } catch (error) {
    throw new ConfigError(`Cannot use ${main}: cannot strip the types of ${name}: ${error}`);
  }
}

function urlOf(name: string, type: string, text: string): string {
  return `data:${type};name=${encodeURIComponent(name)};base64,${new TextEncoder().encode(text).toBase64()}`;
}

/** A package or address that a network's program imports, and that a page lacks; undefined if there is none. */
export function importedElsewhere({ files }: ModuleSources): string | undefined {
  const specifiers = Object.values(files).flatMap((text) =>
    Array.from(text.matchAll(importing), ([, , , specifier]) => specifier)
  );
  return specifiers.find((specifier) =>
    specifier !== libraryName && !Object.hasOwn(files, specifier.replace(/^\.\//, ""))
  );
}

/** Runs a network's program. @returns its exports */
export async function runSources(sources: ModuleSources): Promise<Readonly<Record<string, unknown>>> {
  Object.assign(globalThis, { flowMatching: library });
  return await import(linkedModule(sources, false));
}

/** A message or stack trace with the names of files instead of their data URLs. */
export function withFileNames(text: string): string {
  return text.replaceAll(
    /data:[\w/]+;name=([^;]*);base64,[\w+/=.]*/g,
    (_, name: string) => decodeURIComponent(name),
  );
}
