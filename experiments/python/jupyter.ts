import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pythonEnvironment, type Unavailable } from "./python_environment.ts";

/** JupyterLab, which includes nbconvert, and what it needs to draw Plotly figures. */
const packages = ["jupyterlab==4.6.6", "plotly==7.1.0"];

const inRepository = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The notebooks of this repository, in reading order. */
export const notebooks: readonly string[] = ["notebooks/tiny_flow.ipynb", "notebooks/digits.ipynb"];

/** Finds JupyterLab's python in the project's `.cache`, or installs it in about a minute; or the reason why it cannot. */
export function installJupyter(): Promise<string | Unavailable> {
  return pythonEnvironment(inRepository(".cache/jupyterlab-4.6.6"), packages);
}

/**
 * Registers this Deno as a kernel, in a separate folder that leaves the user's own Jupyter alone.
 *
 * @param home where Jupyter keeps its kernels and settings; created if missing
 * @returns environment variables that point Jupyter there
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

/** Arguments with which python runs a notebook's cells and saves it with their outputs. */
export function executeArguments(
  notebook: string,
  { to, seconds }: { to: string; seconds: number },
): string[] {
  return [inRepository("experiments/python/execute_notebook.py"), notebook, to, String(seconds)];
}
