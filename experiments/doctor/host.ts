/** What a machine shows of its GPUs, libraries, processors and a folder, read by `look.sh`. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { reasonOf } from "../run/atomic_write.ts";
import { fieldsOf, type HostRecord, only, textOf } from "./host_records.ts";
import { findVulkanDrivers, jsonFiles, unreadFolders, type VulkanDriver } from "./vulkan_drivers.ts";

/** A display controller on the PCI bus. */
export interface PciCard {
  /** Where it sits, e.g. `0000:01:00.0`. */
  readonly address: string;
  /** PCI's number of the maker, e.g. 0x10de. */
  readonly vendor: number;
  /** The maker's number of the model. */
  readonly model: number;
  /** The kernel's driver that runs it; empty if none does. */
  readonly driver: string;
}

/** A file through which programs reach a GPU. */
export interface DeviceFile {
  readonly path: string;
  /** `denied` by its mode; `refused` though its mode would allow it, as a container or a job does. */
  readonly state: "open" | "denied" | "refused";
  /** Mode, user and group, e.g. `660 root render`. */
  readonly owner: string;
}

/** Where runs would go: the folder itself, or the nearest one above it that is there. */
export interface Folder {
  readonly path: string;
  readonly writable: boolean;
  /** Room that is left; undefined where the system does not say. */
  readonly freeBytes: number | undefined;
}

/** What a machine shows of itself. */
export interface Host {
  /** Why nothing could be read, if so; all else is then empty. */
  readonly problem?: string;
  readonly cards: readonly PciCard[];
  /** NVIDIA's driver in the kernel: what it says of its version, and of the cards that it runs. */
  readonly nvidia: { readonly version: string; readonly models: readonly string[] };
  /** Number of instances into which MIG has split NVIDIA's cards. */
  readonly instances: number;
  readonly devices: readonly DeviceFile[];
  /** Files that names of libraries lead to. */
  readonly libraries: ReadonlyMap<string, string>;
  /** The drivers that Vulkan's loader reads of. */
  readonly drivers: readonly VulkanDriver[];
  /** JSON files of drivers in folders of container hosts that the loader does not read. */
  readonly unread: readonly string[];
  /** Environment variables that are set, of those that decide about GPUs. */
  readonly variables: ReadonlyMap<string, string>;
  /** What kind of container this is; empty if none that is known. */
  readonly container: string;
  readonly user: { readonly name: string; readonly groups: readonly string[] };
  /** Processors of the machine; undefined where the system does not say. */
  readonly processors: number | undefined;
  /** Processors' worth of time that control groups allow; infinite without a limit. */
  readonly quota: number;
  /** Bytes of memory that control groups allow; infinite without a limit. */
  readonly memoryLimit: number;
  readonly folder: Folder;
}

/** Version 1 of control groups states no limit as a number near 2^63. */
const unlimitedBytes = 2 ** 62;

const script = new URL("look.sh", import.meta.url);

/**
 * Looks at a machine. Never fails: what cannot be read is missing, and `problem` says why.
 *
 * @param folder where runs would go
 * @param test a folder to take for the root of the file system, and the variables that are set there
 */
export async function lookAt(
  folder: string,
  test: { readonly root?: string; readonly variables?: Readonly<Record<string, string>> } = {},
): Promise<Host> {
  const { root = "", variables } = test;
  try {
    const { stdout, stderr, success } = await new Deno.Command(fileURLToPath(script), {
      args: [folder, root],
      stdin: "null",
      ...variables && { env: { PATH: "/usr/bin:/bin", ...variables }, clearEnv: true },
    }).output();
    const text = new TextDecoder();
    if (!success) return { ...hostOf([]), problem: text.decode(stderr).trim().split("\n")[0] };
    const records = fieldsOf(text.decode(stdout));
    const host = hostOf(records);
    const inRoot = (path: string) => join(root, path);
    return {
      ...host,
      drivers: await findVulkanDrivers(host.variables, inRoot),
      unread: await jsonFiles(unreadFolders, inRoot),
    };
  } catch (error) {
    return { ...hostOf([]), problem: reasonOf(error) };
  }
}

function hostOf(records: readonly HostRecord[]): Host {
  const all = (kind: string) => only(records, kind);
  const [[path = "", state = "", freeKiB = ""] = []] = all("folder");
  const [[name = "", groups = ""] = []] = all("user");
  return {
    cards: all("pci").map(([address, vendor, model, driver = ""]) => {
      return { address, vendor: Number(vendor), model: Number(model), driver };
    }),
    nvidia: { version: textOf(records, "nvidia-driver"), models: all("nvidia-card").map(([model]) => model) },
    instances: all("nvidia-instance").length,
    devices: all("device").map(([path, state, ...owner]) => {
      return { path, state: state as DeviceFile["state"], owner: owner.join(" ") };
    }),
    libraries: firstOfEach(all("library")),
    drivers: [],
    unread: [],
    variables: firstOfEach(all("variable")),
    container: textOf(records, "container"),
    user: { name, groups: groups.split(" ").filter((group) => group !== "") },
    processors: countOf(textOf(records, "processors")),
    quota: Math.min(...all("quota").map(([limit]) => quotaOf(limit))),
    memoryLimit: Math.min(...all("memory").map(([limit]) => memoryLimitOf(limit))),
    folder: {
      path,
      writable: state === "writable",
      freeBytes: freeKiB === "" ? undefined : 1024 * Number(freeKiB),
    },
  };
}

/** The loader takes the first library of a name. */
function firstOfEach(pairs: readonly (readonly string[])[]): ReadonlyMap<string, string> {
  return new Map(pairs.toReversed().map(([name, value]) => [name, value]));
}

/** Number of processors in a list such as `0-3,8`; undefined without one. */
function countOf(list: string): number | undefined {
  if (list === "") return undefined;
  return list.split(",").reduce((sum, range) => {
    const [first, last = first] = range.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
}

/** Processors that a limit such as `200000 100000` allows: microseconds of a period; `max` and -1 are no limit. */
function quotaOf(limit: string): number {
  const [time, period] = limit.split(" ").map(Number);
  return time > 0 && period > 0 ? time / period : Infinity;
}

/** Bytes of a limit; `max`, and version 1's number for it, are none. */
function memoryLimitOf(limit: string): number {
  const bytes = Number(limit);
  return bytes < unlimitedBytes ? bytes : Infinity; // NaN is no limit
}
