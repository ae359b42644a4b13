import assert from "node:assert/strict";
import { withDevice } from "../../../kernels/mod.ts";
import {
  Classifier,
  createModel,
  decodeSafetensors,
  encodeSafetensors,
  type JudgeInfo,
  loadCheckpoint,
  loadJudge,
  randomInitialiser,
  saveCheckpoint,
  saveJudge,
  stateOf,
} from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { info, tinyJudge } from "../tiny_files.ts";
import { UserError } from "../../../kernels/core/user_error.ts";
import { mutateSafetensors, randomOf } from "../../experiments/mutations.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const P = info.channels * info.height * info.width;
const pixelsOf = (count: number) => Float32Array.from({ length: count * P }, (_, i) => (i * 37 % 101) / 100);

testOnDevices("Judge.judge() judges each image on its own", async (device) => {
  const judge = loadJudge(await tinyJudge(), "a file");
  const pixels = pixelsOf(501);
  const { probabilities, features } = await judge.judge(pixels);
  assert.deepEqual([probabilities.length, features.rows, features.width], [501 * 3, 501, 84]);
  assert.equal(features.values.length, 501 * 84);
  assert.ok(features.values.every((value) => value >= 0));
  for (const n of [0, 166, 167, 250, 500]) {
    const row = probabilities.subarray(n * 3, (n + 1) * 3);
    assertClose([row.reduce((sum, share) => sum + share, 0)], [1], 1e-6);
    const alone = await withDevice(device, () => judge.judge(pixels.subarray(n * P, (n + 1) * P)));
    assertClose(row, alone.probabilities, 1e-5);
    assertClose(features.values.subarray(n * 84, (n + 1) * 84), alone.features.values, 1e-5);
  }
});

testOnDevices("Judge.judge() applies the normalization of its file", async () => {
  const pixels = pixelsOf(2);
  const judgeOf = async (scale: number, shift: number) =>
    loadJudge(await tinyJudge({ normalization: { scale, shift } }), "a file");
  const [plain, scaled] = [await judgeOf(1, 0), await judgeOf(2, -1)];
  const seen = await plain.judge(pixels.map((pixel) => 2 * pixel - 1));
  assertClose((await scaled.judge(pixels)).features.values, seen.features.values, 1e-5);
  assert.notDeepEqual((await plain.judge(pixels)).features.values, seen.features.values);
});

testOnDevices("Judge.judge() frees its memory, except for the results", async (device) => {
  const judge = loadJudge(await tinyJudge(), "a file");
  await judge.judge(pixelsOf(500)); // the device keeps its read buffers
  const before = device.allocatedBytes;
  for (let i = 0; i < 3; i++) await judge.judge(pixelsOf(500));
  const results = 3 * 4 * 500 * (84 + 3);
  const grown = device.allocatedBytes - before;
  // A WebGPU buffer is up to an eighth larger than its contents.
  assert.ok(grown <= 1.125 * results, `${grown} bytes for results of ${results}`);
});

testOnCpu("Judge.judge() refuses invalid images", async () => {
  const judge = loadJudge(await tinyJudge(), "a file");
  const refuses = (pixels: Float32Array, message: RegExp) =>
    assert.rejects(() => judge.judge(pixels), { name: "JudgeError", message });
  const sizes = /^Cannot judge \d+ pixels \(expected images of \[2, 5, 4\], at least one\)$/;
  for (const length of [0, P + 1]) await refuses(new Float32Array(length), sizes);
  for (const value of [NaN, Infinity, -Infinity]) {
    const message = new RegExp(`^Cannot judge image 1: a pixel is ${value} \\(expected finite numbers\\)`);
    await refuses(pixelsOf(3).fill(value, P + 5, P + 6), message);
  }
});

testOnDevices("saveJudge() and loadJudge() keep every bit", async (device) => {
  const classifier = new Classifier(info, randomInitialiser(1));
  const weights = await stateOf(classifier);
  const bytes = saveJudge(weights, info);
  const judge = withDevice(device, () => loadJudge(bytes, "a file"));
  assert.deepEqual(judge.info, info);
  assertSameNumbers(decodeSafetensors(bytes, "a file").tensors, weights);
  const other = withDevice(device, () => loadJudge(saveJudge(weights, judge.info), "another file"));
  const pixels = new Float32Array(40).fill(0.5);
  assertSameNumbers(await other.judge(pixels), await judge.judge(pixels));
});

testOnCpu("loadJudge() refuses other files, and loadCheckpoint() refuses a judge", async () => {
  const file = await tinyJudge();
  const { tensors, metadata } = decodeSafetensors(file, "a file");
  const network = await saveCheckpoint(createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 3 }, 1));
  const changed = (changes: Partial<Record<keyof JudgeInfo, unknown>>) =>
    encodeSafetensors(tensors, { ...metadata, judge: JSON.stringify({ ...info, ...changes }) });
  const damaged = new Map([...tensors, ["last.bias", { shape: [3], data: Float32Array.of(0, NaN, 0) }]]);
  const fields: readonly (readonly [changes: Partial<Record<keyof JudgeInfo, unknown>>, message: string])[] =
    [
      [{ classes: 1 }, "classes of its judge is 1 (expected a whole number from 2 to 4096)"],
      [{ height: undefined }, "height of its judge is undefined (expected a whole number"],
      [
        { normalization: { scale: 0, shift: 1 } },
        'normalization of its judge is {"scale":0,"shift":1} (expected a scale other than 0',
      ],
      [{ dataDigest: "abc" }, 'dataDigest of its judge is "abc" (expected 64 hex digits)'],
      [{ accuracy: 1.5 }, "accuracy of its judge is 1.5 (expected a number from 0 to 1)"],
      [{ steps: "7" }, 'steps of its judge is "7" (expected a whole number of at least 1)'],
    ];
  const other = (changes: object) => encodeSafetensors(tensors, { ...metadata, ...changes });
  const cases: readonly (readonly [bytes: Uint8Array, name: string, message: string])[] = [
    [
      network,
      "JudgeError",
      "it holds no judge (expected the network Classifier)",
    ],
    ...fields.map(([changes, message]) => [changed(changes), "JudgeError", message] as const),
    [other({ judge: "{" }), "JudgeError", "its description is not JSON"],
    [other({ format_version: "2" }), "JudgeError", "its format is 2 (expected 1)"],
    [changed({ classes: 4 }), "StateError", '"last.weight" is f32[3, 84] (expected f32[4, 84])'],
    [encodeSafetensors(damaged as typeof tensors, metadata), "StateError", '"last.bias" is NaN at index 1'],
    [file.subarray(0, 5000), "SafetensorsError", "tensor "],
  ];
  for (const [bytes, name, message] of cases) {
    assert.throws(() => loadJudge(bytes, "a file"), (error: Error) => {
      assert.equal(error.name, name);
      assert.match(error.message, /^Cannot (load|read) a file: /);
      assert.ok(error.message.includes(message), error.message);
      return true;
    });
  }
  assert.throws(() => loadCheckpoint(file, "j.safetensors"), {
    name: "CheckpointError",
    message: "Cannot load j.safetensors: it does not name its network; pass its config",
  });
});

testOnCpu("a damaged judge file throws a clear error, and allocates no memory", async (device) => {
  const whole = await tinyJudge();
  const random = randomOf(46020), count = 100;
  const before = device.allocatedBytes;
  let refused = 0;
  for (let i = 0; i < count; i++) {
    try {
      withDevice(device, () => loadJudge(mutateSafetensors(whole, random), "a file"));
    } catch (error) {
      refused++;
      assert.ok(error instanceof UserError, `${i}: ${error instanceof Error ? error.stack : error}`);
      assert.match(error.message, /^Cannot (load|read) a file: [^\n]+$/);
    }
  }
  assert.ok(refused > count / 6, `only ${refused} were refused`);
  const most = (count - refused + 1) * (whole.length + 20 * 256);
  assert.ok(device.allocatedBytes - before <= most, "files that were refused took memory");
});

Deno.test("saveJudge() refuses metadata that loadJudge() would refuse", () => {
  assert.throws(() => saveJudge(new Map(), { ...info, classes: 0 }), {
    name: "JudgeError",
    message: /^Cannot load the file that saveJudge\(\) would write: classes of its judge is 0 \(expected /,
  });
});
