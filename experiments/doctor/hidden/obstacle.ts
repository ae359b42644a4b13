import type { Gpus } from "../gpus.ts";
import type { Host } from "../host.ts";

/** Why WebGPU does not see a GPU. */
export interface Reason {
  /** e.g. `/dev/nvidia0 cannot be opened`. */
  readonly says: string;
  /** What to do. */
  readonly advice: string;
}

/** One way in which GPUs are hidden; undefined where it is not this one. */
export type Obstacle = (gpus: Gpus, host: Host) => Reason | undefined;
