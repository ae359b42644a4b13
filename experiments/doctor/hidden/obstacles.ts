import type { Gpus } from "../gpus.ts";
import type { Host } from "../host.ts";
import { deviceFiles } from "./device_files.ts";
import { driverDescription } from "./driver_description.ts";
import { driverLibrary } from "./driver_library.ts";
import { environment } from "./environment.ts";
import { instances } from "./instances.ts";
import { kernelDriver } from "./kernel_driver.ts";
import { loader } from "./loader.ts";
import type { Obstacle, Reason } from "./obstacle.ts";
import { permissions } from "./permissions.ts";
import { versions } from "./versions.ts";
import { x11Libraries } from "./x11_libraries.ts";

/** The ways in which GPUs are hidden, from the card upwards. */
export const obstacles = {
  kernelDriver,
  deviceFiles,
  permissions,
  instances,
  loader,
  environment,
  driverDescription,
  driverLibrary,
  x11Libraries,
  versions,
} satisfies Record<string, Obstacle>;

/** Why WebGPU does not see the GPUs of a maker: all that stands in the way, or what to try where nothing known does. */
export function whyHidden(gpus: Gpus, host: Host): Reason[] {
  const reasons = Object.values(obstacles).map((find) => find(gpus, host)).filter((reason) =>
    reason !== undefined
  );
  return reasons.length > 0 ? reasons : [{
    says: "files, libraries and rights are as they should be",
    advice:
      "see what Vulkan's own program says: vulkaninfo --summary (Debian: vulkan-tools); the driver may be too old",
  }];
}
