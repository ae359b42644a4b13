/** File systems of machines that are not there: what `look.sh` reads below `/`, as files, folders and links. */

import { dirname, join } from "node:path";
import { type Host, lookAt } from "../../../experiments/doctor/host.ts";
import { withFolder } from "../../folder.ts";

/** A folder; as a device, one that does not open, whoever the user is. */
export const folder = Symbol("folder");

/** What is at a path: the text of a file, a folder, or where a link leads. */
export type Entry = string | typeof folder | { readonly link: string };

/** Entries by their paths, without the leading slash. */
export type Tree = Readonly<Record<string, Entry>>;

const card = "sys/bus/pci/devices/0000:01:00.0";
const libraries = "usr/lib";

/** A machine with one NVIDIA card, on which Vulkan works. */
export const nvidiaMachine: Tree = {
  [`${card}/class`]: "0x030200\n",
  [`${card}/vendor`]: "0x10de\n",
  [`${card}/device`]: "0x2330\n",
  [`${card}/driver`]: { link: "../../../bus/pci/drivers/nvidia" },
  "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22\nGCC",
  "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA H100 PCIe\nIRQ:   \t\t 44\n",
  "dev/nvidia0": "",
  "dev/nvidiactl": "",
  [`${libraries}/libvulkan.so.1`]: "",
  [`${libraries}/libX11.so.6`]: "",
  [`${libraries}/libXext.so.6`]: "",
  [`${libraries}/libGLX_nvidia.so.550.54.14`]: "",
  [`${libraries}/libGLX_nvidia.so.0`]: { link: "libGLX_nvidia.so.550.54.14" },
  "usr/share/vulkan/icd.d/nvidia_icd.json": icd("libGLX_nvidia.so.0"),
};

/** A machine with one AMD card, on which Vulkan works. */
export const amdMachine: Tree = {
  [`${card}/class`]: "0x030000\n",
  [`${card}/vendor`]: "0x1002\n",
  [`${card}/device`]: "0x744c\n",
  [`${card}/driver`]: { link: "../../../bus/pci/drivers/amdgpu" },
  "dev/dri/renderD128": "",
  [`${libraries}/libvulkan.so.1`]: "",
  [`${libraries}/libvulkan_radeon.so`]: "",
  "usr/share/vulkan/icd.d/radeon_icd.x86_64.json": icd(`/${libraries}/libvulkan_radeon.so`),
};

/** The JSON that tells Vulkan's loader of a driver. */
export function icd(library: string): string {
  return JSON.stringify({
    file_format_version: "1.0.1",
    ICD: { library_path: library, api_version: "1.3.277" },
  });
}

/** A tree without the entries whose paths match, and with others. */
export function changed(tree: Tree, without: RegExp, added: Tree = {}): Tree {
  const kept = Object.entries(tree).filter(([path]) => !without.test(path));
  return { ...Object.fromEntries(kept), ...added };
}

/** What the program sees of a machine. */
export function hostOf(tree: Tree, variables: Readonly<Record<string, string>> = {}): Promise<Host> {
  return withFolder(async (root) => {
    await plant(root, tree);
    return await lookAt(".", { root, variables });
  });
}

async function plant(root: string, tree: Tree): Promise<void> {
  for (const [path, entry] of Object.entries(tree)) {
    const at = join(root, path);
    await Deno.mkdir(entry === folder ? at : dirname(at), { recursive: true });
    if (typeof entry === "string") await Deno.writeTextFile(at, entry);
    else if (entry !== folder) await Deno.symlink(entry.link, at);
  }
}
