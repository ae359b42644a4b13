import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pythonEnvironment, type Unavailable } from "./python_environment.ts";

/** What is installed: JupyterLab, which brings nbconvert, and what draws Plotly figures in it. */
const packages = ["jupyterlab==4.6.6", "plotly==7.1.0"];

const inRepository = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The notebooks of this repository, in the order to read them. */
export const notebooks: readonly string[] = ["notebooks/tiny_flow.ipynb", "notebooks/digits.ipynb"];

/** Finds JupyterLab's python below the project's `.cache` or installs it, in about a minute; or the reason why it cannot. */
export function installJupyter(): Promise<string | Unavailable> {
  return pythonEnvironment(inRepository(".cache/jupyterlab-4.6.6"), packages);
}

/**
 * Registers the kernel of the Deno that runs this, in a folder of its own: what the user has installed is not touched.
 *
 * @param home where Jupyter is to keep its kernels and settings; made if it does not exist
 * @returns variables by which Jupyter finds them
 */
export async function registerKernel(home = inRepository(".cache/jupyter")): Promise<Record<string, string>> {
  const kernel = join(home, "kernels", "deno");
  await Deno.mkdir(kernel, { recursive: true });
  const argv = [Deno.execPath(), "jupyter", "--kernel", "--conn", "{connection_file}"];
  await Deno.writeTextFile(
    join(kernel, "kernel.json"),
    JSON.stringify({ argv, display_name: "Deno", language: "typescript" }),
  );
  const asked = join(home, "settings", "@jupyterlab", "apputils-extension");
  await Deno.mkdir(asked, { recursive: true });
  await Deno.writeTextFile(
    join(asked, "notification.jupyterlab-settings"),
    `{"fetchNews": "false", "checkForUpdates": false}`,
  );
  return {
    JUPYTER_DATA_DIR: home,
    JUPYTER_CONFIG_DIR: join(home, "config"),
    JUPYTER_RUNTIME_DIR: join(home, "runtime"),
    JUPYTERLAB_SETTINGS_DIR: join(home, "settings"),
    JUPYTERLAB_WORKSPACES_DIR: join(home, "workspaces"),
    IPYTHONDIR: join(home, "ipython"),
  };
}

/** Arguments of a python that runs a notebook's cells and writes it with what they show. */
export function executeArguments(
  notebook: string,
  { to, seconds }: { to: string; seconds: number },
): string[] {
  return [inRepository("experiments/python/execute_notebook.py"), notebook, to, String(seconds)];
}
