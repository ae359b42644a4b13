import { defineSettings } from "../settings.ts";
import { path, training } from "./train.ts";

/** The settings of the task that sends run folders to a server. */
export const syncing = defineSettings({
  mlflow: { ...training.rows.mlflow, doc: "MLflow server (else MLFLOW_TRACKING_URI, else that of each run)" },
  root: { ...path("DIR", "folder whose runs are sent, where none are named"), default: "runs" },
});
