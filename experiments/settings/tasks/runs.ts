import { choice, path, toggle } from "../kinds.ts";
import { defineSettings } from "../settings.ts";
import { shared } from "./shared.ts";

/** The settings of the task that lists, shows and compares runs. */
export const listing = defineSettings({
  from: choice(["folders", "server"], {
    doc: "where to look; --mlflow implies server",
    default: "folders",
  }),
  root: { ...path("DIR", "folder that holds the runs"), default: "runs" },
  mlflow: shared.mlflow,
  experiment: {
    ...shared.experiment,
    doc: "only its runs (else all folders; on a server MLFLOW_EXPERIMENT_NAME, UNet_FM)",
  },
  json: toggle({ doc: "print JSON, not a table", default: false }),
});
