import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { hiddenGpus, linesAbout, look, type Machine, parseFacts } from "../../experiments/doctor.ts";
import { presetFor } from "../../experiments/settings/presets.ts";
import { DeviceError } from "../../kernels/mod.ts";
import { testTask } from "./cli.ts";

const json = "/usr/share/vulkan/icd.d";

/** The output of doctor.sh on a machine with one NVIDIA card on which Vulkan works. */
const nvidia = `
card\t0x10de\tnvidia
nvidia\tNVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22
device\t/dev/nvidia0\topen\t666 root root
device\t/dev/nvidiactl\topen\t666 root root
library\tlibvulkan.so.1\t/usr/lib/libvulkan.so.1.4
library\tlibGLX_nvidia.so.0\t/usr/lib/libGLX_nvidia.so.550.54.14
library\tlibX11.so.6\t/usr/lib/libX11.so.6
library\tlibXext.so.6\t/usr/lib/libXext.so.6
driver\t${json}/nvidia_icd.json\tlibGLX_nvidia.so.0\t/usr/lib/libGLX_nvidia.so.550.54.14
`;

/** The same with an AMD card. */
const amd = `
card\t0x1002\tamdgpu
device\t/dev/dri/renderD128\topen\t660 root render
library\tlibvulkan.so.1\t/usr/lib/libvulkan.so.1.4
driver\t${json}/radeon_icd.json\t/usr/lib/libvulkan_radeon.so\t/usr/lib/libvulkan_radeon.so
`;

/** Removes matching lines from facts, and adds others. */
const changed = (facts: string, without: RegExp, ...added: string[]) =>
  [...facts.split("\n").filter((line) => !without.test(line)), ...added].join("\n");

const noDevices = changed(nvidia, /^device/);
const noDriver = changed(nvidia, /^driver/);
const runBy = (driver: string) => changed(nvidia, /^(card|nvidia)/, `card\t0x10de\t${driver}`);
const withDevice = (facts: string, path: string, state: string, mode = "666 root root") =>
  changed(facts, new RegExp(path), `device\t${path}\t${state}\t${mode}`);
const and = (facts: string, ...added: string[]) => changed(facts, /^$/, ...added);
const docker = "container\tDocker";
const capabilities = (names: string) => `variable\tNVIDIA_DRIVER_CAPABILITIES\t${names}`;

/** Facts with one fault, and the expected hint. */
const faults: readonly [facts: string, hint: RegExp][] = [
  [runBy(""), /no kernel driver is loaded .*modprobe nvidia/],
  [runBy("nouveau"), /the kernel uses the driver nouveau for it instead of nvidia; install/],
  [runBy("vfio-pci"), /vfio-pci reserves it for a virtual machine; train in that machine/],
  [noDevices, /\/dev\/nvidia0 does not exist; .*nvidia-modprobe/],
  [changed(noDevices, /^card/), /\/dev\/nvidia0 does not exist; .*nvidia-modprobe/], // the PCI bus is hidden
  [changed(nvidia, /nvidiactl/), /\/dev\/nvidiactl does not exist; .*nvidia-modprobe/],
  [and(noDevices, docker), /\/dev\/nvidia0 does not exist; .*--gpus all$/],
  [and(noDevices, "container\tApptainer"), /\/dev\/nvidia0 does not exist; .*--nv$/],
  [and(noDevices, "container\tKubernetes"), /\/dev\/nvidia0 does not exist; .*resource limits/],
  [and(noDevices, "variable\tSLURM_JOB_ID\t7"), /\/dev\/nvidia0 does not exist; .*--gres=gpu:1/],
  [changed(amd, /^device/, docker), /\/dev\/dri\/renderD128 does not exist; .*--device \/dev\/dri$/],
  [withDevice(amd, "/dev/dri/renderD128", "denied", "660 root render"), /\(mode 660 .*usermod -aG render/],
  [withDevice(nvidia, "/dev/nvidia0", "denied", "640 root video"), /open \/dev\/nvidia0 .*chmod a\+rw/],
  [withDevice(nvidia, "/dev/nvidiactl", "refused"), /nvidiactl exists but cannot be opened; .*dmesg/],
  [and(withDevice(nvidia, "/dev/nvidia0", "refused"), docker), /exists but cannot be opened; .*--gpus all$/],
  [and(nvidia, "mig\tgi1"), /MIG splits it.*-mig 0$/],
  [changed(nvidia, /libvulkan/, "library\tlibvulkan.so.1\t"), /libvulkan\.so\.1, is not inst.*libvulkan1/],
  [and(noDriver, "variable\tVK_DRIVER_FILES\tx"), /VK_DRIVER_FILES=x may exclude its driver; unset/],
  [and(nvidia, "variable\tVK_LOADER_DRIVERS_SELECT\tx"), /SELECT=x may exclude its driver; unset/],
  [and(nvidia, "variable\tDENO_WEBGPU_BACKEND\tgl"), /BACKEND=gl may exclude its driver; unset/],
  [noDriver, /no description of NVIDIA's driver .*; install the Vulkan part/],
  [and(noDriver, docker, capabilities("compute")), /no description of .*CAPABILITIES=all/],
  [and(noDriver, docker, capabilities("all")), /no description of .*on the container's host$/],
  [changed(amd, /^driver/, "driver\t/lvp_icd.json\tlvp.so\t/lvp.so"), /no desc.* of AMD's .*mesa-vulkan/],
  [changed(amd, /^driver/, "driver\t/amd.json\tlibradeon.so\t"), /names libradeon\.so, which .*mesa-vulkan/],
  [changed(nvidia, /libXext/, "library\tlibXext.so.6\t"), /without libXext\.so\.6; .*libxext6/],
  [changed(nvidia, /^nvidia/, "nvidia\tModule  535.183.01  Thu"), /535\.183\.01 in the kernel.*; restart/],
  [nvidia, /does not see it, although nothing is missing; .*vulkaninfo/],
];

Deno.test("hiddenGpus() finds each reason with its advice, and nothing else", () => {
  for (const [facts, expected] of faults) {
    const [hint, ...others] = hiddenGpus(parseFacts(facts));
    assert.match(hint.join("; "), expected);
    assert.deepEqual(others, []);
  }
  const several = hiddenGpus(parseFacts(changed(noDevices, /libvulkan/)));
  assert.deepEqual(several.map(([wrong]) => /nvidia0|libvulkan/.exec(wrong)?.[0]), ["nvidia0", "libvulkan"]);
  assert.deepEqual(hiddenGpus(parseFacts("card\t0x1a03\tast")), []); // the console of a server
});

const adapter = (description: string, vendor: string, software = false) => ({
  info: { description, device: "", vendor, isFallbackAdapter: software },
  features: new Set(software ? [] : ["shader-f16"]),
  limits: {
    ...{
      maxBufferSize: 2 ** 31,
      maxStorageBufferBindingSize: 2 ** 31,
      maxComputeWorkgroupStorageSize: 49152,
    },
  },
} as unknown as GPUAdapter);
const deviceOf = (kind: "cpu" | "webgpu", software: boolean) => ({
  ...{ kind, description: kind === "cpu" ? "8 threads" : "H100" },
  tuning: { workgroupSize: 64, software, pieces: 1 },
});
const h100 = adapter("NVIDIA H100 PCIe", "0x10de");
const software = adapter("llvmpipe", "0x10005", true);
const [cpu, gpu, slow] = [deviceOf("cpu", true), deviceOf("webgpu", false), deviceOf("webgpu", true)];
const noGpu = new DeviceError("No WebGPU adapter: none");
const idle = { requested: "auto", adapter: null, device: cpu } as const;
const machine = { ...idle, noGpu: noGpu.message, facts: parseFacts("") };
const both = parseFacts(`card\t0x8086\ti915${nvidia}`);

const onSoftware = { adapter: software, requested: "webgpu", device: slow } as const;
/** Machines, and the last line about them. */
const machines: readonly [Partial<Machine>, RegExp][] = [
  [{}, /^ok no GPU found; training uses the CPU: 8 threads, preset quick$/],
  [{ adapter: software }, /^ok no GPU found; training uses the CPU/],
  [{ adapter: h100, device: gpu, facts: parseFacts(nvidia) }, /^ok training uses H100, preset standard$/],
  [{ adapter: h100, requested: "cpu" }, /^ok training uses the CPU/],
  [{ adapter: h100, noGpu: "out of memory" }, /^error the adapter gives no device: out of memory$/],
  [{ facts: parseFacts(noDevices) }, /^error NVIDIA GPU: \/dev\/nvidia0 does not exist$/],
  [{ ...onSoftware, facts: parseFacts(noDevices) }, /^error NVIDIA GPU: /],
  [onSoftware, /^error no GPU found: only a software adapter/],
  [{ requested: "webgpu", device: noGpu }, /^error no GPU found: No WebGPU adapter: none$/],
  // A small GPU is in use while a large one is hidden, and vice versa; WebGPU does not name the maker.
  [{ adapter: adapter("UHD", "0x8086"), device: gpu, facts: both }, /^error NVIDIA GPU: WebGPU does not see/],
  [{ adapter: h100, device: gpu, facts: both }, /^ok training uses/],
  [{ adapter: adapter("H100", ""), device: gpu, facts: both }, /^ok training uses/],
];

Deno.test("linesAbout() reports what training would use, and why not something better", () => {
  for (const [change, expected] of machines) {
    const lines = [...linesAbout({ ...machine, ...change })];
    const { state, says, advice } = lines.at(-1)!;
    assert.match(`${state} ${says}`, expected);
    assert.equal(advice === undefined, state === "ok");
  }
  const said = [...linesAbout({ ...machine, adapter: h100, device: gpu, facts: parseFacts(nvidia) })];
  const about = (check: string) => said.filter((line) => line.check === check).map(({ says }) => says);
  const card = "NVIDIA H100 PCIe, values of up to 2.0 GiB, 48 KiB per workgroup, shader-f16";
  assert.deepEqual(about("adapter"), [card]);
  assert.deepEqual(about("driver"), [`${json}/nvidia_icd.json: /usr/lib/libGLX_nvidia.so.550.54.14`]);
  assert.deepEqual([gpu, slow, cpu].map(presetFor), ["standard", "quick", "quick"]);
  assert.equal(about("device")[0], "/dev/nvidia0: open (mode 666 root root)");
});

const folder = Symbol("folder");
const card = "sys/bus/pci/devices/0000:01:00.0";
/** Texts of files, folders, and targets of links, on a machine with an NVIDIA card and an odd driver. */
const tree: Readonly<Record<string, string | typeof folder | { readonly link: string }>> = {
  [`${card}/class`]: "0x030200\n",
  [`${card}/vendor`]: "0x10de\n",
  [`${card}/driver`]: { link: "../../../bus/pci/drivers/nvidia" },
  "sys/bus/pci/devices/0000:00:02.0/class": "0x020000\n", // a network card
  "proc/driver/nvidia/version": "Kernel Module  550.54.14  Thu\u001b[31m\ta\nGCC",
  "proc/driver/nvidia/capabilities/gpu0/mig/gi1": folder,
  "dev/nvidia0": "",
  "dev/nvidia1": folder, // even root cannot open it as a device
  "usr/lib/libvulkan.so.1": "",
  "opt/lib/libGLX_nvidia.so.0": { link: "libGLX_nvidia.so.550.54.14" },
  "opt/lib/libGLX_nvidia.so.550.54.14": "",
  "usr/share/vulkan/icd.d/nvidia_icd.json": '{"ICD": {"library_path": "libGLX_nvidia.so.0"}}',
  "home/ada/.local/share/vulkan/icd.d/b_icd.json": '{\n"ICD": {\n"library_path" : "/usr/lib/libb.so" } }',
  "srv/c_icd.json": '{"ICD": {"library_path": "./c/libc.so"}}',
  "srv/c/libc.so": "",
  "srv/readme.txt": "",
  ".dockerenv": "",
};

testTask("look() reads cards, devices and drivers", async ({ path: root }) => {
  for (const [path, entry] of Object.entries(tree)) {
    const at = join(root, path);
    await Deno.mkdir(entry === folder ? at : dirname(at), { recursive: true });
    if (typeof entry === "string") await Deno.writeTextFile(at, entry);
    else if (entry !== folder) await Deno.symlink(entry.link, at);
  }
  const set = { SLURM_JOB_ID: "7\ndevice\tx", PASSWORD: "secret" };
  const facts = await look({ root, env: { HOME: "/home/ada", LD_LIBRARY_PATH: "/opt/lib", ...set } });
  assert.deepEqual(facts.cards, [{ vendor: 0x10de, driver: "nvidia" }]);
  assert.deepEqual([facts.nvidia, facts.mig, facts.container], ["550.54.14", 1, "Docker"]);
  const devices = facts.devices.map(({ path, state }) => [path, state]);
  assert.deepEqual(devices, [["/dev/nvidia0", "open"], ["/dev/nvidia1", "refused"]]);
  assert.match(facts.libraries.get("libGLX_nvidia.so.0")!, /\/opt\/lib\/libGLX_nvidia.so.550.54.14$/);
  assert.equal(facts.libraries.get("libX11.so.6"), "");
  const glx = "libGLX_nvidia.so.0";
  const drivers = [["/usr/lib/libb.so", ""], [glx, "/opt/lib/libGLX_nvidia.so.550.54.14"]];
  assert.deepEqual(facts.drivers.map(({ library, file }) => [library, file]), drivers);
  assert.deepEqual([...facts.variables], [["SLURM_JOB_ID", "7 device x"]]);
  for (const name of ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]) {
    const { drivers: [{ json, file }, ...more] } = await look({
      root,
      env: { [name]: "/srv:/nowhere.json" },
    });
    assert.deepEqual([json, file, more], ["/srv/c_icd.json", "/srv/./c/libc.so", []]);
  }
});

testTask("doctor describes this machine, as lines or as JSON, and writes nothing", async (place) => {
  const before = await place.listing();
  const { stdout, stderr, code } = await place.run("doctor", "--device cpu");
  assert.deepEqual([stderr, code], ["", 0]);
  for (const check of ["machine", "adapter", "training"]) {
    assert.match(stdout, new RegExp(`^ok +${check} `, "m"));
  }
  const { ok, findings } = JSON.parse((await place.run("doctor", "--device cpu --json")).stdout);
  assert.deepEqual([ok, findings.at(-1).check], [true, "training"]);
  assert.deepEqual(await place.listing(), before);
});
