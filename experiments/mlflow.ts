import { main, stopSignal, task } from "./program/task.ts";
import { PythonError, untilEnded } from "./python/python_environment.ts";
import { integer, path } from "./settings/kinds.ts";
import { defineSettings } from "./settings/settings.ts";
import { print, say } from "./program/output.ts";
import {
  checkPort,
  installMlflow,
  makeDataFolder,
  mlflowVersion,
  startMlflow,
} from "./tracking/local_server.ts";

/** `deno task mlflow`: serves MLflow until it is stopped. */
export const mlflowTask = task({
  name: "mlflow",
  about: "Start a local MLflow server",
  settings: defineSettings({
    port: integer({ doc: "port on this machine", min: 1, max: 65535, default: 5000 }),
    data: { ...path("DIR", "folder for the server's database and artifacts"), default: "runs/mlflow" },
  }),
  async run({ port, data }) {
    checkPort(port);
    await makeDataFolder(data); // before anything is installed
    say(
      `Starting MLflow ${mlflowVersion}; the first start installs it in .cache, which takes about a minute`,
    );
    const python = await installMlflow();
    if (typeof python !== "string") {
      throw new PythonError(`Cannot install MLflow: ${python.reason}; or use another server`);
    }
    const { url, process, log } = await startMlflow(python, { data, port });
    print(`${url}\n`);
    print(`  MLFLOW_TRACKING_URI=${url} deno task train:residual   mirrors a run`);
    print(`  deno task sync --mlflow ${url}   sends earlier runs\n`);
    print(`Data in ${data}; stop with Ctrl-C`);
    using stop = stopSignal(() => process.kill("SIGTERM"));
    await untilEnded("MLflow", process, stop.signal, log);
  },
});

if (import.meta.main) await main(mlflowTask);
