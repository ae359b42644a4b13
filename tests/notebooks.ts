/** The notebooks of this repository, run by Jupyter. `deno run -A tests/notebooks.ts` runs all cells and saves their outputs. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withFolder } from "./folder.ts";
import { pythonWith } from "./python.ts";

/** The notebooks, in reading order. */
export const notebooks: readonly string[] = ["notebooks/tiny_flow.ipynb", "notebooks/digits.ipynb"];

const inRepository = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Finds or installs Jupyter. @returns its python, or the reason why there is none */
export const findJupyter = () =>
  pythonWith(["jupyterlab==4.6.6", "plotly==7.1.0"], { name: "jupyterlab-4.6.6", needs: ["env"] });

/**
 * Runs the cells of a notebook in the kernel of this Deno, registered in a folder of its own.
 *
 * @param to where to save it with its outputs
 * @returns what went wrong, or an empty text
 */
export async function runNotebook(python: string, notebook: string, to: string): Promise<string> {
  return await withFolder(async (home) => {
    const kernel = join(home, "kernels", "deno");
    await Deno.mkdir(kernel, { recursive: true });
    const argv = [Deno.execPath(), "jupyter", "--kernel", "--conn", "{connection_file}"];
    const description = { argv, display_name: "Deno", language: "typescript" };
    await Deno.writeTextFile(join(kernel, "kernel.json"), JSON.stringify(description));
    const { success, stderr } = await new Deno.Command(python, {
      args: [inRepository("tests/execute_notebook.py"), inRepository(notebook), to, "1200"],
      env: { JUPYTER_DATA_DIR: home, JUPYTER_RUNTIME_DIR: join(home, "runtime"), IPYTHONDIR: home },
      stdin: "null",
    }).output();
    return success ? "" : new TextDecoder().decode(stderr);
  });
}

if (import.meta.main) {
  const python = await findJupyter();
  if (typeof python !== "string") throw new Error(`Cannot run the notebooks: ${python.reason}`);
  for (const notebook of notebooks) {
    const problem = await runNotebook(python, notebook, inRepository(notebook));
    if (problem !== "") throw new Error(`Cannot run ${notebook}: ${problem}`);
  }
}
