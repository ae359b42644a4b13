import { mostThreads } from "../../../kernels/devices/cpu/most_threads.ts";
import { integer, optional } from "../../settings/kinds.ts";
import type { Values } from "../../settings/setting.ts";
import { shared } from "../../settings/shared.ts";
import { slurmFlags } from "./slurm_flags.ts";

/** Settings that say how the cells of a study are run, whichever launcher does it. */
export const launching = {
  jobs: integer({ doc: "cells that the local launcher trains at once", min: 1, max: 64, default: 1 }),
  device: shared.device,
  threads: optional(integer({
    doc: "threads of the CPU device for each cell (else its share of the cores)",
    min: 1,
    max: mostThreads,
  })),
  mlflow: {
    ...shared.mlflow,
    doc: "MLflow server that gets the study, each cell a nested run (else MLFLOW_TRACKING_URI)",
  },
  experiment: shared.experiment,
  ...slurmFlags,
} as const;

/** How the cells of a study are run. */
export type LaunchFlags = Values<typeof launching>;
