import { basename, join } from "node:path";
import { CpuDevice } from "../kernels/devices/cpu/cpu_device.ts";
import { isSoftware } from "../kernels/devices/webgpu/webgpu_device.ts";
import { type Device, DeviceError, init, UserError } from "../kernels/mod.ts";
import { gigabytes, print } from "./cli/output.ts";
import { main, task } from "./cli/task.ts";
import { toggle } from "./cli/kinds.ts";
import { defineSettings } from "./cli/settings.ts";
import { presetFor } from "./settings/presets.ts";
import { shared } from "./settings/run.ts";
import { checkout, readProgramFile, startCommand } from "./run/program_files.ts";
import { reasonOf } from "./run/run_folder.ts";
import { mainMemory } from "./training/fit_memory.ts";

/** A line about this machine; an `error` leaves hardware unused or means that training cannot start. */
export interface Line {
  readonly state: "ok" | "error";
  readonly check: string;
  readonly says: string;
  /** What to do about an error. */
  readonly advice?: string;
}

/** What `linesAbout()` describes. */
export interface Machine {
  /** Where to compute, from `--device`. */
  readonly requested: "auto" | "webgpu" | "cpu";
  /** The adapter that training would take, null without one. */
  readonly adapter: GPUAdapter | null;
  /** The device that training would take, or why none can be opened. */
  readonly device: Pick<Device, "kind" | "tuning" | "description"> | DeviceError;
  /** Why WebGPU gives no device, which `auto` does not report. */
  readonly noGpu: string | undefined;
  readonly facts: Facts;
}

/** `deno task doctor`: examines this machine; the exit code is 1 if training cannot start or would not use the GPU. */
export const doctorTask = task({
  name: "doctor",
  about: "Check this machine: what it has, what training would use, and what to fix",
  settings: defineSettings({
    device: shared.device,
    json: toggle({ doc: "print JSON, not lines", default: false }),
  }),
  async run({ device, json }) {
    const lines = [...linesAbout(await thisMachine(device))];
    const ok = lines.every(({ state }) => state === "ok");
    if (json) print(JSON.stringify({ ok, findings: lines }, null, 2));
    else {
      for (const { state, check, says, advice } of lines) {
        print(`${state.padEnd(6)} ${check.padEnd(9)} ${says}${advice === undefined ? "" : `; ${advice}`}`);
      }
    }
    return ok ? 0 : 1;
  },
});

async function thisMachine(requested: Machine["requested"]): Promise<Machine> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }) ?? null;
  const gpu = await open("webgpu");
  const noGpu = gpu instanceof DeviceError ? gpu.message : undefined;
  const device = requested === "webgpu" ? gpu : await open(requested);
  return { requested, adapter, device, noGpu, facts: await look() };
}

/** Opens a device, describes it and closes it. */
async function open(requested: Machine["requested"]): Promise<Machine["device"]> {
  try {
    const device = await init({ device: requested }), { kind, tuning, description } = device;
    const isWide = device instanceof CpuDevice && await device.hasWideVectors();
    device.close();
    return { kind, tuning, description: isWide ? `${description}, wide vectors` : description };
  } catch (error) {
    if (error instanceof DeviceError) return error;
    throw error;
  }
}

/** Describes what a machine has for training, what training would use, and why it would not use more. */
export function* linesAbout({ requested, adapter, device, noGpu, facts }: Machine): Generator<Line> {
  const ok = (check: string, says: string): Line => ({ state: "ok", check, says });
  const error = (says: string, advice: string): Line => ({ state: "error", check: "training", says, advice });
  const { total, available, limit } = mainMemory();
  const memory = `${gigabytes(Math.min(available, limit))} of ${gigabytes(total)} of memory are free`;
  yield ok("machine", `${Deno.build.os}, ${navigator.hardwareConcurrency} processors, ${memory}`);
  yield ok("adapter", adapter === null ? "WebGPU offers none" : describeAdapter(adapter));
  for (const { json, file } of facts.drivers) yield ok("driver", `${json}: ${file || "no library"}`);
  for (const { path, state, mode } of facts.devices) yield ok("device", `${path}: ${state} (mode ${mode})`);

  const gpu = adapter !== null && !isSoftware(adapter) ? adapter : undefined;
  const none = device instanceof DeviceError;
  const onGpu = !none && device.kind === "webgpu" && !device.tuning.software;
  const used = none
    ? device.message
    : `training uses ${onGpu ? "" : "the CPU: "}${device.description}, preset ${presetFor(device)}`;
  if (requested === "cpu") return yield ok("training", used);
  if (gpu !== undefined && !onGpu) {
    const advice = "check whether other programs use its memory, and restart its driver";
    return yield error(`the adapter gives no device: ${noGpu}`, advice);
  }
  const hidden = hiddenGpus(facts, onGpu ? Number.parseInt(gpu?.info.vendor ?? "") : undefined);
  for (const [wrong, advice] of hidden) yield error(wrong, advice);
  if (hidden.length > 0) return;
  if (onGpu) return yield ok("training", used);
  if (requested === "auto") return yield ok("training", `no GPU found; ${used}`);
  const why = none ? device.message : `only a software adapter, ${device.description}`;
  yield error(`no GPU found: ${why}`, "leave --device out, and training uses the CPU");
}

function describeAdapter(adapter: GPUAdapter): string {
  const { info: { description, device, vendor }, features, limits } = adapter;
  return [
    (description || device || vendor) + (isSoftware(adapter) ? " (software)" : ""),
    `values of up to ${gigabytes(Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize))}`,
    `${limits.maxComputeWorkgroupStorageSize / 1024} KiB per workgroup`,
    features.has("shader-f16") ? "shader-f16" : "no shader-f16 (--precision f16 is refused)",
  ].join(", ");
}

// The machine's GPUs, and the reasons why WebGPU does not see them.

const mesa = {
  files: ["/dev/dri/renderD128"],
  make: "the kernel's driver creates it when it starts: dmesg says why it did not",
  vulkan: "install Mesa's drivers (Debian, Ubuntu, Fedora: mesa-vulkan-drivers)",
  flags: { container: "--device /dev/dri", apptainer: "--bind /dev/dri" },
};

/**
 * Makers of GPUs that can train, in order of preference; other display controllers, as in servers, cannot. `vendor` is the
 * PCI id, `kernel` names kernel drivers, and `files` has an example of each required kind of device file.
 */
const makers = [
  {
    name: "NVIDIA",
    vendor: 0x10de,
    kernel: ["nvidia"],
    json: /nvidia/i,
    files: ["/dev/nvidia0", "/dev/nvidiactl"],
    make: "create it, as root: nvidia-modprobe -u -c=0 (or start nvidia-smi once)",
    vulkan: "install the Vulkan part of NVIDIA's driver in the same version " +
      "(Debian: nvidia-vulkan-icd, Ubuntu: libnvidia-gl-VERSION)",
    flags: { container: "--gpus all", apptainer: "--nv" },
  },
  { name: "AMD", vendor: 0x1002, kernel: ["amdgpu", "radeon"], json: /radeon|amd/i, ...mesa },
  { name: "Intel", vendor: 0x8086, kernel: ["i915", "xe"], json: /intel/i, ...mesa },
];
type Maker = typeof makers[number];

/** The facts that doctor.sh prints, by kind. */
export type Facts = ReturnType<typeof parseFacts>;

export function parseFacts(text: string) {
  const rows = text.split("\n").map((line) => line.split("\t"));
  const all = (kind: string) => rows.filter(([name]) => name === kind).map(([, ...fields]) => fields);
  return {
    cards: all("card").map(([vendor, driver]) => ({ vendor: Number(vendor), driver })),
    /** The version of NVIDIA's kernel driver, if there is one. */
    nvidia: all("nvidia").map(([line]) => / (\d+\.\d+(\.\d+)?) /.exec(line)?.[1] ?? "")[0],
    /** Number of instances into which MIG splits NVIDIA's cards. */
    mig: all("mig").length,
    /** `state` is `open`, `denied` (by the mode), or `refused` (despite the mode); `mode` is e.g. `660 root render`. */
    devices: all("device").map(([path, state, mode]) => ({ path, state, mode })),
    /** Files of libraries; empty for missing ones. */
    libraries: new Map(all("library").map(([name, file]) => [name, file])),
    /** The drivers that Vulkan's loader knows, and the files of their libraries; empty for missing ones. */
    drivers: all("driver").map(([json, library, file]) => ({ json, library, file })),
    variables: new Map(all("variable").map(([name, value]) => [name, value])),
    container: all("container")[0]?.[0] ?? "",
  };
}

/**
 * Collects the facts about this machine; none outside of Linux, where the system includes the drivers.
 *
 * @param test a folder in place of the root folder, and the environment variables there
 */
export async function look(test?: { root: string; env: Record<string, string> }): Promise<Facts> {
  if (Deno.build.os !== "linux") return parseFacts("");
  const script = "experiments/doctor.sh";
  const env = test && { env: { PATH: "/usr/bin:/bin", ...test.env }, clearEnv: true };
  try {
    // In a checkout, doctor.sh is the one program that the task may run; elsewhere, it is not a local file.
    const [program, ...words] = checkout === undefined
      ? ["sh", "-c", new TextDecoder().decode(await readProgramFile(script)), script]
      : [join(checkout, script)];
    const args = [...words, ...test ? [test.root] : []];
    const { stdout } = await new Deno.Command(program, { args, ...env, stderr: "inherit" }).output();
    return parseFacts(new TextDecoder().decode(stdout));
  } catch (error) {
    const advice = `start ${startCommand("doctor")} on a disk that allows running programs`;
    throw new UserError(`Cannot look for GPUs: ${reasonOf(error)}; ${advice}`);
  }
}

/** A problem, and advice on how to solve it. */
export type Hint = readonly [wrong: string, advice: string];

/**
 * The reasons why GPUs of this machine are hidden from WebGPU; empty if it has none.
 *
 * @param used PCI vendor of the GPU that training uses, NaN if unknown; then only GPUs of preferred makers count
 */
export function hiddenGpus(facts: Facts, used?: number): Hint[] {
  const end = makers.findIndex(({ vendor }) => vendor === used);
  const better = used === undefined ? makers : makers.slice(0, Math.max(end, 0));
  return better.flatMap((maker) => {
    const count = facts.cards.filter(({ vendor }) => vendor === maker.vendor).length;
    // A sandbox may show NVIDIA's driver but no PCI bus.
    if (count === 0 && (maker.name !== "NVIDIA" || facts.nvidia === undefined)) return [];
    const hints = reasons.map((reason) => reason(maker, facts)).filter((hint) => hint !== undefined);
    const name = `${maker.name} GPU${count > 1 ? ` (${count} of them)` : ""}`;
    const advice = "see what vulkaninfo --summary says (Debian: vulkan-tools)";
    if (hints.length === 0) hints.push(["WebGPU does not see it, although nothing is missing", advice]);
    return hints.map(([wrong, advice]) => [`${name}: ${wrong}`, advice]);
  });
}

/** The checks for one reason each, from the hardware up. */
const reasons: readonly ((maker: Maker, facts: Facts) => Hint | undefined)[] = [
  /** A job may have only some of several cards, so one open device of a kind is enough. */
  function device(
    { name, vendor, kernel, files, make, flags },
    { cards, nvidia, devices, container, variables },
  ) {
    const drivers = cards.filter((card) => card.vendor === vendor).map(({ driver }) => driver);
    if (!(name === "NVIDIA" && nvidia !== undefined) && !drivers.some((driver) => kernel.includes(driver))) {
      const other = drivers.find((driver) => driver !== "");
      if (other === "vfio-pci") {
        return ["vfio-pci reserves it for a virtual machine", "train in that machine, or release the GPU"];
      }
      const wrong = other
        ? `the kernel uses the driver ${other} for it instead of ${kernel[0]}`
        : "no kernel driver is loaded for it";
      return [wrong, `install ${name}'s driver and load it (modprobe ${kernel[0]}; dmesg says why it fails)`];
    }
    const howToGet = (otherwise: string) => {
      if (container === "Apptainer") return `start the container with ${flags.apptainer}`;
      if (container === "Kubernetes") return "request one in the pod's resource limits (nvidia.com/gpu: 1)";
      if (container !== "") return `start the container with ${flags.container}`;
      return variables.has("SLURM_JOB_ID") ? "request a GPU from Slurm: --gres=gpu:1" : otherwise;
    };
    const kindOf = (path: string) => path.replace(/\d+$/, "");
    for (const file of files) {
      const sameKind = devices.filter(({ path }) => kindOf(path) === kindOf(file));
      if (sameKind.length === 0) return [`${file} does not exist`, howToGet(make)];
      if (sameKind.some(({ state }) => state === "open")) continue;
      const [{ path, state, mode }] = sameKind;
      if (state === "refused") {
        const otherwise = "a control group or the driver blocks it: see dmesg and nvidia-smi";
        return [`${path} exists but cannot be opened`, howToGet(otherwise)];
      }
      const [bits, , group] = mode.split(" ");
      const joinable = group !== "root" && (Number.parseInt(bits, 8) & 0o060) === 0o060;
      const join = `join its group, as root: usermod -aG ${group} USER, then log in again ` +
        `(in a container: --group-add ${group})`;
      const wrong = `you do not have permission to open ${path} (mode ${mode})`;
      return [wrong, joinable ? join : `grant permission, as root: chmod a+rw ${path}`];
    }
    return undefined;
  },

  /** Source: NVIDIA Multi-Instance GPU user guide, "Application Considerations" */
  function instances({ name }, { mig }) {
    if (name !== "NVIDIA" || mig === 0) return;
    const advice = "request a whole card, or turn off MIG, as root: nvidia-smi -mig 0";
    return ["MIG splits it, and Vulkan does not run on MIG instances", advice];
  },

  function loader(_, { libraries }) {
    if (libraries.get("libvulkan.so.1")) return;
    return [
      "Vulkan's loader, libvulkan.so.1, is not installed",
      "install it (Debian, Ubuntu: libvulkan1, Fedora: vulkan-loader)",
    ];
  },

  /**
   * Variables may hide the driver's JSON file, and containers may lack it, because it belongs to the graphics part.
   * Source: Vulkan-Loader, LoaderInterfaceArchitecture.md, "Driver Select Filtering"
   */
  function driver({ name, json, vulkan }, { drivers, variables, container }) {
    const own = drivers.filter((driver) => json.test(basename(driver.json)));
    const variable = [
      ...own.length > 0
        ? ["VK_LOADER_DRIVERS_SELECT", "VK_LOADER_DRIVERS_DISABLE"]
        : ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"],
      ...variables.get("DENO_WEBGPU_BACKEND") === "vulkan" ? [] : ["DENO_WEBGPU_BACKEND"],
    ].find((name) => variables.has(name));
    if (variable) {
      return [`${variable}=${variables.get(variable)} may exclude its driver`, `unset ${variable}`];
    }
    if (own.some(({ file }) => file !== "")) return;
    const wrong = own.length === 0
      ? `Vulkan has no description of ${name}'s driver (${name.toLowerCase()}_icd.json)`
      : `${own[0].json} names ${own[0].library || "no library"}, which does not exist`;
    const given = variables.get("NVIDIA_DRIVER_CAPABILITIES");
    if (name !== "NVIDIA" || container === "" && given === undefined) return [wrong, vulkan];
    if (/\b(all|graphics)\b/.test(given ?? "")) return [wrong, `${vulkan} on the container's host`];
    return [wrong, "start the container with NVIDIA_DRIVER_CAPABILITIES=all, which includes Vulkan"];
  },

  /** libGLX_nvidia needs X11's libraries, even without a screen; slim containers lack them. */
  function x11Libraries({ name }, { libraries }) {
    const missing = ["libX11.so.6", "libXext.so.6"].filter((library) => !libraries.get(library));
    if (name !== "NVIDIA" || missing.length === 0 || !libraries.get("libGLX_nvidia.so.0")) return;
    return [
      `NVIDIA's driver cannot be loaded without ${missing.join(" and ")}`,
      "install them (Debian, Ubuntu: libxext6, Fedora: libXext)",
    ];
  },

  /** Mismatched versions, for example after an update without a restart. */
  function versions({ name }, { nvidia, libraries, container }) {
    const library = /\.so\.(\d+\.\d+(\.\d+)?)$/.exec(libraries.get("libGLX_nvidia.so.0") ?? "")?.[1];
    if (name !== "NVIDIA" || !nvidia || !library || nvidia === library) return;
    const advice = container === ""
      ? "restart the machine"
      : "remove the driver from the image: the host provides its own";
    return [`its driver is version ${nvidia} in the kernel but ${library} in the library`, advice];
  },
];

if (import.meta.main) await main(doctorTask);
