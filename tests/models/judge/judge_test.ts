/** Judges: classifiers, their files, and what they say of images. */

import assert from "node:assert/strict";
import * as k from "../../../kernels/mod.ts";
import { UserError } from "../../../kernels/core/checks.ts";
import * as models from "../../../models/mod.ts";
import { mutateSafetensors, randomOf } from "../../experiments/mutations.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { info, tinyJudge } from "../tiny_files.ts";

const { Classifier, decodeSafetensors, encodeSafetensors, loadJudge, noise, randomInitialiser, saveJudge } =
  models;
const { conv2d, relu, tensor } = k;

const sized = (channels: number, height: number, width: number, classes = 10) => ({
  classes,
  channels,
  height,
  width,
});
const P = info.channels * info.height * info.width;
const pixelsOf = (count: number) => Float32Array.from({ length: count * P }, (_, i) => (i * 37 % 101) / 100);

testOnCpu("Classifier.forward() takes any image size and number of classes", async () => {
  for (const name of models.judgeNames) {
    for (
      const [C, H, W, classes] of [[1, 28, 28, 10], [3, 32, 32, 7], [3, 5, 9, 300], [1, 1, 4, 2], [
        2,
        1,
        1,
        2,
      ]]
    ) {
      const model = new Classifier({ ...sized(C, H, W, classes), name }, randomInitialiser(1));
      const { logits, features, faults } = model.forward(noise(1, [3, C, H, W]));
      assert.deepEqual([logits.shape, features.shape], [[3, classes], [3, 84]]);
      assert.deepEqual(faults?.shape, name === "vgg" ? [3, 2] : undefined);
      assertClose(await logits.read(), await model.last.forward(features).read(), 1e-6);
      const values = await features.read();
      assert.ok(values.every((value) => value >= 0) && values.some((value) => value > 0));
    }
  }
});

testOnCpu("the vgg classifier averages each 2x2 window, and drops an odd row or column", async () => {
  const model = new Classifier({ ...sized(1, 3, 5, 2), name: "vgg" }, randomInitialiser(1));
  const x = noise(1, [1, 1, 3, 5]), { weight, bias } = model.convs[0], pooled: number[] = [];
  const level = await relu(model.convs[1].forward(relu(conv2d(x, weight, bias, { padding: 1 })))).read();
  for (let c = 0; c < 8; c++) {
    for (const w of [0, 2]) {
      const at = (h: number, w: number) => level[(c * 3 + h) * 5 + w];
      pooled.push((at(0, w) + at(0, w + 1) + at(1, w) + at(1, w + 1)) / 4);
    }
  }
  // The following levels see one row of two pixels, which cannot be halved.
  let y = tensor(pooled, [1, 8, 1, 2]);
  for (const conv of model.convs.slice(2)) y = relu(conv.forward(y));
  const expected = relu(model.hidden.forward(k.reshape(y, [1, 64])));
  assertClose(await model.forward(x).features.read(), await expected.read(), 1e-5);
});

testOnCpu("Judge.judge() judges each image on its own, normalised as its file says", async (device) => {
  const judge = loadJudge(await tinyJudge(), "a file"), pixels = pixelsOf(501);
  const { probabilities, features } = await judge.judge(pixels);
  assert.deepEqual([probabilities.length, features.rows, features.width], [501 * 3, 501, 84]);
  assert.ok(features.values.length === 501 * 84 && features.values.every((value) => value >= 0));
  for (const n of [0, 166, 167, 250, 500]) {
    const row = probabilities.subarray(n * 3, (n + 1) * 3);
    assertClose([row.reduce((sum, share) => sum + share, 0)], [1], 1e-6);
    const alone = await k.withDevice(device, () => judge.judge(pixels.subarray(n * P, (n + 1) * P)));
    assertClose(row, alone.probabilities, 1e-5);
    assertClose(features.values.subarray(n * 84, (n + 1) * 84), alone.features.values, 1e-5);
  }
  const two = pixelsOf(2), { scale, shift } = info.normalization;
  const plain = loadJudge(await tinyJudge({ normalization: { scale: 1, shift: 0 } }), "a file");
  const seen = await plain.judge(two.map((pixel) => scale * pixel + shift));
  assertClose((await judge.judge(two)).features.values, seen.features.values, 1e-5);
  assert.notDeepEqual((await plain.judge(two)).features.values, seen.features.values);
});

testOnCpu("Judge.judge() frees its memory, except for the results", async (device) => {
  const judge = loadJudge(await tinyJudge(), "a file");
  await judge.judge(pixelsOf(500)); // the device keeps its read buffers
  const before = device.allocatedBytes, results = 3 * 4 * 500 * (84 + 3);
  for (let i = 0; i < 3; i++) await judge.judge(pixelsOf(500));
  const grown = device.allocatedBytes - before;
  // A WebGPU buffer is up to an eighth larger than its contents.
  assert.ok(grown <= 1.125 * results, `${grown} bytes for results of ${results}`);
});

testOnCpu("saveJudge() and loadJudge() keep every bit", async () => {
  const weights = await models.stateOf(new Classifier(info, randomInitialiser(1))),
    bytes = saveJudge(weights, info);
  const judge = loadJudge(bytes, "a file"), again = loadJudge(saveJudge(weights, judge.info), "another file");
  assert.deepEqual(judge.info, info);
  assertSameNumbers(decodeSafetensors(bytes, "a file").tensors, weights);
  const pixels = new Float32Array(40).fill(0.5);
  assertSameNumbers(await again.judge(pixels), await judge.judge(pixels));
});

testOnCpu("classifiers and judges refuse invalid sizes, images and files", async (device) => {
  const file = await tinyJudge(), { tensors, metadata } = decodeSafetensors(file, "a file");
  const judge = loadJudge(file, "a file"), model = new Classifier(sized(1, 8, 8), randomInitialiser(1));
  const network = models.createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 3 }, 1);
  const stored = await models.saveCheckpoint(network);
  const load = (bytes: Uint8Array) => () => loadJudge(bytes, "a file");
  const other = (changes: object) => encodeSafetensors(tensors, { ...metadata, ...changes });
  const changed = (changes: object) => load(other({ judge: JSON.stringify({ ...info, ...changes }) }));
  const damaged = new Map(tensors).set("last.bias", { shape: [3], data: Float32Array.of(0, NaN, 0) });
  const size = (changes: object) => () =>
    new Classifier({ ...sized(1, 8, 8), ...changes }, randomInitialiser(1));
  const refused: [() => unknown, string][] = [
    [size({ classes: 1 }), "RangeError: Cannot make a classifier: classes is 1 (expected"],
    [size({ height: 0 }), "RangeError: Cannot make a classifier: height is 0 (expected"],
    [size({ channels: 1.5 }), "channels is 1.5 (expected a whole number of at least 1)"],
    ...[[1, 3, 8, 8], [1, 1, 8, 9], [8, 8]].map((shape): [() => unknown, string] => [
      () => model.forward(noise(1, shape)),
      `ShapeError: Cannot classify f32[${shape.join(", ")}] (expected f32[N, 1, 8, 8])`,
    ]),
    ...[0, P + 1].map((length): [() => unknown, string] => [
      () => judge.judge(new Float32Array(length)),
      `JudgeError: Cannot judge ${length} pixels (expected images of [2, 5, 4], at least one)`,
    ]),
    ...[NaN, Infinity, -Infinity].map((value): [() => unknown, string] => [
      () => judge.judge(pixelsOf(3).fill(value, P + 5, P + 6)),
      `JudgeError: Cannot judge image 1: a pixel is ${value} (expected finite numbers)`,
    ]),
    [load(stored), "JudgeError: Cannot load a file: it holds no judge (expected"],
    [changed({ classes: 1 }), "classes of its judge is 1 (expected a whole number from 2 to 4096)"],
    [changed({ height: undefined }), "height of its judge is undefined (expected a whole number"],
    [changed({ normalization: { scale: 0, shift: 1 } }), "(expected a scale other than 0"],
    [changed({ dataDigest: "abc" }), 'dataDigest of its judge is "abc" (expected 64 hex digits)'],
    [changed({ accuracy: 1.5 }), "accuracy of its judge is 1.5 (expected a number from 0 to 1)"],
    [changed({ steps: "7" }), 'steps of its judge is "7" (expected a whole number of at least 1)'],
    [changed({ classes: 4 }), 'StateError: Cannot load a file: "last.weight" is f32[3, 84]'],
    [load(other({ judge: "{" })), "JudgeError: Cannot load a file: its description is not JSON"],
    [load(other({ format_version: "2" })), "JudgeError: Cannot load a file: its format is 2 (expected 1)"],
    [load(encodeSafetensors(damaged, metadata)), 'StateError: Cannot load a file: "last.bias" is NaN'],
    [load(file.subarray(0, 5000)), "SafetensorsError: Cannot read a file: tensor "],
    [() => models.loadCheckpoint(file, "j.safetensors"), "it does not name its network"],
    [
      () => saveJudge(new Map(), { ...info, classes: 0 }),
      "JudgeError: Cannot load the file that saveJudge() would write: classes of its judge is 0 (expected ",
    ],
  ];
  for (const [call, message] of refused) {
    await assert.rejects(async () => await call(), (error: Error) => {
      assert.ok(`${error}`.includes(message), `${error}, not ${message}`);
      return true;
    });
  }

  const random = randomOf(46020), count = 60, before = device.allocatedBytes;
  let bad = 0;
  for (let i = 0; i < count; i++) {
    try {
      loadJudge(mutateSafetensors(file, random), "a file");
    } catch (error) {
      bad++;
      assert.ok(error instanceof UserError, `${i}: ${error instanceof Error ? error.stack : error}`);
      assert.match(error.message, /^Cannot (load|read) a file: [^\n]+$/);
    }
  }
  assert.ok(bad > count / 6, `only ${bad} were refused`);
  const most = (count - bad + 1) * (file.length + 20 * 256);
  assert.ok(device.allocatedBytes - before <= most, "files that were refused took memory");
});
