/** The machine's GPUs, and the reasons why WebGPU does not see them. */

import { basename, join } from "node:path";
import { UserError } from "../../kernels/core/user_error.ts";
import { reasonOf } from "../run/run_folder.ts";
import { checkout, readProgramFile, startCommand } from "../run/program_files.ts";

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
    ...{ name: "NVIDIA", vendor: 0x10de, kernel: ["nvidia"], json: /nvidia/i },
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

/** The facts that look.sh prints, by kind. */
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
 * @throws {UserError} if look.sh cannot run
 */
export async function look(test?: { root: string; env: Record<string, string> }): Promise<Facts> {
  if (Deno.build.os !== "linux") return parseFacts("");
  const script = "experiments/doctor/look.sh";
  const env = test && { env: { PATH: "/usr/bin:/bin", ...test.env }, clearEnv: true };
  try {
    // In a checkout, look.sh is the one program that the task may run; elsewhere, it is not a local file.
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
