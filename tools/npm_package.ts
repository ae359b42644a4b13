/**
 * Builds the npm package of the library, for Node, Bun, bundlers and CDNs: `deno task build:npm [FOLDER]` writes
 * `flow-matching-VERSION.tgz` there, by default into `.cache/npm/`.
 *
 * `deno pack` does most of it. Imports of text and of WebAssembly, which Node and bundlers lack, become modules here.
 */
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import "npm:@resvg/resvg-wasm@2.6.2"; // imported, so that Deno has the files of both packages
import "npm:plotly.js-basic-dist-min@4.1.1/plotly-basic.min.js" with { type: "text" };
import configuration from "../deno.json" with { type: "json" };

const root = new URL("../", import.meta.url);

/** An import of text or of WebAssembly, in a source and as `deno pack` writes it. */
const special = /^import (source )?(\w+) from "([^"]+)"(?: with \{ type: "text" \})?;$/gm;

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, cwd: root, env: { NO_COLOR: "1" } })
    .output();
  if (!success) throw new Error(`Cannot build the package: ${program} ${args[0]} failed: ${decode(stderr)}`);
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();

/** A module that exports a text, or bytes. */
function asModule(content: string | Uint8Array): string {
  if (typeof content === "string") return `export default ${JSON.stringify(content)};\n`;
  return `export default Uint8Array.from(atob("${content.toBase64()}"), (letter) => letter.charCodeAt(0));\n`;
}

/** Replaces a packed module's imports of text and WebAssembly by imports of modules; returns what it replaced. */
async function replaceImports(folder: string, source: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(source, root));
  const found = [...text.matchAll(special)].filter(([line, isSource]) => isSource || line.includes(" with "));
  const packed = join(folder, source.replace(/\.ts$/, ".js"));
  let code = found.length > 0 ? await Deno.readTextFile(packed) : "";
  const replaced: string[] = [];
  for (const [, , name, specifier] of found) {
    const isLocal = specifier.startsWith(".");
    const address = isLocal ? new URL(specifier, new URL(source, root)).href : import.meta.resolve(specifier);
    const bytes = await Deno.readFile(new URL(address));
    const content = specifier.endsWith(".wasm") ? bytes : new TextDecoder().decode(bytes);
    const file = isLocal ? specifier : `./${posix.basename(specifier)}`;
    const written = join(dirname(packed), `${file}.js`);
    await Deno.writeTextFile(written, asModule(content));
    const statement = new RegExp(`^import (source )?${name} from "[^"]+"( with \\{[^}]*\\})?;`, "m");
    if (!statement.test(code)) throw new Error(`Cannot build the package: ${packed} does not import ${name}`);
    code = code.replace(statement, `import ${name} from "${file}.js";`);
    if (isLocal) replaced.push(join(dirname(packed), specifier));
  }
  if (found.length > 0) await Deno.writeTextFile(packed, code);
  return replaced;
}

/** Paths of the modules below a folder, relative to it. */
async function* modulesBelow(folder: string, below = ""): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = posix.join(below, name);
    if (isDirectory) yield* modulesBelow(folder, path);
    else if (name.endsWith(".js")) yield path;
  }
}

/** Builds the package in a folder and returns the path of its file. */
export async function buildPackage(folder: string): Promise<string> {
  const work = await Deno.makeTempDir({ prefix: "flow-npm-" });
  try {
    const raw = join(work, "raw.tgz");
    await run(Deno.execPath(), "pack", "--quiet", "--allow-dirty", "--no-source-maps", "--output", raw);
    await run("tar", "-xzf", raw, "-C", work);
    const content = join(work, "package");
    const replaced = new Set<string>();
    for (const path of await Array.fromAsync(modulesBelow(content))) {
      const source = path.replace(/\.js$/, ".ts");
      const exists = await Deno.stat(new URL(source, root)).then(() => true, () => false);
      for (const file of await replaceImports(content, exists ? source : path)) replaced.add(file);
    }
    for (const file of replaced) await Deno.remove(file);
    const manifest = JSON.parse(await Deno.readTextFile(join(content, "package.json")));
    const { "plotly.js-basic-dist-min": _, ...dependencies } = manifest.dependencies as Record<
      string,
      string
    >;
    await Deno.writeTextFile(
      join(content, "package.json"),
      JSON.stringify(
        {
          ...manifest,
          description: "Flow matching in TypeScript: train, sample and look at velocity fields",
          engines: { node: ">=20.16" },
          sideEffects: false,
          jsdelivr: "./web/flow.js",
          unpkg: "./web/flow.js",
          dependencies: Object.fromEntries(
            Object.entries(dependencies).map(([name, range]) => [name, range.replace(/^\^/, "")]),
          ),
        },
        null,
        2,
      ),
    );
    await Deno.mkdir(folder, { recursive: true });
    const file = join(folder, `flow-matching-${configuration.version}.tgz`);
    const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    await run("tar", ...same, "-czf", file, "-C", work, "package");
    return file;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

if (import.meta.main) {
  console.log(await buildPackage(Deno.args[0] ?? fileURLToPath(new URL(".cache/npm", root))));
}
