import { resolve } from "node:path";
import { main, stopSignal, task } from "./program/task.ts";
import { executeArguments, installJupyter, notebooks, registerKernel } from "./python/jupyter.ts";
import { PythonError, untilEnded } from "./python/python_environment.ts";
import { integer, toggle } from "./settings/kinds.ts";
import { defineSettings } from "./settings/settings.ts";
import { print, say } from "./terminal/output.ts";
import { checkPort } from "./tracking/local_server.ts";

/** The settings of the task that opens the notebooks. */
export const notebookSettings = defineSettings({
  port: integer({ doc: "port on this machine", min: 1, max: 65535, default: 8888 }),
  execute: toggle({
    doc: "run all cells of the notebooks instead, and save their outputs",
    default: false,
  }),
});

export const notebookTask = task({
  name: "notebook",
  about: "Open the notebooks in JupyterLab, or run their cells",
  settings: notebookSettings,
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
    if (execute) { for (const notebook of notebooks) await executeInPlace(python, notebook, env); }
    else await openLab(python, port, env);
  },
});

async function executeInPlace(python: string, notebook: string, env: Record<string, string>): Promise<void> {
  say(`Running ${notebook}`);
  const args = executeArguments(notebook, { to: notebook, seconds: 300 });
  const { success } = await new Deno.Command(python, { args, env, stdin: "null" }).spawn().status;
  if (!success) throw new PythonError(`Cannot run ${notebook}: one of its cells failed, see above`);
}

/** Serves JupyterLab until stopped. Deno's kernel has all permissions, so access needs the token in the address. */
async function openLab(python: string, port: number, env: Record<string, string>): Promise<void> {
  const token = crypto.randomUUID();
  const [first] = notebooks;
  const process = new Deno.Command(python, {
    args: ["-m", "jupyterlab", "--no-browser", "--log-level=ERROR", "--ip=127.0.0.1", `--port=${port}`]
      .concat(
        ["--ServerApp.port_retries=0", `--ServerApp.root_dir=${resolve(".")}`],
        ["--KernelSpecManager.allowed_kernelspecs=deno", ...(Deno.uid() === 0 ? ["--allow-root"] : [])],
      ),
    env: { ...env, JUPYTER_TOKEN: token },
    stdin: "null",
  }).spawn();
  using stop = stopSignal(() => process.kill("SIGTERM"));
  print(`http://127.0.0.1:${port}/lab/tree/${first}?token=${token}\n`);
  print("Open this address in a few seconds; stop with Ctrl-C");
  await untilEnded("JupyterLab", process, stop.signal, "above");
}

if (import.meta.main) await main(notebookTask);
