/** The GPUs that a machine has, and why WebGPU does not see them. */

import { basename, join } from "node:path";
import { UserError } from "../../kernels/core/user_error.ts";
import { reasonOf } from "../run/atomic_write.ts";
import { checkout, readProgramFile, startCommand } from "../run/program_files.ts";

const mesa = {
  files: ["/dev/dri/renderD128"],
  make: "the kernel's driver makes it when it starts: dmesg says why it did not",
  vulkan: "install Mesa's drivers (Debian, Ubuntu, Fedora: mesa-vulkan-drivers)",
  flags: { container: "--device /dev/dri", apptainer: "--bind /dev/dri" },
};

/**
 * Makers of GPUs that can train, the preferred first; other display controllers, as in servers, cannot. `vendor` is the
 * PCI id, `kernel` names drivers of the kernel, `files` has an example of each kind of device file that is needed.
 */
const makers = [
  {
    ...{ name: "NVIDIA", vendor: 0x10de, kernel: ["nvidia"], json: /nvidia/i },
    files: ["/dev/nvidia0", "/dev/nvidiactl"],
    make: "make it, as root: nvidia-modprobe -u -c=0 (or start nvidia-smi once)",
    vulkan: "install the Vulkan part of NVIDIA's driver, of the same version " +
      "(Debian: nvidia-vulkan-icd, Ubuntu: libnvidia-gl-VERSION)",
    flags: { container: "--gpus all", apptainer: "--nv" },
  },
  { name: "AMD", vendor: 0x1002, kernel: ["amdgpu", "radeon"], json: /radeon|amd/i, ...mesa },
  { name: "Intel", vendor: 0x8086, kernel: ["i915", "xe"], json: /intel/i, ...mesa },
];
type Maker = typeof makers[number];

/** What look.sh prints: its facts by kind, each a list of fields. */
export type Facts = ReturnType<typeof parseFacts>;

/** Parses the output of look.sh. */
export function parseFacts(text: string) {
  const rows = text.split("\n").map((line) => line.split("\t"));
  const all = (kind: string) => rows.filter(([name]) => name === kind).map(([, ...fields]) => fields);
  return {
    cards: all("card").map(([vendor, driver]) => ({ vendor: Number(vendor), driver })),
    /** The version of NVIDIA's driver in the kernel; absent without one. */
    nvidia: all("nvidia").map(([line]) => / (\d+\.\d+(\.\d+)?) /.exec(line)?.[1] ?? "")[0],
    /** Parts into which MIG splits NVIDIA's cards. */
    mig: all("mig").length,
    /** `state` is `open`, `denied` by its mode, or `refused` despite it; `mode` is e.g. `660 root render`. */
    devices: all("device").map(([path, state, mode]) => ({ path, state, mode })),
    /** Files of libraries, empty for missing ones. */
    libraries: new Map(all("library").map(([name, file]) => [name, file])),
    /** The drivers that Vulkan's loader knows, and the files of their libraries, empty for missing ones. */
    drivers: all("driver").map(([json, library, file]) => ({ json, library, file })),
    variables: new Map(all("variable").map(([name, value]) => [name, value])),
    container: all("container")[0]?.[0] ?? "",
  };
}

/**
 * What this machine shows: nothing outside of Linux, where the system brings the drivers.
 *
 * @param test a folder in place of the root folder, and the environment variables there
 * @throws {UserError} if look.sh cannot run
 */
export async function look(test?: { root: string; env: Record<string, string> }): Promise<Facts> {
  if (Deno.build.os !== "linux") return parseFacts("");
  const script = "experiments/doctor/look.sh";
  const env = test && { env: { PATH: "/usr/bin:/bin", ...test.env }, clearEnv: true };
  try {
    // A checkout's is the one program that the task may run; elsewhere it is not a file that could be run.
    const [program, ...words] = checkout === undefined
      ? ["sh", "-c", new TextDecoder().decode(await readProgramFile(script)), script]
      : [join(checkout, script)];
    const args = [...words, ...test ? [test.root] : []];
    const { stdout } = await new Deno.Command(program, { args, ...env, stderr: "inherit" }).output();
    return parseFacts(new TextDecoder().decode(stdout));
  } catch (error) {
    const advice = `start ${startCommand("doctor")}, on a disk whose programs may run`;
    throw new UserError(`Cannot look for GPUs: ${reasonOf(error)}; ${advice}`);
  }
}

/** What is wrong, and what to do about it. */
export type Hint = readonly [wrong: string, advice: string];

/**
 * Why GPUs of this machine are hidden from WebGPU; empty if it has none.
 *
 * @param used PCI vendor of the GPU that training uses, NaN if unknown: only those of better makers are hidden then
 */
export function hiddenGpus(facts: Facts, used?: number): Hint[] {
  const end = makers.findIndex(({ vendor }) => vendor === used);
  const better = used === undefined ? makers : makers.slice(0, Math.max(end, 0));
  return better.flatMap((maker) => {
    const count = facts.cards.filter(({ vendor }) => vendor === maker.vendor).length;
    // A sandbox may show NVIDIA's driver, and no PCI bus.
    if (count === 0 && (maker.name !== "NVIDIA" || facts.nvidia === undefined)) return [];
    const found = reasons.map((reason) => reason(maker, facts)).filter((hint) => hint !== undefined);
    const name = `${maker.name} GPU${count > 1 ? ` (${count} of them)` : ""}`;
    const advice = "see what vulkaninfo --summary says (Debian: vulkan-tools)";
    if (found.length === 0) found.push(["WebGPU does not see it, and nothing is missing", advice]);
    return found.map(([wrong, advice]) => [`${name}: ${wrong}`, advice]);
  });
}

/** Each looks for one reason, from the hardware up. */
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
        return ["vfio-pci reserves it for a virtual machine", "train there, or give it back"];
      }
      const wrong = other
        ? `the kernel's ${other} runs it, not ${kernel[0]}`
        : "no driver of the kernel runs it";
      return [wrong, `install ${name}'s driver and load it (modprobe ${kernel[0]}; dmesg says why it fails)`];
    }
    const howToGet = (otherwise: string) => {
      if (container === "Apptainer") return `start the container with ${flags.apptainer}`;
      if (container === "Kubernetes") return "ask for one in the pod's resource limits (nvidia.com/gpu: 1)";
      if (container !== "") return `start the container with ${flags.container}`;
      return variables.has("SLURM_JOB_ID") ? "ask Slurm for a GPU: --gres=gpu:1" : otherwise;
    };
    const kindOf = (path: string) => path.replace(/\d+$/, "");
    for (const file of files) {
      const alike = devices.filter(({ path }) => kindOf(path) === kindOf(file));
      if (alike.length === 0) return [`there is no ${file}`, howToGet(make)];
      if (alike.some(({ state }) => state === "open")) continue;
      const [{ path, state, mode }] = alike;
      if (state === "refused") {
        const otherwise = "a control group or the driver refuses it: dmesg and nvidia-smi say more";
        return [`${path} exists but cannot be opened`, howToGet(otherwise)];
      }
      const [bits, , group] = mode.split(" ");
      const joinable = group !== "root" && (Number.parseInt(bits, 8) & 0o060) === 0o060;
      const join = `join its group, as root: usermod -aG ${group} USER, then log in again ` +
        `(in a container: --group-add ${group})`;
      const wrong = `you may not open ${path} (mode ${mode})`;
      return [wrong, joinable ? join : `let it be opened, as root: chmod a+rw ${path}`];
    }
    return undefined;
  },

  /** Source: NVIDIA Multi-Instance GPU user guide, "Application Considerations" */
  function instances({ name }, { mig }) {
    if (name !== "NVIDIA" || mig === 0) return;
    const advice = "ask for a whole card, or switch MIG off, as root: nvidia-smi -mig 0";
    return ["MIG splits it, and Vulkan does not run on the parts", advice];
  },

  function loader(_, { libraries }) {
    if (libraries.get("libvulkan.so.1")) return;
    return [
      "Vulkan's loader, libvulkan.so.1, is not installed",
      "install it (Debian, Ubuntu: libvulkan1, Fedora: vulkan-loader)",
    ];
  },

  /**
   * Variables may hide the driver's JSON file, containers may lack it: it belongs to the graphics part.
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
      return [`${variable}=${variables.get(variable)} may leave its driver out`, `unset ${variable}`];
    }
    if (own.some(({ file }) => file !== "")) return;
    const wrong = own.length === 0
      ? `Vulkan has no description of ${name}'s driver (${name.toLowerCase()}_icd.json)`
      : `${own[0].json} names ${own[0].library || "no library"}, which does not exist`;
    const given = variables.get("NVIDIA_DRIVER_CAPABILITIES");
    if (name !== "NVIDIA" || container === "" && given === undefined) return [wrong, vulkan];
    if (/\b(all|graphics)\b/.test(given ?? "")) return [wrong, `${vulkan}, on the container's host`];
    return [wrong, "start the container with NVIDIA_DRIVER_CAPABILITIES=all: graphics brings Vulkan"];
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

  /** As after an update without a restart. */
  function versions({ name }, { nvidia, libraries, container }) {
    const library = /\.so\.(\d+\.\d+(\.\d+)?)$/.exec(libraries.get("libGLX_nvidia.so.0") ?? "")?.[1];
    if (name !== "NVIDIA" || !nvidia || !library || nvidia === library) return;
    const advice = container === "" ? "restart" : "take it out of the image: the host brings its own";
    return [`its driver is ${nvidia} in the kernel and ${library} in its library`, advice];
  },
];
