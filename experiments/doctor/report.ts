/** `doctor --report`: a report that GPU owners can send, without the names of users or machines. */

import { basename } from "node:path";
import project from "../../deno.json" with { type: "json" };
import { isSoftware } from "../../kernels/devices/webgpu/adapter.ts";
import { type Device, DeviceError } from "../../kernels/mod.ts";
import { reasonOf, RunError } from "../run/run_folder.ts";
import { readCheckout } from "../run/program_files.ts";
import { measureBounds } from "./bounds.ts";
import type { Facts } from "./gpus.ts";
import { type Compared, noTime, selfTest } from "./self_test.ts";

/** The file of the report, the only one that the task may write. */
export const reportFile = "doctor.json";

/** Relative differences up to this come from fast functions on GPUs. */
const maxError = 1e-3;

/** System folders; all other paths may name a user. */
const systemFolder = /^\/(usr|etc|dev|lib|lib64)\//;

const withoutFolder = (path: string) =>
  !path.includes("/") || systemFolder.test(path) ? path : `.../${basename(path)}`;

/** Common owners and groups of device files. */
const systemGroups = ["root", "render", "video", "nogroup", "nobody"];

/** Removes from facts what may name a user: paths outside system folders, and owners of devices. */
export function withoutNames(facts: Facts): Facts {
  const { devices, drivers, libraries, variables } = facts;
  return {
    ...facts,
    devices: devices.map(({ mode, ...device }) => {
      const [bits, ...owners] = mode.split(" ");
      const shown = owners.map((name) => systemGroups.includes(name) ? name : "other");
      return { ...device, mode: [bits, ...shown].join(" ") };
    }),
    drivers: drivers.map(({ json, library, file }) => ({
      json: withoutFolder(json),
      library: withoutFolder(library),
      file: withoutFolder(file),
    })),
    libraries: new Map(Array.from(libraries, ([name, file]) => [name, withoutFolder(file)])),
    variables: new Map(
      Array.from(variables, ([name, value]) => [name, value.split(":").map(withoutFolder).join(":")]),
    ),
  };
}

/** The properties of an adapter. */
function describe({ info, features, limits }: GPUAdapter) {
  const values = (object: object) => {
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(object));
    const entries = names.map((name) => [name, Reflect.get(object, name)] as const);
    return Object.fromEntries(entries.filter(([, value]) => /string|number|boolean/.test(typeof value)));
  };
  return { info: values(info), features: [...features].sort(), limits: values(limits) };
}

/** The result of a test, in one line. */
export interface Tested {
  readonly state: "ok" | "error";
  readonly says: string;
}

/**
 * Writes the report, and updates it before each test: if a lost device ends the program, the file says in which test.
 *
 * @param findings the findings that `doctor` prints, without names
 * @param adapter the adapter to test
 * @param device the device that training would use, whose speed is measured
 * @returns the results of the tests
 * @throws {RunError} if the file cannot be written
 */
export async function writeReport(
  findings: readonly unknown[],
  adapter: GPUAdapter | null,
  device: Device | undefined,
): Promise<Tested[]> {
  const report = {
    version: project.version,
    commit: readCheckout()?.commit ?? null,
    ...Deno.version,
    ...{ os: Deno.build.os, architecture: Deno.build.arch, processors: navigator.hardwareConcurrency },
    findings,
    adapter: adapter && describe(adapter),
  };
  const kernels: Compared[] = [];
  const write = (more: Readonly<Record<string, unknown>>) => {
    try {
      Deno.writeTextFileSync(reportFile, JSON.stringify({ ...report, ...more, kernels }, null, 1) + "\n");
    } catch (error) {
      throw new RunError(`Cannot write ${reportFile}: ${reasonOf(error)}`);
    }
  };
  try {
    write({ unfinished: "speed" });
    const speed = device && await measureBounds(device);
    if (adapter) {
      const seconds = isSoftware(adapter) ? 0 : undefined; // kernel variants matter only on GPUs
      for await (const result of selfTest((unfinished) => write({ speed, unfinished }), seconds)) {
        kernels.push(result);
      }
    }
    write({ speed });
    return [
      ...speed
        ? [{
          state: "ok" as const,
          says: `copies ${(speed.bytesPerSecond / 1e9).toFixed(0)} GB/s, multiplies ${
            (2 * speed.multiplyAddsPerSecond / 1e9).toFixed(0)
          } GFLOP/s`,
        }]
        : [],
      ...adapter ? [summaryOf(kernels)] : [],
    ];
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    write({ failure: error.message });
    return [{ state: "error", says: error.message }];
  }
}

/** Summarises how many kernels are right, and which one is the worst. */
export function summaryOf(kernels: readonly Compared[]): Tested {
  const tested = kernels.filter(({ failure }) => failure !== noTime);
  const nameOf = ({ op, candidate }: Compared) => candidate === undefined ? op : `${op} (${candidate})`;
  const wrong = tested.filter(({ error }) => typeof error !== "number" || error > maxError);
  if (wrong.length > 0) {
    const names = wrong.slice(0, 5).map(nameOf).join(", ") + (wrong.length > 5 ? ", ..." : "");
    return { state: "error", says: `${wrong.length} of ${tested.length} kernels are wrong: ${names}` };
  }
  const worst = tested.reduce((a, b) => (b.error! > a.error! ? b : a));
  const left = kernels.length - tested.length;
  return {
    state: "ok",
    says: `${tested.length} kernels are right, largest relative difference ${
      worst.error!.toExponential(1)
    } (${nameOf(worst)})${left > 0 ? `; ${left} not tested` : ""}`,
  };
}
