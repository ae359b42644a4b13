import { number, optional, path, toggle } from "../kinds.ts";
import type { Values } from "../setting.ts";
import { defineSettings } from "../settings.ts";
import { shared } from "./shared.ts";
import { network, training } from "./train.ts";

/** The settings of the task that examines a machine; all but the last two are those of the run that is asked about. */
export const examining = defineSettings({
  model: { ...network, default: "residual" },
  preset: optional({
    ...training.rows.preset,
    doc: "preset of the run (else standard on a GPU, quick without)",
  }),
  data: training.rows.data,
  mlflow: shared.mlflow,
  experiment: shared.experiment,
  root: { ...path("DIR", "folder where runs would go"), default: "runs" },
  device: shared.device,
  threads: shared.threads,
  seconds: number({ doc: "how long to train for the rate, 0 = not at all", min: 0, default: 10 }),
  json: toggle({ doc: "print JSON, not lines", default: false }),
});

/** The settings of that task by name. */
export type DoctorConfig = Values<typeof examining.rows>;
