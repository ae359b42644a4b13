import { environment } from "./environment.ts";
import { nvidia } from "../gpus.ts";
import type { Obstacle } from "./obstacle.ts";

/** The loader finds no JSON file of the cards' driver; in containers because the driver's graphics part is left out. */
export const driverDescription: Obstacle = (gpus, host) => {
  const { maker } = gpus;
  const { drivers, unread, container, variables } = host;
  if (drivers.some(({ path }) => maker.json.test(path)) || environment(gpus, host)) return undefined;
  const elsewhere = unread.find((path) => maker.json.test(path));
  if (elsewhere !== undefined) {
    return {
      says: `Vulkan's loader does not look at ${elsewhere}`,
      advice: `start through ./denow, or set VK_DRIVER_FILES=${elsewhere}`,
    };
  }
  const says = `Vulkan has no description of ${maker.name}'s driver (${maker.name.toLowerCase()}_icd.json)`;
  const capabilities = variables.get("NVIDIA_DRIVER_CAPABILITIES");
  if (maker.vendor !== nvidia || (container === "" && capabilities === undefined)) {
    return { says, advice: maker.packages };
  }
  if (capabilities !== undefined && /\b(all|graphics)\b/.test(capabilities)) {
    return { says, advice: `${maker.packages}, on the container's host` };
  }
  return {
    says: `${says}: the container lacks the capability graphics (NVIDIA_DRIVER_CAPABILITIES ${
      capabilities === undefined ? "is not set" : `is ${capabilities}`
    })`,
    advice: "start the container with NVIDIA_DRIVER_CAPABILITIES=all",
  };
};
