import { runTask, stopSignal } from "./program/command.ts";
import { PythonError } from "./python/python_environment.ts";
import { untilEnded } from "./python/until_ended.ts";
import { serving } from "./settings/tasks/mlflow.ts";
import {
  checkPort,
  installMlflow,
  makeDataFolder,
  mlflowVersion,
  startMlflow,
} from "./tracking/local_server.ts";
import { print, say } from "./terminal/output.ts";

await runTask(async () => {
  const flags = serving.parse(Deno.args);
  if (flags.help) {
    print(serving.help("deno task mlflow"));
    return;
  }
  const { port, data } = serving.resolve(flags.values);
  checkPort(port);
  await makeDataFolder(data); // before anything is installed
  say(
    `Starting MLflow ${mlflowVersion}; the first start installs it in .cache, which takes about a minute`,
  );
  const python = await installMlflow();
  if (typeof python !== "string") {
    throw new PythonError(
      `Cannot install MLflow: ${python.reason}; or use another server`,
    );
  }
  const { url, process, log } = await startMlflow(python, { data, port });
  print(`${url}\n`);
  print(`  MLFLOW_TRACKING_URI=${url} deno task train:residual   mirrors a run`);
  print(`  deno task sync --mlflow ${url}   sends earlier runs\n`);
  print(`Data in ${data}; stop with Ctrl-C`);
  using stop = stopSignal(() => process.kill("SIGTERM"));
  await untilEnded("MLflow", process, stop.signal, log);
});
