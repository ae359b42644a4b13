import { isAbsolute, join } from "node:path";

/** A driver that Vulkan's loader reads of in a JSON file. */
export interface VulkanDriver {
  /** The JSON file. */
  readonly path: string;
  /** Its library: a bare name, or a path; empty if the file does not say. */
  readonly library: string;
  /** Whether the library's file is there, for a path; a bare name is looked up among the machine's libraries. */
  readonly there: boolean;
}

/** Folders where container hosts put NVIDIA's driver, and where the loader does not look. */
export const unreadFolders = ["/usr/local/nvidia/vulkan/icd.d", "/usr/local/nvidia/share/vulkan/icd.d"];

/**
 * The drivers that the loader reads of, in its order.
 *
 * @param variables the environment
 * @param inRoot where the files of system paths really lie
 * Source: Vulkan-Loader, LoaderDriverInterface.md, "Linux Driver Discovery"
 */
export async function findVulkanDrivers(
  variables: ReadonlyMap<string, string>,
  inRoot: (path: string) => string,
): Promise<VulkanDriver[]> {
  const stated = statedFiles(variables);
  const files = stated === undefined
    ? await jsonFiles(searchFolders(variables), inRoot)
    : (await Promise.all(stated.map((path) => path.endsWith(".json") ? [path] : jsonFiles([path], inRoot))))
      .flat();
  const drivers = await Promise.all(files.map((path) => readDriver(path, inRoot)));
  return drivers.filter((driver) => driver !== undefined);
}

/** The files or folders that `VK_DRIVER_FILES` or its older name lists, which the loader then reads and no others. */
export function statedFiles(variables: ReadonlyMap<string, string>): string[] | undefined {
  const stated = variables.get("VK_DRIVER_FILES") ?? variables.get("VK_ICD_FILENAMES");
  return stated?.split(":").filter((path) => path !== "");
}

function searchFolders(variables: ReadonlyMap<string, string>): string[] {
  const home = variables.get("HOME");
  const inHome = (folder: string) => home === undefined ? [] : [join(home, folder)];
  const listed = (name: string, otherwise: string) => (variables.get(name) ?? otherwise).split(":");
  const given = (name: string) => variables.get(name)?.split(":");
  return [
    ...given("XDG_CONFIG_HOME") ?? inHome(".config"),
    ...listed("XDG_CONFIG_DIRS", "/etc/xdg"),
    ...["/usr/local/etc", "/etc"],
    ...given("XDG_DATA_HOME") ?? inHome(".local/share"),
    ...listed("XDG_DATA_DIRS", "/usr/local/share:/usr/share"),
  ].filter((folder) => folder !== "").map((folder) => join(folder, "vulkan/icd.d"));
}

/** The JSON files in folders; one that is missing or closed has none. */
export async function jsonFiles(
  folders: readonly string[],
  inRoot: (path: string) => string,
): Promise<string[]> {
  const files: string[] = [];
  for (const folder of new Set(folders)) {
    const names = await Array.fromAsync(Deno.readDir(inRoot(folder)), ({ name }) => name).catch(() => []);
    files.push(...names.filter((name) => name.endsWith(".json")).sort().map((name) => join(folder, name)));
  }
  return files;
}

/** Reads a driver's file; undefined if there is none, or none that can be read. */
async function readDriver(
  path: string,
  inRoot: (path: string) => string,
): Promise<VulkanDriver | undefined> {
  try {
    const library = libraryOf(JSON.parse(await Deno.readTextFile(inRoot(path))));
    // A path without a leading slash is relative to the file.
    const file = isAbsolute(library) ? library : join(path, "..", library);
    const there = library.includes("/") && await Deno.stat(inRoot(file)).then(() => true, () => false);
    return { path, library, there };
  } catch {
    return undefined;
  }
}

function libraryOf(json: unknown): string {
  const { ICD } = Object(json);
  const { library_path: library } = Object(ICD);
  return typeof library === "string" ? library : "";
}
