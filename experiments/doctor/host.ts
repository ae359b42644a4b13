/**
 * What a machine reveals about its GPUs, drivers, processors and a folder, read by look.sh, the only program Deno may
 * run.
 */

import { isAbsolute, join } from "node:path";
import { checkout, readProgramFile } from "../run/program_files.ts";
import { reasonOf } from "../run/atomic_write.ts";

/** A driver that Vulkan's loader knows from a JSON file. */
interface VulkanDriver {
  readonly path: string;
  /** A bare name or a path; empty if the file does not say. */
  readonly library: string;
  /** Whether a path leads to a file; a bare name is looked up among the machine's libraries. */
  readonly exists: boolean;
}

/** What a machine reveals; empty if it could not be read. */
export interface Host extends ReturnType<typeof parseRecords> {
  /** Set if nothing could be read. */
  readonly problem?: string;
  /** The drivers that Vulkan's loader finds, in its order. */
  readonly drivers: readonly VulkanDriver[];
  /** JSON files of drivers in folders of container hosts that the loader does not search. */
  readonly unsearched: readonly string[];
}

/** The program that looks, from the root of the repository. */
const script = "experiments/doctor/look.sh";

/** Folders where container hosts put NVIDIA's driver, and where the loader does not look. */
const unsearchedFolders = ["/usr/local/nvidia/vulkan/icd.d", "/usr/local/nvidia/share/vulkan/icd.d"];

/** Control groups write `max` for no limit, those of version 1 a number near 2^63. */
const unlimitedBytes = 2 ** 62;

/**
 * Looks at a machine. Never fails: what cannot be read is missing, and `problem` says why.
 *
 * @param folder where runs would go
 * @param test a stand-in for the root folder, and the environment variables there
 */
export async function lookAt(
  folder: string,
  test: { readonly root?: string; readonly variables?: Readonly<Record<string, string>> } = {},
): Promise<Host> {
  const { root = "", variables } = test;
  try {
    // A checkout's is the one program that the task may run; elsewhere it is no file that could be run.
    const [program, ...words] = checkout === undefined
      ? ["sh", "-c", new TextDecoder().decode(await readProgramFile(script)), script]
      : [join(checkout, script)];
    const { stdout, stderr, success } = await new Deno.Command(program, {
      args: [...words, folder, root],
      stdin: "null",
      ...variables && { env: { PATH: "/usr/bin:/bin", ...variables }, clearEnv: true },
    }).output();
    const text = new TextDecoder();
    if (!success) return { ...emptyHost(), problem: text.decode(stderr).trim().split("\n")[0] };
    const host = parseRecords(text.decode(stdout));
    const inRoot = (path: string) => join(root, path);
    return {
      ...host,
      drivers: await findVulkanDrivers(host.variables, inRoot),
      unsearched: await jsonFiles(unsearchedFolders, inRoot),
    };
  } catch (error) {
    return { ...emptyHost(), problem: reasonOf(error) };
  }
}

/** A machine that shows nothing. */
export function emptyHost(): Host {
  return { ...parseRecords(""), drivers: [], unsearched: [] };
}

/** Parses the output of look.sh: one record per line, its kind and fields separated by tabs. */
function parseRecords(text: string) {
  const records = text.split("\n").map((line) => line.split("\t"));
  const all = (name: string) => records.filter(([kind]) => kind === name).map(([, ...fields]) => fields);
  const first = (name: string) => all(name)[0]?.[0] ?? "";
  // The first of equal names counts, as for the dynamic loader.
  const named = (name: string): ReadonlyMap<string, string> =>
    new Map(all(name).toReversed().map(([key, value]) => [key, value]));
  const [[path = "", state = "", freeKiB = ""] = []] = all("folder");
  const [[user = "", groups = ""] = []] = all("user");
  return {
    /** Display controllers on the PCI bus, with their PCI ids; `driver` is empty if no kernel driver runs it. */
    cards: all("pci").map(([address, vendor, model, driver = ""]) => {
      return { address, vendor: Number(vendor), model: Number(model), driver };
    }),
    /** NVIDIA's driver in the kernel: its version in a line, and the names of its cards. */
    nvidia: { version: first("nvidia-driver"), models: all("nvidia-card").map(([model]) => model) },
    /** Number of parts into which MIG splits NVIDIA's cards. */
    instances: all("nvidia-instance").length,
    /**
     * Device files of GPUs: `open`, `denied` by their mode, or `refused` despite their mode, e.g. by a container or
     * job. `owner` is mode, user and group, e.g. `660 root render`.
     */
    devices: all("device").map(([path, state, ...owner]) => ({ path, state, owner: owner.join(" ") })),
    /** Library files by library name. */
    libraries: named("library"),
    /** Environment variables that matter to GPUs and are set. */
    variables: named("variable"),
    /** Kind of container, empty outside of known kinds. */
    container: first("container"),
    user: { name: user, groups: groups.split(" ").filter((group) => group !== "") },
    /** Processors of the machine; undefined if the system does not say. */
    processors: countOf(first("processors")),
    /** CPU time that control groups allow, in processors; infinite without a limit. */
    quota: Math.min(...all("quota").map(([limit]) => quotaOf(limit))),
    /** Bytes of memory that control groups allow; infinite without a limit. */
    memoryLimit: Math.min(...all("memory").map(([limit]) => Number(limit)).filter((n) => n < unlimitedBytes)),
    /** Where runs would go, or the nearest folder above it that exists; `freeBytes` undefined if the system does not say. */
    folder: {
      path,
      writable: state === "writable",
      freeBytes: freeKiB === "" ? undefined : 1024 * Number(freeKiB),
    },
  };
}

/** Number of processors in a list such as `0-3,8`; undefined without one. */
function countOf(list: string): number | undefined {
  if (list === "") return undefined;
  return list.split(",").reduce((sum, range) => {
    const [first, last = first] = range.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
}

/**
 * Processors that a limit such as `200000 100000` allows (quota and period in microseconds); `max` and -1 mean no
 * limit.
 */
function quotaOf(limit: string): number {
  const [time, period] = limit.split(" ").map(Number);
  return time > 0 && period > 0 ? time / period : Infinity;
}

/** Files or folders in `VK_DRIVER_FILES` or its older name; if it is set, the loader reads only these. */
export function statedDrivers(variables: ReadonlyMap<string, string>): string[] | undefined {
  const stated = variables.get("VK_DRIVER_FILES") ?? variables.get("VK_ICD_FILENAMES");
  return stated?.split(":").filter((path) => path !== "");
}

/**
 * The drivers that the loader finds, in its order.
 *
 * @param inRoot maps a system path to its real location
 * Source: Vulkan-Loader, LoaderDriverInterface.md, "Linux Driver Discovery"
 */
async function findVulkanDrivers(
  variables: ReadonlyMap<string, string>,
  inRoot: (path: string) => string,
): Promise<VulkanDriver[]> {
  const listed = (name: string, otherwise = "") => (variables.get(name) ?? otherwise).split(":");
  const inHome = (folder: string) => variables.has("HOME") ? join(variables.get("HOME")!, folder) : "";
  const searched = [
    ...listed("XDG_CONFIG_HOME", inHome(".config")),
    ...listed("XDG_CONFIG_DIRS", "/etc/xdg"),
    "/usr/local/etc",
    "/etc",
    ...listed("XDG_DATA_HOME", inHome(".local/share")),
    ...listed("XDG_DATA_DIRS", "/usr/local/share:/usr/share"),
  ].filter((folder) => folder !== "").map((folder) => join(folder, "vulkan/icd.d"));
  const files = await jsonFiles(statedDrivers(variables) ?? searched, inRoot);
  const drivers = await Promise.all(files.map((path) => readDriver(path, inRoot).catch(() => undefined)));
  return drivers.filter((driver) => driver !== undefined); // the loader skips others, too
}

/** JSON files at some places, each a file or a folder; missing or unreadable ones have none. */
async function jsonFiles(places: readonly string[], inRoot: (path: string) => string): Promise<string[]> {
  const files: string[] = [];
  for (const place of new Set(places)) {
    if (place.endsWith(".json")) files.push(place);
    const names = await Array.fromAsync(Deno.readDir(inRoot(place)), ({ name }) => name).catch(() => []);
    files.push(...names.filter((name) => name.endsWith(".json")).sort().map((name) => join(place, name)));
  }
  return files;
}

async function readDriver(path: string, inRoot: (path: string) => string): Promise<VulkanDriver> {
  const { ICD } = Object(JSON.parse(await Deno.readTextFile(inRoot(path))));
  const { library_path: stated } = Object(ICD);
  const library = typeof stated === "string" ? stated : "";
  // A path without a leading slash is relative to the file.
  const file = isAbsolute(library) ? library : join(path, "..", library);
  const exists = library.includes("/") && await Deno.stat(inRoot(file)).then(() => true, () => false);
  return { path, library, exists };
}
