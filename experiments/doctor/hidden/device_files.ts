import { filesOf, type Maker, nvidia } from "../gpus.ts";
import { kernelDriver } from "./kernel_driver.ts";
import type { Host } from "../host.ts";
import type { Obstacle } from "./obstacle.ts";

/** The kernel runs the cards, and their files are not in `/dev`: a container or a job was not given them. */
export const deviceFiles: Obstacle = (gpus, host) => {
  if (kernelDriver(gpus, host) !== undefined) return undefined; // from which this follows
  const { maker } = gpus;
  const files = filesOf(gpus, host);
  const missing = maker.devices.filter((pattern) => !files.some(({ path }) => pattern.test(path)));
  if (missing.length === 0) return undefined;
  const isNvidia = maker.vendor === nvidia;
  const names = isNvidia ? ["/dev/nvidia0", "/dev/nvidiactl"] : ["/dev/dri/renderD128"];
  const name = names.find((name) => missing.some((pattern) => pattern.test(name)))!;
  return { says: `there is no ${name}`, advice: adviceFor(maker, host) };
};

function adviceFor({ vendor, resource }: Maker, { container, variables }: Host): string {
  const isNvidia = vendor === nvidia;
  const visible = variables.get("NVIDIA_VISIBLE_DEVICES");
  if (isNvidia && visible !== undefined && /^(none|void)$/.test(visible)) {
    return `NVIDIA_VISIBLE_DEVICES=${visible} keeps the cards from this container: set it to all`;
  }
  if (container === "Apptainer") return `start the container with ${isNvidia ? "--nv" : "--bind /dev/dri"}`;
  if (container === "Kubernetes") return `ask for one in the pod's resource limits (${resource}: 1)`;
  if (container !== "") return `start the container with ${isNvidia ? "--gpus all" : "--device /dev/dri"}`;
  if (variables.has("SLURM_JOB_ID")) return "ask Slurm for a GPU: --gres=gpu:1";
  return isNvidia
    ? "make them, as root: nvidia-modprobe -u -c=0 (or start nvidia-smi once)"
    : "the kernel's driver makes it when it starts: dmesg says why it did not";
}
