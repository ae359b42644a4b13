import assert from "node:assert/strict";
import { DataError } from "../../../experiments/data/dataset.ts";
import { asJson, checks, examine, type Line, lineText } from "../../../experiments/doctor/checks.ts";
import type { Host } from "../../../experiments/doctor/host.ts";
import { type Machine, madeUpDigits, measureRate, withTimeout } from "../../../experiments/doctor/machine.ts";
import { TrainingError } from "../../../experiments/program/task.ts";
import { ConfigError } from "../../../experiments/settings/setting.ts";
import { examining } from "../../../experiments/doctor.ts";
import { presetFor } from "../../../experiments/settings/training.ts";
import { trainingConfig } from "../../../experiments/settings/training_config.ts";
import { ServerError } from "../../../experiments/tracking/http_server.ts";
import { DeviceError } from "../../../kernels/mod.ts";
import { testOnDevices } from "../../testing.ts";
import { testTask, type Workplace } from "../cli.ts";
import { FakeMlflow } from "../tracking/fake_mlflow.ts";
import { bareHost, h100, lavapipe, machine, onGpu } from "./fake_machines.ts";

/** The lines of a check about a machine as text, without the check's name. */
async function linesOf(check: keyof typeof checks, of: Partial<Machine>): Promise<string[]> {
  return [await checks[check](machine(of))].flat().map(({ state, says, advice }) => {
    assert.equal(advice === undefined, state === "ok");
    return `${state}: ${says}; ${advice ?? ""}`;
  });
}

const given = (settings: Parameters<typeof examining.resolve>[0]) => ({
  settings: examining.resolve(settings),
});
const card = { address: "0000:01:00.0", vendor: 0x10de, model: 0x2330, driver: "nvidia" };
const host = (change: Partial<Host>) => ({ host: { ...bareHost, ...change } });
const disk = (folder: Partial<Host["folder"]>) => host({ folder: { ...bareHost.folder, ...folder } });
const threads = (threads: number) => ({
  device: { kind: "cpu", description: "", software: true, threads } as const,
});
const memory = { total: 2 ** 36, available: 2 ** 35, limit: 2 ** 33 };
const withCard = host({ cards: [card] });
const fails = (error: Error) => () => Promise.reject(error);
const withIntel = host({ cards: [{ ...card, vendor: 0x8086, driver: "i915" }, card] });
const consoles = [0x1a03, 0x102b, 0x1234, 0x1af4, 0x15ad].map((vendor) => ({ ...card, vendor }));
const tracker = { url: "http://127.0.0.1:5000", experiment: "UNet_FM", exists: false };
const idle = { ...onGpu, device: machine().device, ...withCard };
const rate = await machine().rate();

/** A machine, and the first line of a check about it. */
type Row = [Partial<Machine>, RegExp];

const rows: Readonly<Record<keyof typeof checks, readonly Row[]>> = {
  deno: [[{}, /^ok: Deno 2\.9\.6, linux x86_64; $/]],
  adapter: [
    [{}, /^ok: WebGPU offers none/],
    [
      {
        adapters: [h100],
        ...host({ nvidia: { version: "NVIDIA UNIX Module  550.54.14  Thu", models: [] } }),
      },
      /^ok: NVIDIA H100 PCIe, driver 550\.54\.14, values of up to 2\.0 GiB, 48 KiB a workgroup, shader-f16; $/,
    ],
    [{ adapters: [lavapipe] }, /^ok: llvmpipe \(software\), .*no shader-f16/],
  ],
  gpu: [
    [{}, /^ok: no GPU found; /],
    [{ adapters: [lavapipe] }, /^ok: no GPU found; /],
    [host({ cards: consoles }), /^ok: no GPU found; /],
    [{ ...onGpu, ...withCard }, /^ok: training uses NVIDIA H100 PCIe; $/],
    [{ ...onGpu, ...host({ cards: [card, card] }) }, /^ok: .*, one of 2 GPUs; $/],
    [
      withCard,
      /^error: NVIDIA GPU 10de:2330 at 0000:01:00\.0: WebGPU does not see it: there is no \/dev\/nvidia0; /,
    ],
    [{ ...withCard, adapters: [lavapipe] }, /^error: .*: only a software adapter is found: /],
    // A small GPU in use while a large one is hidden, and the reverse.
    [
      { ...onGpu, ...withIntel, adapters: [{ ...h100, vendor: 0x8086 }] },
      /^error: NVIDIA GPU .* does not see/,
    ],
    [{ ...onGpu, ...withIntel }, /^ok: training uses NVIDIA/],
    [{ ...onGpu, ...withCard, adapters: [{ ...h100, vendor: null }] }, /^ok: training uses NVIDIA/],
    [{ ...idle, ...given({ device: "cpu" }) }, /^error: --device cpu leaves NVIDIA H100 PCIe idle; /],
    [{ ...idle, noGpu: "out of memory" }, /^error: NVIDIA H100 PCIe gives no device: out of memory; /],
    [
      {
        adapters: [lavapipe],
        device: { kind: "webgpu", description: "llvmpipe", software: true, threads: undefined },
        ...given({ device: "webgpu" }),
      },
      /^error: --device webgpu computes on processors .*leave --device out/,
    ],
  ],
  memory: [
    [{}, /^ok: 8\.0 GiB free of 16\.0 GiB; $/],
    [{ memory }, /^ok: 8\.0 GiB may be used, of 64\.0 GiB: a control group limits it; $/],
    [{ memory: { ...memory, limit: 2 ** 29 } }, /^warning: 512\.0 MiB may be used.*--memory/],
    [{ memory: { ...memory, available: 1, limit: Infinity } }, /^warning: .*end other programs/],
  ],
  processors: [
    [{}, /^ok: 8 processors, 8 threads; $/],
    [threads(7), /^error: 7 of 8 processors are used; leave --threads out$/],
    [
      { ...host({ processors: 64, quota: 2.5 }), parallelism: 2, ...threads(3) },
      /^ok: 2 of the machine's 64 .*allow 2\.5.*3 threads/,
    ],
    [
      { ...host({ processors: 64, quota: 2.5 }), parallelism: 2, ...threads(4) },
      /^warning: .*use --threads 2$/,
    ],
    [{ parallelism: 128, ...threads(64) }, /^ok: .*64 threads; $/], // the most it uses
    [onGpu, /^ok: 8 processors; $/],
  ],
  disk: [
    [{}, /^ok: 64\.0 GiB are free for runs in runs; $/],
    [disk({ freeBytes: 2 ** 31 }), /^warning: 2\.0 GiB are free.*make room/],
    [disk({ freeBytes: 2 ** 27 }), /^error: 128\.0 MiB are free/],
    [disk({ writable: false }), /^error: runs cannot be written to runs/],
    [disk({ freeBytes: undefined }), /^ok: .* does not say/],
  ],
  data: [
    [{}, /^ok: made-up digits from this program: 2,048 images of 28 x 28; $/],
    [
      { data: fails(new DataError("Cannot get\n  MNIST: no network; connect once; or not")) },
      /^error: Cannot get MNIST: no network; connect once; or not$/,
    ],
    [{ data: fails(new DataError("Cannot get MNIST")) }, /^error: Cannot get MNIST; give another --data$/],
  ],
  tracker: [
    [{}, /^ok: no server is named/],
    [
      { tracker: () => Promise.resolve(tracker) },
      /^ok: http:\/\/127\.0\.0\.1:5000 answers; .*UNet_FM will be made/,
    ],
    [
      { tracker: fails(new ServerError("http://h cannot be reached (refused)", { retryable: true })) },
      /^warning: http:\/\/h cannot be reached.*sync/,
    ],
    [
      { tracker: fails(new ConfigError("Cannot use --mlflow")) },
      /^error: Cannot use --mlflow; give the http/,
    ],
  ],
  training: [
    [
      {},
      /^ok: residual, preset quick, on the CPU device \(8 threads\): 400 images\/s, 80\.0 ms a step of 32, 32\.0 MiB/,
    ],
    [given({ seconds: 0 }), /^ok: .*not timed/],
    [
      { rate: () => Promise.resolve({ ...rate, reduced: "Batches of 16" }) },
      /^warning: .*; Batches of 16; give/,
    ],
    [
      { rate: fails(new TrainingError("not even one image fits; use smaller --filters")) },
      /^error: .*: not even one image fits; use smaller --filters$/,
    ],
    [
      { device: new DeviceError("No WebGPU adapter: none") },
      /^error: No WebGPU adapter: none; see the lines above$/,
    ],
  ],
};

Deno.test("checks report what a machine has, what is wrong and what to do about it", async () => {
  for (const [check, cases] of Object.entries(rows)) {
    for (const [of, expected] of cases) {
      assert.match((await linesOf(check as keyof typeof checks, of))[0], expected);
    }
  }
  assert.match(
    (await linesOf("deno", host({ problem: "no shell" })))[1],
    /^warning: .* examined: no shell; /,
  );
  assert.deepEqual(await linesOf("disk", host({ problem: "no shell" })), []);
  assert.equal((await linesOf("adapter", { adapters: [h100, lavapipe] })).length, 2);
  const mistake = { data: fails(new TypeError("a mistake")) };
  await assert.rejects(linesOf("data", mistake), { name: "TypeError" });
});

Deno.test("examine() gives a line for every check with its numbers, and is ok unless one is an error", async () => {
  const lines = await Array.fromAsync(examine(machine()));
  assert.equal(lineText(lines[0]), "ok       deno       Deno 2.9.6, linux x86_64");
  assert.ok(asJson(lines).ok);
  assert.deepEqual(lines.map(({ check }) => check), Object.keys(rows));
  const hidden = await Array.fromAsync(examine(machine(withCard)));
  assert.equal(asJson(hidden).ok, false);
  const slow = await Array.fromAsync(examine(machine({ memory: { ...memory, limit: 2 ** 29 } })));
  assert.deepEqual([slow.some(({ state }) => state === "warning"), asJson(slow).ok], [true, true]);
  assert.deepEqual(asJson(slow).findings.find(({ check }) => check === "memory")?.values, {
    totalBytes: 2 ** 36,
    availableBytes: 2 ** 35,
    limitBytes: 2 ** 29,
  });
  const onH100 = asJson(await Array.fromAsync(examine(machine(onGpu)))).findings;
  assert.deepEqual(onH100[1].values, { ...h100, driver: null });
  const { preset, device, imagesPerSecond } = onH100.at(-1)!.values;
  assert.deepEqual([preset, device, imagesPerSecond], ["standard", "webgpu", 400]);
});

testOnDevices("measureRate() trains for a while, and measures rate and memory", async (device) => {
  const config = trainingConfig({ model: "base", filters: [8, 16], tEmb: 8, batchSize: 4, tune: true });
  const { imagesPerSecond, stepMilliseconds, batchSize, parameters, plannedBytes, reduced } =
    await measureRate(device, config, madeUpDigits(), 0.05);
  assert.deepEqual([batchSize, reduced], [4, undefined]);
  assert.ok(Math.abs(imagesPerSecond * stepMilliseconds - 4000) < 1e-6);
  assert.ok(parameters > 1000 && plannedBytes > 4 * 28 * 28 * 4);
});

Deno.test("presetFor() takes the larger network only on a GPU", () => {
  const cases = [["webgpu", false, "standard"], ["webgpu", true, "quick"], ["cpu", true, "quick"]] as const;
  for (const [kind, software, preset] of cases) {
    assert.equal(presetFor({ kind, tuning: { workgroupSize: 64, software, pieces: 1 } }), preset);
  }
});

Deno.test("withTimeout() returns data that arrives in time, and fails otherwise", async () => {
  assert.equal(await withTimeout(60, Promise.resolve(3)), 3);
  await assert.rejects(withTimeout(60, Promise.reject(new TypeError("broken"))), { name: "TypeError" });
  await assert.rejects(withTimeout(0.001, new Promise(() => {})), {
    name: "DataError",
    message: /^Waited 0\.001 s for the data; /,
  });
});

/** The findings of doctor about the tiny data on the CPU device, by check. */
async function examined(place: Workplace, more: string, env: Record<string, string> = {}) {
  const flags = `--data data --device cpu --json ${more}`;
  const { code, stdout, stderr } = await place.run("doctor", flags, env);
  assert.equal(stderr, "");
  const { ok, findings }: { ok: boolean; findings: Line[] } = JSON.parse(stdout);
  assert.equal(code, ok ? 0 : 1);
  assert.equal(ok, findings.every(({ state }) => state !== "error"));
  return {
    stdout,
    ...Object.fromEntries(findings.map((line) => [line.check, line])) as Record<keyof typeof checks, Line>,
  };
}

testTask("doctor prints a line for every check, and writes nothing", async (place) => {
  const before = await place.listing();
  const { stdout, stderr } = await place.runProgram("doctor", "--data data --device cpu --seconds 0.1"); // with its permissions
  assert.equal(stderr, "");
  const lines = stdout.trim().split("\n");
  for (const check of Object.keys(checks)) {
    assert.ok(lines.some((line) => new RegExp(`^(ok|warning|error) +${check} `).test(line)), check);
  }
  for (const line of lines.filter((line) => !line.startsWith("ok "))) assert.ok(line.includes("; "), line);
  assert.deepEqual(await place.listing(), before);
});

testTask("doctor --json prints numbers as numbers, and whether a server answers", async (place) => {
  await using server = await FakeMlflow.start(() => Response.json({ experiment: { experiment_id: "1" } }));
  const env = { MLFLOW_TRACKING_URI: server.url };
  const { training, data, memory, tracker } = await examined(place, "--seconds 0.1 --experiment mine", env);
  const { imagesPerSecond, batchSize, parameters } = training.values;
  assert.ok(typeof imagesPerSecond === "number" && imagesPerSecond > 0);
  assert.ok(Number.isInteger(batchSize) && Number.isInteger(parameters));
  assert.equal(data.values.trainImages, 96);
  assert.ok(memory.values.availableBytes as number > 0);
  assert.deepEqual(tracker.values, { url: server.url, experiment: "mine", exists: true });
});

testTask(
  "doctor fails where training would, and says in one line which flag it cannot use",
  async (place) => {
    const { code, stdout } = await place.run("doctor", "--device cpu --seconds 0 --data nowhere");
    assert.equal(code, 1);
    assert.match(stdout, /^error +data +Cannot read the data nowhere: it does not exist .*; /m);
    const unknown = await place.run("doctor", "--second 3");
    assert.deepEqual([unknown.code, unknown.stdout], [1, ""]);
    assert.equal(unknown.stderr, "ConfigError: Unknown flag --second (did you mean --seconds?)\n");
  },
);

testTask("doctor asks the named server once, and hides secrets in its address", async (place) => {
  await using server = await FakeMlflow.start(({ path }) =>
    path.includes("get-by-name") ? Response.json({ message: "no hunter2 here" }, { status: 500 }) : undefined
  );
  const address = server.url.replace("://", "://ada:hunter2@");
  const failing = await examined(place, "--seconds 0", { MLFLOW_TRACKING_URI: `${address}/?token=hunter2` });
  assert.equal(failing.tracker.state, "error"); // a query is refused
  const refusing = await examined(place, "--seconds 0", { MLFLOW_TRACKING_URI: address });
  const { state, says, advice } = refusing.tracker;
  assert.equal(state, "warning");
  assert.match(says, /^http:\/\/127\.0\.0\.1:\d+ answered 500/);
  assert.match(advice ?? "", /deno .* sync sends/);
  assert.equal(server.seen.length, 1);
  for (const { stdout } of [failing, refusing]) assert.doesNotMatch(stdout, /hunter2/);
  const silent = await examined(place, "--seconds 0 --mlflow http://127.0.0.1:9");
  assert.match(silent.tracker.says, /^http:\/\/127\.0\.0\.1:9 cannot be reached/);
});
