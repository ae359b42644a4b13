/**
 * Builds the npm package of the library, for Node, Bun, bundlers and CDNs: `deno task build npm [FOLDER]` writes
 * `flow-matching-VERSION.tgz` there, by default into `.cache/npm/`.
 * `deno pack` does most of the work. This tool replaces imports of WebAssembly, which Node and bundlers do not support, by
 * modules, and adds the package's own README.
 */
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import "npm:@resvg/resvg-wasm@2.6.2"; // so that Deno downloads its files
import configuration from "../deno.json" with { type: "json" };

const root = new URL("../", import.meta.url);

/** An import of WebAssembly, in the source and in the output of `deno pack`. */
const wasmImport = /^import source (\w+) from "([^"]+)";$/m;

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, cwd: root, env: { NO_COLOR: "1" } })
    .output();
  if (!success) throw new Error(`Cannot build the package: ${program} ${args[0]} failed: ${decode(stderr)}`);
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();

/** The address of a worker, whose `.ts` Deno does not run from packages. */
const workerAddress = /new URL\("(\.\/\w+)\.ts", import\.meta\.url\)/g;

/** Replaces a module's WebAssembly import, if it has one, by an import of the bytes, and `.ts` in addresses of workers. */
async function finishModule(content: string, path: string): Promise<void> {
  const packed = join(content, path);
  const packedCode = await Deno.readTextFile(packed);
  const code = packedCode.replace(workerAddress, 'new URL("$1.js", import.meta.url)');
  if (code !== packedCode) await Deno.writeTextFile(packed, code);
  if (!wasmImport.test(code)) return;
  const [, name, specifier] = wasmImport.exec(await Deno.readTextFile(new URL(path, root)))!;
  const bytes = await Deno.readFile(new URL(import.meta.resolve(specifier)));
  const file = `./${posix.basename(specifier)}.js`;
  await Deno.writeTextFile(
    join(dirname(packed), file),
    `export default Uint8Array.from(atob("${bytes.toBase64()}"), (letter) => letter.charCodeAt(0));\n`,
  );
  await Deno.writeTextFile(packed, code.replace(wasmImport, `import ${name} from "${file}";`));
}

/** Paths of the modules below a folder, relative to it. */
async function* modulesBelow(folder: string, below = ""): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = posix.join(below, name);
    if (isDirectory) yield* modulesBelow(folder, path);
    else if (name.endsWith(".js")) yield path;
  }
}

/** The package's own README, under the name in `deno.json`. */
async function readme(): Promise<string> {
  const text = await Deno.readTextFile(new URL("npm_readme.md", import.meta.url));
  return text.replaceAll("@flow/matching", configuration.name);
}

/** Builds the package in a folder and returns the path of its file. */
export async function buildPackage(folder = fileURLToPath(new URL(".cache/npm", root))): Promise<string> {
  const work = await Deno.makeTempDir({ prefix: "flow-npm-" });
  try {
    const raw = join(work, "raw.tgz");
    await run(Deno.execPath(), "pack", "--quiet", "--allow-dirty", "--no-source-maps", "--output", raw);
    await run("tar", "-xzf", raw, "-C", work);
    const content = join(work, "package");
    for (const path of await Array.fromAsync(modulesBelow(content))) await finishModule(content, path);
    await Deno.writeTextFile(join(content, "README.md"), await readme());
    await Deno.copyFile(new URL("deno.json", root), join(content, "deno.json")); // the tasks
    const manifest = JSON.parse(await Deno.readTextFile(join(content, "package.json")));
    const dependencies = manifest.dependencies as Record<string, string>;
    await Deno.writeTextFile(
      join(content, "package.json"),
      JSON.stringify(
        {
          ...manifest,
          description: "Flow matching in TypeScript: train, sample and look at velocity fields",
          engines: { node: ">=20.16" },
          sideEffects: false,
          bin: { flow: "./cli.js" },
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
    const reproducible = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    await run("tar", ...reproducible, "-czf", file, "-C", work, "package");
    return file;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}
