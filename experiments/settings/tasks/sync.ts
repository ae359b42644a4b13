import { path } from "../kinds.ts";
import { defineSettings } from "../settings.ts";
import { shared } from "./shared.ts";

/** The settings of the task that sends run folders to a server. */
export const syncing = defineSettings({
  mlflow: { ...shared.mlflow, doc: "MLflow server (else MLFLOW_TRACKING_URI, else each run's own)" },
  root: { ...path("DIR", "folder whose runs are sent if none is named"), default: "runs" },
});
