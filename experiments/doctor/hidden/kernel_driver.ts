import { nvidia } from "../gpus.ts";
import type { Obstacle } from "./obstacle.ts";

/** No driver of the kernel runs the cards, or one that keeps them for something else. */
export const kernelDriver: Obstacle = ({ maker, drivers }, host) => {
  const loaded = maker.vendor === nvidia && host.nvidia.version !== "";
  if (loaded || drivers.length === 0 || drivers.some((name) => maker.kernelDrivers.includes(name))) {
    return undefined;
  }
  const other = drivers.find((name) => name !== "");
  const install = maker.vendor === nvidia
    ? "install NVIDIA's driver and load it (modprobe nvidia)"
    : `load ${maker.kernelDrivers[0]} (modprobe ${maker.kernelDrivers[0]}; dmesg says why it fails)`;
  if (other === undefined) return { says: "no driver of the kernel runs it", advice: install };
  const advice = other === "vfio-pci"
    ? "it is kept for a virtual machine: train there, or give it back to its driver"
    : install;
  return { says: `the kernel's ${other} runs it, not ${maker.kernelDrivers[0]}`, advice };
};
