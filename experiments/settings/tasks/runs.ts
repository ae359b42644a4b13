import { choice, toggle } from "../kinds.ts";
import { defineSettings } from "../settings.ts";
import { path, training } from "./train.ts";

/** The settings of the task that lists, shows and compares runs. */
export const listing = defineSettings({
  from: choice(["folders", "server"], {
    doc: "where to look; a server is also taken if --mlflow names it",
    default: "folders",
  }),
  root: { ...path("DIR", "folder of the run folders"), default: "runs" },
  mlflow: { ...training.rows.mlflow, doc: "MLflow server (else MLFLOW_TRACKING_URI)" },
  experiment: {
    ...training.rows.experiment,
    doc: "only its runs (else all folders, or on a server MLFLOW_EXPERIMENT_NAME, UNet_FM)",
  },
  json: toggle({ doc: "print JSON instead of a table", default: false }),
});
