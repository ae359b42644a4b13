import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { main, stopSignal, task } from "./cli/task.ts";
import {
  pythonCommand,
  pythonEnvironment,
  PythonError,
  type Unavailable,
  untilEnded,
} from "./python/python_environment.ts";
import { integer, toggle } from "./cli/kinds.ts";
import { defineSettings } from "./cli/settings.ts";
import { print, say } from "./cli/output.ts";
import { checkPort } from "./mlflow.ts";

/** JupyterLab, which includes nbconvert, and what it needs to draw Plotly figures. */
const packages = ["jupyterlab==4.6.6", "plotly==7.1.0"];

const inRepository = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The notebooks of this repository, in reading order. */
export const notebooks: readonly string[] = ["notebooks/tiny_flow.ipynb", "notebooks/digits.ipynb"];

/** `deno task notebook`: opens JupyterLab, or runs the notebooks. */
export const notebookTask = task({
  name: "notebook",
  about: "Open the notebooks in JupyterLab, or run their cells",
  settings: defineSettings({
    port: integer({ doc: "port on this machine", min: 1, max: 65535, default: 8888 }),
    execute: toggle({
      doc: "run all cells of the notebooks instead, and save their outputs",
      default: false,
    }),
  }),
  async run({ port, execute }) {
    if (!execute) checkPort(port);
    say("Starting JupyterLab; the first start installs it in .cache, which takes about a minute");
    const python = await installJupyter();
    if (typeof python !== "string") {
      throw new PythonError(
        `Cannot install JupyterLab: ${python.reason}; or use another Jupyter: ` +
          "`deno jupyter --install` adds Deno's kernel to it",
      );
    }
    const env = await registerKernel();
    if (!execute) return await openLab(python, port, env);
    for (const notebook of notebooks) await executeInPlace(python, notebook, env);
  },
});

async function executeInPlace(python: string, notebook: string, env: Record<string, string>): Promise<void> {
  say(`Running ${notebook}`);
  const args = executeArguments(notebook, { to: notebook, seconds: 300 });
  const { success } = await pythonCommand(python, { args, env, stdin: "null" }).spawn().status;
  if (!success) throw new PythonError(`Cannot run ${notebook}: one of its cells failed, see above`);
}

/** Serves JupyterLab until stopped. Deno's kernel has all permissions, so access needs the token in the address. */
async function openLab(python: string, port: number, env: Record<string, string>): Promise<void> {
  const token = crypto.randomUUID();
  const [first] = notebooks;
  const process = pythonCommand(python, {
    args: [
      "-m",
      "jupyterlab",
      "--no-browser",
      "--log-level=ERROR",
      "--ip=127.0.0.1",
      `--port=${port}`,
      "--ServerApp.port_retries=0",
      `--ServerApp.root_dir=${resolve(".")}`,
      "--KernelSpecManager.allowed_kernelspecs=deno",
      ...Deno.uid() === 0 ? ["--allow-root"] : [],
    ],
    env: { ...env, JUPYTER_TOKEN: token },
    stdin: "null",
  }).spawn();
  using stop = stopSignal(() => process.kill("SIGTERM"));
  print(`http://127.0.0.1:${port}/lab/tree/${first}?token=${token}\n`);
  print("Open this address in a few seconds; stop with Ctrl-C");
  await untilEnded("JupyterLab", process, stop.signal, "above");
}

/**
 * Finds JupyterLab's python in the project's `.cache`, or installs it in about a minute; returns the reason if it
 * cannot.
 */
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
  const notifications = join(home, "settings", "@jupyterlab", "apputils-extension");
  await Deno.mkdir(notifications, { recursive: true });
  await Deno.writeTextFile(
    join(notifications, "notification.jupyterlab-settings"),
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

if (import.meta.main) await main(notebookTask);
