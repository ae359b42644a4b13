import assert from "node:assert/strict";
import { withDevice } from "../../../kernels/mod.ts";
import { JudgeError, loadJudge } from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";
import { info, tinyJudge } from "./tiny_judge.ts";

const P = info.channels * info.height * info.width;
const pixelsOf = (count: number) => Float32Array.from({ length: count * P }, (_, i) => (i * 37 % 101) / 100);

testOnDevices(
  "Judge.judge() tells of each image what it tells of it alone, however many there are",
  async (device) => {
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
  },
);

testOnDevices("Judge.judge() sees pixels as its file says", async () => {
  const pixels = pixelsOf(2);
  const judgeOf = async (scale: number, shift: number) =>
    loadJudge(await tinyJudge({ normalization: { scale, shift } }), "a file");
  const [plain, scaled] = [await judgeOf(1, 0), await judgeOf(2, -1)];
  const seen = await plain.judge(pixels.map((pixel) => 2 * pixel - 1));
  assertClose((await scaled.judge(pixels)).features.values, seen.features.values, 1e-5);
  assert.notDeepEqual((await plain.judge(pixels)).features.values, seen.features.values);
});

testOnDevices("Judge.judge() frees what it takes, but for its results", async (device) => {
  const judge = loadJudge(await tinyJudge(), "a file");
  await judge.judge(pixelsOf(500)); // the device keeps what it reads through
  const before = device.allocatedBytes;
  for (let i = 0; i < 3; i++) await judge.judge(pixelsOf(500));
  const results = 3 * 4 * 500 * (84 + 3);
  const grown = device.allocatedBytes - before;
  // A buffer of the WebGPU device is up to an eighth larger than what it holds.
  assert.ok(grown <= 1.125 * results, `${grown} bytes for results of ${results}`);
});

testOnDevices("Judge.judge() refuses images that it cannot judge", async () => {
  const judge = loadJudge(await tinyJudge(), "a file");
  const refuses = (pixels: Float32Array, message: RegExp) =>
    assert.rejects(() => judge.judge(pixels), (error: Error) => {
      assert.ok(error instanceof JudgeError);
      assert.match(error.message, message);
      return true;
    });
  const sizes = /^Cannot judge \d+ pixels \(expected images of \[2, 5, 4\], at least one\)$/;
  await refuses(new Float32Array(0), sizes);
  await refuses(new Float32Array(P + 1), sizes);
  for (const value of [NaN, Infinity, -Infinity]) {
    const pixels = pixelsOf(3);
    pixels[P + 5] = value;
    await refuses(
      pixels,
      new RegExp(`^Cannot judge image 1: a pixel is ${value} \\(expected finite numbers\\)`),
    );
  }
});
