import { integer, path } from "../kinds.ts";
import { defineSettings } from "../settings.ts";

/** The settings of the task that starts a local MLflow server. */
export const serving = defineSettings({
  port: integer({ doc: "port on this machine", min: 1, max: 65535, default: 5000 }),
  data: { ...path("DIR", "folder for the server's database and artifacts"), default: "runs/mlflow" },
});
