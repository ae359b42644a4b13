import assert from "node:assert/strict";
import { fitBatch } from "../../../experiments/training/fit_memory.ts";
import type { MemoryPlan } from "../../../kernels/mod.ts";
import { testUnless } from "../../permissions.ts";

const MiB = 2 ** 20;
const device = (maxRangeBytes: number, software = false, maxBytes = Infinity) => ({
  maxRangeBytes,
  maxBytes,
  allocatedBytes: MiB,
  tuning: { workgroupSize: 1, software, pieces: 1 },
});
/** A step that needs `bytes` an image, half of them for its largest value. */
const plan = (bytes: number) => (images: number): MemoryPlan => ({
  bytes: images * bytes,
  largestBytes: images * bytes / 2,
  calls: 1,
});

const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
const unmeasured = state === "granted" ? undefined : "needs --allow-sys=systemMemoryInfo";

Deno.test("fitBatch() keeps a batch that fits", () => {
  assert.deepEqual(fitBatch(device(64 * MiB), 128, plan(MiB)), { batchSize: 128 });
  assert.deepEqual(fitBatch(device(Infinity), 1, plan(MiB)), { batchSize: 1 });
});

Deno.test("fitBatch() halves the batch until a kernel can bind its largest tensor, and says why", () => {
  const reason = (size: number, limit: number) =>
    `a tensor takes ${size} MiB, and a kernel can bind ${limit} MiB`;
  assert.deepEqual(fitBatch(device(63 * MiB), 128, plan(MiB)), { batchSize: 64, reason: reason(64, 63) });
  assert.deepEqual(fitBatch(device(4 * MiB), 100, plan(MiB)), { batchSize: 6, reason: reason(50, 4) });
  assert.deepEqual(fitBatch(device(MiB / 2), 3, plan(MiB)), { batchSize: 1, reason: reason(2, 1) });
});

Deno.test("fitBatch() halves the batch until a step fits what the device has left", () => {
  const reason = "training takes 8 MiB, and 4 MiB are free";
  assert.deepEqual(fitBatch(device(64 * MiB, false, 5 * MiB), 8, plan(MiB)), { batchSize: 4, reason });
});

Deno.test("fitBatch() throws if not even one image fits", () => {
  assert.throws(() => fitBatch(device(MiB), 2, plan(4 * MiB)), {
    name: "TrainingError",
    message: "Cannot train this network here: not even one image fits " +
      "(a tensor takes 4 MiB, and a kernel can bind 1 MiB); use smaller --filters",
  });
});

testUnless(
  unmeasured,
  "fitBatch() halves the batch until it fits in main memory on a software adapter",
  () => {
    const half = Deno.systemMemoryInfo().available / 2;
    const large = plan(half);
    const { batchSize, reason } = fitBatch(device(Infinity, true), 16, large);
    assert.ok(batchSize === 1, `${batchSize}`);
    assert.match(reason ?? "", /^training takes \d+ MiB, and \d+ MiB are free$/);
    assert.deepEqual(fitBatch(device(Infinity), 16, large), { batchSize: 16 });
  },
);
