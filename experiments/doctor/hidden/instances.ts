import { nvidia } from "../gpus.ts";
import type { Obstacle } from "./obstacle.ts";

/**
 * NVIDIA's cards for data centres run no graphics interface, and so no Vulkan, while MIG splits them.
 *
 * Source: NVIDIA Multi-Instance GPU user guide, "Application Considerations"
 */
export const instances: Obstacle = ({ maker }, host) => {
  if (maker.vendor !== nvidia || host.instances === 0) return undefined;
  return {
    says: `MIG splits it (instances: ${host.instances}), and Vulkan does not run on the parts`,
    advice: "ask for a whole card, or switch MIG off, as root: nvidia-smi -mig 0",
  };
};
