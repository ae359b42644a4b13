import assert from "node:assert/strict";
import { adaptersOffered } from "../../../experiments/doctor/checks/adapters.ts";
import { denoVersion } from "../../../experiments/doctor/checks/deno.ts";
import { diskRoom } from "../../../experiments/doctor/checks/disk.ts";
import { gpuInUse } from "../../../experiments/doctor/checks/gpu.ts";
import { mainMemory } from "../../../experiments/doctor/checks/memory.ts";
import { trainingRate } from "../../../experiments/doctor/checks/rate.ts";
import { cpuThreads } from "../../../experiments/doctor/checks/threads.ts";
import { trackingServer } from "../../../experiments/doctor/checks/tracking_server.ts";
import { trainingData } from "../../../experiments/doctor/checks/training_data.ts";
import { asJson, examine, lineText } from "../../../experiments/doctor/examine.ts";
import { DataError } from "../../../experiments/data/dataset.ts";
import { TrainingError } from "../../../experiments/program/task.ts";
import { ConfigError } from "../../../experiments/settings/setting.ts";
import { examining } from "../../../experiments/doctor.ts";
import { ServerError } from "../../../experiments/tracking/http.ts";
import type { Check } from "../../../experiments/doctor/check.ts";
import type { Finding } from "../../../experiments/doctor/finding.ts";
import type { Host } from "../../../experiments/doctor/host.ts";
import type { Machine } from "../../../experiments/doctor/machine.ts";
import { DeviceError } from "../../../kernels/mod.ts";
import { bareHost, h100, lavapipe, machine, onGpu } from "./fake_machine.ts";

const card = { address: "0000:01:00.0", vendor: 0x10de, model: 0x2330, driver: "nvidia" };
const withCard: Host = { ...bareHost, cards: [card] };
const given = (settings: Parameters<typeof examining.resolve>[0]) => examining.resolve(settings);

/** The only finding of a check. */
async function one(check: Check, of: Partial<Machine>): Promise<Finding> {
  const found = await check(machine(of));
  assert.equal(found.length, 1, JSON.stringify(found));
  return found[0];
}

/** Asserts a finding's state and what it says, with its advice. */
async function tells(check: Check, of: Partial<Machine>, state: Finding["state"], line: RegExp) {
  const found = await one(check, of);
  assert.equal(found.state, state, found.says);
  assert.match(`${found.says}; ${found.advice}`, line);
  assert.equal(found.advice === undefined, state === "ok", "what is not well has advice");
}

Deno.test("denoVersion() tells the version, and that a machine cannot be looked at", async () => {
  await tells(denoVersion, {}, "ok", /^Deno 2\.9\.6, linux x86_64/);
  const [, second] = await denoVersion(machine({ host: { ...bareHost, problem: "no shell" } }));
  assert.deepEqual([second.state, second.says], [
    "warning",
    "what the machine has cannot be read: no shell",
  ]);
});

Deno.test("adaptersOffered() tells driver, limits and features of each", async () => {
  await tells(adaptersOffered, {}, "ok", /^WebGPU offers none/);
  const version = "NVRM version: NVIDIA UNIX Module  550.54.14  Thu";
  const host = { ...bareHost, nvidia: { version, models: [] } };
  const [first, second] = await adaptersOffered(machine({ adapters: [h100, lavapipe], host }));
  assert.equal(
    first.says,
    "NVIDIA H100 PCIe, driver 550.54.14, values of up to 2.0 GiB, 48 KiB a workgroup, shader-f16",
  );
  assert.match(second.says, /^llvmpipe \(software\), .*no shader-f16/);
  assert.deepEqual(first.values?.limits, h100.limits);
});

Deno.test("gpuInUse() is content with a GPU in use, and with none where there is none", async () => {
  await tells(gpuInUse, { ...onGpu, host: withCard }, "ok", /^training uses NVIDIA H100 PCIe;/);
  await tells(gpuInUse, { ...onGpu, host: { ...bareHost, cards: [card, card] } }, "ok", /one of 2 GPUs/);
  await tells(gpuInUse, {}, "ok", /^the machine shows none/);
  await tells(gpuInUse, { adapters: [lavapipe] }, "ok", /^the machine shows none/);
});

Deno.test("gpuInUse() takes no console of a server or virtual machine for a GPU", async () => {
  const consoles = [0x1a03, 0x102b, 0x1234, 0x1af4, 0x15ad].map((vendor) => ({ ...card, vendor }));
  await tells(gpuInUse, { host: { ...bareHost, cards: consoles } }, "ok", /^the machine shows none/);
});

Deno.test("gpuInUse() refuses a GPU that is hidden, and names a software adapter that hides this", async () => {
  const [first] = await gpuInUse(machine({ host: withCard }));
  assert.equal(first.state, "error");
  assert.match(first.says, /^NVIDIA GPU 10de:2330 at 0000:01:00\.0: WebGPU does not see it: there is no /);
  const [second] = await gpuInUse(machine({ host: withCard, adapters: [lavapipe] }));
  assert.match(second.says, /: only a software adapter is found: /);
});

Deno.test("gpuInUse() refuses a small GPU in use while a large one is hidden, and not the reverse", async () => {
  const intel = { ...h100, name: "Intel UHD", vendor: 0x8086 };
  const cards = [{ ...card, vendor: 0x8086, driver: "i915" }, card];
  const host = { ...bareHost, cards };
  const [found] = await gpuInUse(machine({ ...onGpu, adapters: [intel], host }));
  assert.equal(found.state, "error");
  await tells(gpuInUse, { ...onGpu, host }, "ok", /^training uses NVIDIA/);
});

Deno.test("gpuInUse() refuses flags that leave a GPU idle, and a GPU that gives no device", async () => {
  const idle = { ...onGpu, device: machine().device, host: withCard };
  await tells(
    gpuInUse,
    { ...idle, settings: given({ device: "cpu" }) },
    "error",
    /leaves NVIDIA H100 PCIe idle/,
  );
  await tells(gpuInUse, { ...idle, noGpu: "out of memory" }, "error", /gives no device: out of memory;/);
});

Deno.test("gpuInUse() refuses a software adapter where the CPU device is faster", async () => {
  const device = { kind: "webgpu", description: "llvmpipe, software", software: true } as const;
  const software = { adapters: [lavapipe], device, settings: given({ device: "webgpu" }) };
  await tells(gpuInUse, software, "error", /computes on processors .*leave --device out/);
});

Deno.test("mainMemory() tells what is free, and the limit of a container", async () => {
  await tells(mainMemory, {}, "ok", /^8\.0 GiB free of 16\.0 GiB/);
  const limited = { total: 2 ** 36, available: 2 ** 35, limit: 2 ** 33 };
  await tells(mainMemory, { memory: limited }, "ok", /^8\.0 GiB may be used, of 64\.0 GiB: a control group/);
  const small = { ...limited, limit: 2 ** 29 };
  await tells(mainMemory, { memory: small }, "warning", /^512\.0 MiB may be used.*--memory/);
  const { values } = await one(mainMemory, { memory: small });
  assert.deepEqual(values, { totalBytes: 2 ** 36, availableBytes: 2 ** 35, limitBytes: 2 ** 29 });
});

Deno.test("cpuThreads() wants as many threads as processors may be used", async () => {
  const threads = (threads: number) => ({ kind: "cpu", description: "", software: true, threads }) as const;
  await tells(cpuThreads, {}, "ok", /^8 processors, 8 threads/);
  await tells(
    cpuThreads,
    { device: threads(2) },
    "error",
    /^2 of 8 processors are used; leave --threads out/,
  );
  const limited = { host: { ...bareHost, processors: 64, quota: 2.5 }, parallelism: 2 };
  await tells(cpuThreads, { ...limited, device: threads(2) }, "ok", /^2 of the machine's 64 .*allow 2\.5/);
  await tells(cpuThreads, { ...limited, device: threads(8) }, "warning", /use --threads 2$/);
  await tells(cpuThreads, { parallelism: 128, device: threads(64) }, "ok", /64 threads/); // its most
  await tells(cpuThreads, onGpu, "ok", /^8 processors;/);
});

Deno.test("trainingData() tells where it comes from, or what is wrong with it", async () => {
  await tells(trainingData, {}, "ok", /^made-up digits from this program: 2,048 images of 28 x 28/);
  const data = () => Promise.reject(new DataError("Cannot get MNIST: no network; connect once"));
  await tells(trainingData, { data }, "error", /^Cannot get MNIST: no network; connect once$/);
  await assert.rejects(one(trainingData, { data: () => Promise.reject(new TypeError("a mistake")) }), {
    name: "TypeError",
  });
});

Deno.test("trackingServer() tells of a server that is named", async () => {
  await tells(trackingServer, {}, "ok", /^no server is named/);
  const found = { url: "http://127.0.0.1:5000", experiment: "UNet_FM", exists: false };
  await tells(trackingServer, { tracker: () => Promise.resolve(found) }, "ok", /UNet_FM will be made/);
  const silent = new ServerError("http://h cannot be reached (refused)", { passing: true });
  await tells(
    trackingServer,
    { tracker: () => Promise.reject(silent) },
    "warning",
    /cannot be reached.*sync/,
  );
  const wrong = () => Promise.reject(new ConfigError("Cannot use --mlflow"));
  await tells(trackingServer, { tracker: wrong }, "error", /^Cannot use --mlflow; give/);
});

Deno.test("diskRoom() wants a folder that can be written, with room", async () => {
  const folder = (folder: Partial<Host["folder"]>) => {
    return { host: { ...bareHost, folder: { ...bareHost.folder, ...folder } } };
  };
  await tells(diskRoom, {}, "ok", /^64\.0 GiB are free for runs in runs/);
  await tells(diskRoom, folder({ freeBytes: 2 ** 31 }), "warning", /^2\.0 GiB are free.*make room/);
  await tells(diskRoom, folder({ freeBytes: 2 ** 27 }), "error", /^128\.0 MiB are free/);
  await tells(diskRoom, folder({ writable: false }), "error", /^runs cannot be written to runs/);
  await tells(diskRoom, folder({ freeBytes: undefined }), "ok", /does not say/);
  assert.deepEqual(await diskRoom(machine({ host: { ...bareHost, problem: "no shell" } })), []);
});

Deno.test("trainingRate() tells what would run where and how fast, or why it would not", async () => {
  await tells(
    trainingRate,
    {},
    "ok",
    /^residual, preset quick, on the CPU device \(8 threads\): 400 images\/s/,
  );
  const { values } = await one(trainingRate, onGpu);
  assert.equal(values?.imagesPerSecond, 400);
  assert.deepEqual([values?.preset, values?.device], ["standard", "webgpu"]);
  await tells(trainingRate, { settings: given({ seconds: 0 }) }, "ok", /not timed/);
  const rate = await machine().rate();
  const reduced = "Batches of 16 images instead of 32: memory";
  await tells(
    trainingRate,
    { rate: () => Promise.resolve({ ...rate, reduced }) },
    "warning",
    /instead of 32/,
  );
  const fails = () => Promise.reject(new TrainingError("not even one image fits; use smaller --filters"));
  await tells(trainingRate, { rate: fails }, "error", /not even one image fits; use smaller/);
  const none = { device: new DeviceError("No WebGPU adapter: none"), settings: given({ device: "webgpu" }) };
  await tells(trainingRate, none, "error", /^No WebGPU adapter/);
});

Deno.test("examine() gives a line for every check, and is ok unless one is an error", async () => {
  const lines = await Array.fromAsync(examine(machine()));
  assert.equal(lineText(lines[0]), "ok       deno       Deno 2.9.6, linux x86_64");
  assert.ok(asJson(lines).ok);
  assert.deepEqual(
    lines.map(({ check }) => check),
    ["deno", "adapter", "gpu", "memory", "processors", "disk", "data", "tracker", "training"],
  );
  const hidden = await Array.fromAsync(examine(machine({ host: withCard })));
  assert.equal(asJson(hidden).ok, false);
  const slow = await Array.fromAsync(examine(machine({ memory: { total: 1, available: 1, limit: 1 } })));
  assert.deepEqual([slow.some(({ state }) => state === "warning"), asJson(slow).ok], [true, true]);
});
