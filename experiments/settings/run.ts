/** Settings of several tasks: where to compute, and where the record of a run goes. */

import { maxThreads } from "../../kernels/devices/cpu/thread_team.ts";
import type { Device } from "../../kernels/mod.ts";
import { ConfigError, flagOf } from "../cli/settings.ts";
import { address, choice, integer, line, optional, path, toggle } from "../cli/kinds.ts";

/** Settings of several tasks; a task may reword their `--help`. */
export const shared = {
  seed: integer({
    doc: "seed of weights, order, noise and times",
    max: 2 ** 32 - 1,
    default: 46020,
  }),
  device: choice(["auto", "webgpu", "cpu"], {
    doc: "where to compute; auto = a GPU, else the CPU",
    default: "auto",
  }),
  threads: integer({
    doc: "threads of the CPU device, 0 = one per core",
    max: maxThreads,
    default: 0,
    needs: {
      words: "--device cpu or auto",
      met: ({ device }) => device !== "webgpu",
      off: 0,
    },
  }),
  mlflow: optional(address("URI", "MLflow server (default: MLFLOW_TRACKING_URI)")),
  experiment: optional(line("NAME", "experiment of the run (default: MLFLOW_EXPERIMENT_NAME, else UNet_FM)")),
} as const;

/** Settings that locate the runs of a task. */
export const runSource = { root: { ...path("DIR", "folder that holds the runs"), default: "runs" } } as const;

/** `--dry-run` of the tasks that take long. */
export const dryRun = toggle({ doc: "show the plan and the time; write nothing", default: false });

/** `--no-pictures` of the tasks that draw some at the end: a short form of three settings. */
export const pictures = toggle({
  doc: "draw samples and trajectories; without, a run is only trained and tested",
  default: true,
});

/**
 * Settings without pictures.
 *
 * @throws {ConfigError} if they ask for some, or for a run that has its settings
 */
export function withoutPictures<Given extends GivenPictures>(given: Given): Given {
  const { samples, flowSamples, pathSamples, resume } = given;
  const other = Object.entries({ samples, flowSamples, pathSamples, resume })
    .find(([, value]) => value !== undefined && value !== null);
  if (other) throw new ConfigError(`Cannot use --no-pictures with ${flagOf(other[0])} (leave one out)`);
  return { ...given, samples: 0, flowSamples: 0, pathSamples: 0 };
}

interface GivenPictures {
  readonly samples?: number;
  readonly flowSamples?: number;
  readonly pathSamples?: number;
  readonly resume?: string | null;
}

/** Whether a device computes on a GPU; a software adapter does not count. */
export function isGpu({ kind, tuning }: Pick<Device, "kind" | "tuning">): boolean {
  return kind === "webgpu" && !tuning.software;
}
