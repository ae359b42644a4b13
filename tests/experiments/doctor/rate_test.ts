import assert from "node:assert/strict";
import { explanation, shownBytes } from "../../../experiments/doctor/finding.ts";
import { madeUpDigits } from "../../../experiments/doctor/made_up_digits.ts";
import { measureRate } from "../../../experiments/doctor/measure_rate.ts";
import { within } from "../../../experiments/doctor/within.ts";
import { presetFor } from "../../../experiments/settings/training.ts";
import { trainingConfig } from "../../../experiments/settings/training_config.ts";
import { DeviceError } from "../../../kernels/mod.ts";
import { testOnDevices } from "../../testing.ts";

testOnDevices("measureRate() trains for a while, and tells rate and memory", async (device) => {
  const network = { model: "base", filters: [8, 16], tEmb: 8, batchSize: 4 } as const;
  const settings = trainingConfig({ ...network, tune: true });
  const data = madeUpDigits();
  const { imagesPerSecond, stepMilliseconds, batchSize, parameters, plannedBytes, reduced } =
    await measureRate(device, { settings, data, seconds: 0.05 });
  assert.deepEqual([batchSize, reduced], [4, undefined]);
  assert.ok(Math.abs(imagesPerSecond * stepMilliseconds - 4000) < 1e-6);
  assert.ok(parameters > 1000 && plannedBytes > 4 * 28 * 28 * 4);
});

Deno.test("presetFor() takes the larger network with a GPU alone", () => {
  const on = (kind: "cpu" | "webgpu", software: boolean) =>
    presetFor({ kind, tuning: { workgroupSize: 64, software, pieces: 1 } });
  assert.deepEqual([on("webgpu", false), on("webgpu", true), on("cpu", true)], [
    "standard",
    "quick",
    "quick",
  ]);
});

Deno.test("within() gives what comes in time, and says what did not", async () => {
  assert.equal(await within(60, "it", Promise.resolve(3)), 3);
  await assert.rejects(within(60, "it", Promise.reject(new TypeError("broken"))), { name: "TypeError" });
  const never = new Promise<never>(() => {});
  await assert.rejects(within(0.001, "the data", never), {
    name: "DataError",
    message: /^Waited 0\.001 s for the data; /,
  });
});

Deno.test("explanation() splits a message into what is so and what to do, on one line", () => {
  assert.deepEqual(explanation(new DeviceError("It fails:\n  here; do this; or that"), "x"), {
    says: "It fails: here",
    advice: "do this; or that",
  });
  assert.equal(explanation(new DeviceError("It fails"), "do this").advice, "do this");
  assert.throws(() => explanation(new RangeError("a mistake"), "x"), RangeError);
});

Deno.test("shownBytes() takes MiB below a GiB", () => {
  assert.deepEqual([shownBytes(2 ** 29), shownBytes(1.5 * 2 ** 30)], ["512.0 MiB", "1.5 GiB"]);
});
