import { filesOf } from "../gpus.ts";
import type { DeviceFile, Host } from "../host.ts";
import type { Obstacle } from "./obstacle.ts";

/** The cards' files are there, and this user, container or job may not open any of a kind that is needed. */
export const permissions: Obstacle = (gpus, host) => {
  const files = filesOf(gpus, host);
  for (const pattern of gpus.maker.devices) {
    // Where a job has one card of several, only that one opens.
    const kind = files.filter(({ path }) => pattern.test(path));
    if (kind.length === 0 || kind.some(({ state }) => state === "open")) continue;
    const [file] = kind;
    const { path, owner } = file;
    return {
      says: file.state === "denied"
        ? `${host.user.name} may not open ${path} (mode ${owner})`
        : `${path} is there and does not open`,
      advice: file.state === "denied" ? adviceForMode(file, host) : adviceForLimit(host),
    };
  }
  return undefined;
};

function adviceForMode({ path, owner }: DeviceFile, { user }: Host): string {
  const [mode, , group] = owner.split(" ");
  const groupMayWrite = (Number.parseInt(mode, 8) & 0o060) === 0o060;
  if (!groupMayWrite || group === undefined || group === "root" || user.groups.includes(group)) {
    return `let it be opened, as root: chmod a+rw ${path}`;
  }
  return `join its group, as root: usermod -aG ${group} ${user.name}, then log in again ` +
    `(in a container: --group-add ${group})`;
}

function adviceForLimit({ container, variables }: Host): string {
  if (variables.has("SLURM_JOB_ID")) return "the job has no GPU: ask Slurm for one, --gres=gpu:1";
  if (container !== "") return "the container may not use it: give it the device, --gpus all or --device";
  return "a control group or the driver refuses it: dmesg says more, and so does nvidia-smi for NVIDIA's cards";
}
