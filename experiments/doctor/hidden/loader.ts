import type { Obstacle } from "./obstacle.ts";

/** Vulkan's loader is missing, through which WebGPU reaches every driver. */
export const loader: Obstacle = (_, { libraries }) => {
  if (libraries.has("libvulkan.so.1")) return undefined;
  return {
    says: "Vulkan's loader, libvulkan.so.1, is not installed",
    advice: "install it (Debian, Ubuntu: libvulkan1, Fedora: vulkan-loader)",
  };
};
