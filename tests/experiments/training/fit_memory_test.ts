import assert from "node:assert/strict";
import { ImageSource } from "../../../experiments/data/image_source.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";
import { fitBatch, fittingNetwork, freeMainMemory } from "../../../experiments/training/fit_memory.ts";
import { makeNetwork } from "../../../experiments/training/network.ts";
import type { Device, MemoryPlan } from "../../../kernels/mod.ts";
import { testUnless } from "../../permissions.ts";
import { testOnCpu } from "../../testing.ts";

const MiB = 2 ** 20;
const device = (maxRangeBytes: number, software = false, maxBytes = Infinity) => ({
  maxRangeBytes,
  maxBytes,
  allocatedBytes: MiB,
  tuning: { workgroupSize: 1, software, pieces: 1 },
});
/** A step that needs `bytes` per image, half of them for its largest tensor. */
const plan = (bytes: number) => (images: number): MemoryPlan => ({
  bytes: images * bytes,
  largestBytes: images * bytes / 2,
  workspaceBytes: 0,
  calls: 1,
});

const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
const unmeasured = state === "granted" ? undefined : "needs --allow-sys=systemMemoryInfo";

Deno.test("fitBatch() halves the batch until its largest tensor and its step fit, and says why", () => {
  const tensor = (size: number, limit: number) =>
    `a tensor takes ${size} MiB, but a kernel can only bind ${limit} MiB`;
  const withSpace = (images: number) => ({ ...plan(MiB)(images), workspaceBytes: 3 * MiB });
  const cases: [limits: ReturnType<typeof device>, wanted: number, batchSize: number, reason?: string][] = [
    [device(64 * MiB), 128, 128],
    [device(Infinity), 1, 1],
    [device(63 * MiB), 128, 64, tensor(64, 63)],
    [device(4 * MiB), 100, 6, tensor(50, 4)],
    [device(MiB / 2), 3, 1, tensor(2, 1)],
    [device(64 * MiB, false, 5 * MiB), 8, 4, "training takes 8 MiB, but only 4 MiB are free"],
  ];
  for (const [limits, wanted, batchSize, reason] of cases) {
    assert.deepEqual(fitBatch(limits, wanted, plan(MiB)), { batchSize, ...reason && { reason } });
  }
  assert.deepEqual(fitBatch(device(64 * MiB, false, 9 * MiB), 8, withSpace), {
    batchSize: 4,
    reason: "training takes 11 MiB, but only 8 MiB are free",
  });
  assert.throws(() => fitBatch(device(MiB), 2, plan(4 * MiB)), {
    name: "TrainingError",
    message: "Cannot train this network here: not even one image fits " +
      "(a tensor takes 4 MiB, but a kernel can only bind 1 MiB); use a smaller one",
  });
});

testUnless(
  unmeasured,
  "fitBatch() halves the batch until it fits in main memory on a software adapter",
  () => {
    const half = Deno.systemMemoryInfo().available / 2;
    const { batchSize, reason } = fitBatch(device(Infinity, true), 16, plan(half));
    assert.equal(batchSize, 1);
    assert.match(reason ?? "", /^training takes \d+ MiB, but only \d+ MiB are free$/);
    assert.deepEqual(fitBatch(device(Infinity), 16, plan(half)), { batchSize: 16 });
    const free = [Infinity, 30, 60, 8].map((limit) => freeMainMemory({ available: 40, limit }, 10));
    assert.deepEqual(free, [40, 20, 40, 0], "or the rest of a control group's limit");
  },
);

const source = () =>
  new ImageSource(new Uint8Array(64 * 144), { channels: 1, height: 12, width: 12 }, {
    scale: 2,
    shift: -1,
  });
const network = { model: "base", tEmb: 8, batchSize: 64 } as const;
/** Limits of a device whose main memory does not count. */
const limitsOf = ({ maxRangeBytes, tuning }: Device) => ({
  maxRangeBytes,
  tuning: { ...tuning, software: false },
  allocatedBytes: 0,
});

testOnCpu("fittingNetwork() also counts measuring and sampling", (device) => {
  const plain = { ...network, filters: [8, 16], flowSamples: 0, pathSamples: 0 };
  const said: string[] = [];
  const fitting = (samples: number, maxBytes: number) => {
    const limits = { ...limitsOf(device), maxBytes };
    const say = (line: string) => void said.push(line);
    return fittingNetwork(trainingConfig({ ...plain, samples }), limits, source(), say).config.batchSize;
  };
  const config = trainingConfig({ ...plain, samples: 0 });
  const { bytes, workspaceBytes } = makeNetwork(config, source()).trainer.plan(64);
  assert.deepEqual([fitting(256, 10 * bytes), said], [64, []]);
  assert.ok(fitting(0, bytes + workspaceBytes) < 64, "the losses of validation and test count");
  assert.match(said[0], /^Batches of \d+ images instead of 64: /);
  assert.equal(fitting(0, 4 * bytes), 64);
  assert.ok(fitting(256, 4 * bytes) < 64, "samples count");
});

testOnCpu("fittingNetwork() keeps the memory of one network, whether the batch fits or not", (device) => {
  const config = trainingConfig({ ...network, filters: [64, 128], samples: 0 });
  const images = source();
  const grown = (make: () => unknown): number => {
    const before = device.allocatedBytes;
    make();
    return device.allocatedBytes - before;
  };
  const one = grown(() => makeNetwork(config, images));
  const step = makeNetwork(config, images).trainer.plan(64).bytes;
  for (const maxBytes of [Infinity, step]) {
    const kept = grown(() => fittingNetwork(config, { ...limitsOf(device), maxBytes }, images, () => {}));
    assert.ok(kept <= 1.2 * one, `${kept} bytes instead of ${one}`);
  }
});
