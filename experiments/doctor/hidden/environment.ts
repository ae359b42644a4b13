import { basename } from "node:path";
import { statedFiles } from "../vulkan_drivers.ts";
import type { Obstacle } from "./obstacle.ts";

/**
 * A variable of the environment keeps WebGPU or the loader from the cards' driver.
 *
 * Source: Vulkan-Loader, LoaderInterfaceArchitecture.md, "Driver Select Filtering" and "Driver Disable Filtering"
 */
export const environment: Obstacle = ({ maker }, { variables, drivers }) => {
  const backend = variables.get("DENO_WEBGPU_BACKEND");
  if (backend !== undefined && !/vulkan/i.test(backend)) return leavingOut("DENO_WEBGPU_BACKEND", backend);
  const own = drivers.map(({ path }) => path).filter((path) => maker.json.test(path));
  const stated = statedFiles(variables);
  if (stated !== undefined && own.length === 0) {
    const name = variables.has("VK_DRIVER_FILES") ? "VK_DRIVER_FILES" : "VK_ICD_FILENAMES";
    return leavingOut(name, stated.join(":"));
  }
  const [selected, disabled] = ["VK_LOADER_DRIVERS_SELECT", "VK_LOADER_DRIVERS_DISABLE"];
  const matching = (name: string) => own.filter((path) => matches(basename(path), variables.get(name)!));
  if (own.length === 0) return undefined;
  if (variables.has(selected) && matching(selected).length === 0) {
    return leavingOut(selected, variables.get(selected)!);
  }
  // Selecting goes before disabling.
  if (variables.has(selected) || !variables.has(disabled)) return undefined;
  return matching(disabled).length < own.length ? undefined : leavingOut(disabled, variables.get(disabled)!);
};

/** Whether a file's name matches one of some patterns with `*`. */
function matches(name: string, patterns: string): boolean {
  return patterns.split(",").some((pattern) =>
    pattern === "~all~" || new RegExp(
      `^${pattern.split("*").map((part) => RegExp.escape(part)).join(".*")}$`,
      "i",
    ).test(name)
  );
}

function leavingOut(name: string, value: string) {
  return { says: `${name}=${value} leaves its driver out`, advice: `unset ${name}` };
}
