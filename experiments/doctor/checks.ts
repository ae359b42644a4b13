import type { Check } from "./check.ts";
import { adaptersOffered } from "./checks/adapters.ts";
import { denoVersion } from "./checks/deno.ts";
import { diskRoom } from "./checks/disk.ts";
import { gpuInUse } from "./checks/gpu.ts";
import { mainMemory } from "./checks/memory.ts";
import { trainingRate } from "./checks/rate.ts";
import { cpuThreads } from "./checks/threads.ts";
import { trackingServer } from "./checks/tracking_server.ts";
import { trainingData } from "./checks/training_data.ts";

/** All checks by the name that starts their lines, in the order of the lines; the slowest comes last. */
export const checks = {
  deno: denoVersion,
  adapter: adaptersOffered,
  gpu: gpuInUse,
  memory: mainMemory,
  processors: cpuThreads,
  disk: diskRoom,
  data: trainingData,
  tracker: trackingServer,
  training: trainingRate,
} satisfies Record<string, Check>;

/** The name of a check. */
export type CheckName = keyof typeof checks;
