import { nvidia } from "../gpus.ts";
import type { Host } from "../host.ts";
import type { VulkanDriver } from "../vulkan_drivers.ts";
import type { Obstacle } from "./obstacle.ts";

/** The cards' driver is described, and its library is missing. */
export const driverLibrary: Obstacle = ({ maker }, host) => {
  const own = host.drivers.filter(({ path }) => maker.json.test(path));
  if (own.length === 0 || own.some((driver) => isThere(driver, host))) return undefined;
  const [{ path, library }] = own;
  const inContainer = maker.vendor === nvidia && host.container !== "";
  return {
    says: `${path} names ${library || "no library"}, which is not there`,
    advice: inContainer ? "start the container with NVIDIA_DRIVER_CAPABILITIES=all" : maker.packages,
  };
};

function isThere({ library, there }: VulkanDriver, { libraries }: Host): boolean {
  return library.includes("/") ? there : libraries.has(library);
}
