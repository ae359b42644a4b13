import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Terminal } from "../../../experiments/program/progress.ts";
import { sha256 } from "../../../experiments/run/contained.ts";
import { judgeOf, type JudgeOptions } from "../../../experiments/judge/find_judge.ts";
import { digestOf } from "../../../experiments/judge/data_judge.ts";
import { makeJudge } from "../../../experiments/judge/train_judge.ts";
import { init } from "../../../kernels/mod.ts";
import { JudgeError } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { bars } from "./bars.ts";

const terminal: Terminal = { isTerminal: false, columns: () => 80, write() {} };

/** Finds judges in a folder, and notes what is said. */
function finder(folder: string, options: Partial<JudgeOptions> = {}) {
  const said: string[] = [];
  const cache = join(folder, "judges");
  const find = async (changes = {}) =>
    await judgeOf(await bars(changes), {
      ...{ say: (line: string) => said.push(line), terminal, steps: 20, stored: [], cache, ...options },
    });
  return { find, said, cache };
}

const refusal = (message: RegExp) => (error: Error) => {
  assert.ok(error instanceof JudgeError, `${error.stack}`);
  assert.match(error.message, message);
  return true;
};

testInFolder("judgeOf() trains a judge once, and says so", async (folder) => {
  using _device = await opened();
  const { find, said, cache } = finder(folder);
  const made = (await find())!;
  const path = join(cache, `${await digestOf(await bars())}.safetensors`);
  assert.deepEqual(said, [`Training a judge for bars, 20 steps; it is kept in ${path}`]);
  assert.deepEqual([made.source, made.digest], ["trained", await sha256(await Deno.readFile(path))]);
  const found = (await find())!;
  assert.equal(said.length, 1);
  assert.deepEqual({ ...found, judge: 0 }, { ...made, source: "cached", judge: 0 });
  const pixels = new Float32Array(3 * 64).fill(0.5);
  assert.deepEqual(await found.judge(pixels), await made.judge(pixels));
  assert.deepEqual(await Array.fromAsync(Deno.readDir(cache), ({ name }) => join(cache, name)), [path]);
});

testInFolder("judgeOf() trains a judge once where several ask for it at once", async (folder) => {
  using _device = await opened();
  const { find, said } = finder(folder);
  const made = await Promise.all([find(), find()]);
  assert.deepEqual(made.map((judge) => judge!.source).sort(), ["cached", "trained"]);
  assert.equal(made[0]!.digest, made[1]!.digest);
  assert.equal(said.filter((line) => line.startsWith("Training ")).length, 1);
});

testInFolder("judgeOf() that waits for another program can be stopped", async (folder) => {
  using _device = await opened();
  using other = await Deno.open(folder, { read: true });
  await other.lock(true);
  const stop = new AbortController();
  const said: string[] = [];
  const say = (line: string) => {
    said.push(line);
    stop.abort();
  };
  const { find } = finder(folder, { cache: folder, signal: stop.signal, say });
  assert.equal(await find(), undefined);
  assert.deepEqual(said, [`Waiting for another program that trains a judge in ${folder}`]);
});

testInFolder("judgeOf() tells data apart by their images and by their labels", async (folder) => {
  using _device = await opened();
  const { find, said } = finder(folder);
  const { train } = await bars();
  const swapped = { ...train, labels: train.labels.map((label) => 1 - label) };
  const digests = [await find(), await find({ train: swapped }), await find({ digest: "0".repeat(64) })]
    .map((judge) => judge!.dataDigest);
  assert.equal(new Set(digests).size, 3);
  assert.equal(said.length, 3);
});

testInFolder(
  "judgeOf() ignores a damaged or foreign file of an earlier task, and makes it anew",
  async (folder) => {
    using _device = await opened();
    const { find, said, cache } = finder(folder);
    const { digest } = (await find())!;
    const path = join(cache, `${await digestOf(await bars())}.safetensors`);
    const whole = await Deno.readFile(path);
    const foreign = (await makeJudge(await bars({ digest: "0".repeat(64) }), { steps: 1, seed: 1 }))!.bytes;
    const network = await Deno.readFile(
      new URL("../../../checkpoints/mnist_residual.safetensors", import.meta.url),
    );
    const spoilt: [Uint8Array, RegExp][] = [
      [whole.subarray(0, 3000), /^Cannot read .*; training another one$/],
      [foreign, /^Cannot judge by .*: it was trained on the images .* \(expected .*, those of bars\)/],
      [network, /^Cannot load .*: it holds no judge/],
    ];
    for (const [bytes, says] of spoilt) {
      await Deno.writeFile(path, bytes);
      said.length = 0;
      const again = (await find())!;
      assert.deepEqual([again.source, again.digest], ["trained", digest]);
      assert.match(said[0], says);
      assert.match(said[0], /^[^\n]+$/);
      assert.deepEqual(await Deno.readFile(path), whole);
    }
  },
);

testInFolder(
  "judgeOf() goes on where it cannot keep a judge, and keeps none that is half trained",
  async (folder) => {
    using _device = await opened();
    await Deno.writeTextFile(join(folder, "judges"), "a file");
    const { find, said } = finder(folder);
    assert.equal((await find())!.source, "trained");
    assert.match(said.at(-1)!, /^Cannot keep the judge in .*; the next task trains it again$/);

    const stop = new AbortController();
    stop.abort();
    const stopped = finder(folder, { cache: join(folder, "others"), signal: stop.signal });
    assert.equal(await stopped.find(), undefined);
    await assert.rejects(() => Deno.stat(join(folder, "others")), Deno.errors.NotFound);
  },
);

testInFolder("judgeOf() refuses data without labels or classes", async (folder) => {
  using _device = await opened();
  const { find } = finder(folder);
  const { train: { images, count, labels } } = await bars();
  const unlabelled = refusal(
    /^Cannot make a judge for bars: it has no labels \(expected one for each image\); add them/,
  );
  await assert.rejects(() => find({ train: { images, count } }), unlabelled);
  const one = { images, count, labels: labels.map(() => 0) };
  const single = refusal(
    /^Cannot make a judge for bars: all its labels are 0 \(expected two classes or more\)$/,
  );
  await assert.rejects(() => find({ train: one, classes: 1 }), single);
});

testInFolder("judgeOf() refuses a judge of the repository that is not as stated", async (folder) => {
  using _device = await opened();
  const file = "checkpoints/mnist_residual.safetensors"; // which is no judge
  const dataDigest = await digestOf(await bars());
  const find = (changes: object) =>
    finder(folder, { stored: [{ file, digest: "0".repeat(64), dataDigest, command: "", ...changes }] })
      .find();
  const advice = /; restore it with git checkout checkpoints\/\w+\.safetensors$/;
  await assert.rejects(
    () => find({}),
    refusal(
      /^Cannot judge by checkpoints\/mnist_residual.safetensors: its SHA-256 is [0-9a-f]{64} \(expected 0{64}\)/,
    ),
  );
  await assert.rejects(() => find({}), refusal(advice));
  const missing = { file: "checkpoints/missing.safetensors" };
  await assert.rejects(() => find(missing), refusal(/^Cannot judge by checkpoints\/missing.safetensors: /));
  await assert.rejects(() => find(missing), refusal(advice));
  const digest = await sha256(await Deno.readFile(new URL(`../../../${file}`, import.meta.url)));
  await assert.rejects(
    () => find({ digest }),
    refusal(/^Cannot load .*: it holds no judge \(expected the network Classifier\)/),
  );
});

testInFolder("judgeOf() refuses a judge of other classes, or of images of another size", async (folder) => {
  using _device = await opened();
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const path = join(folder, "judge.safetensors");
  const dataDigest = await digestOf(await bars());
  for (const changes of [{ classes: 3 }, { height: 4, width: 16 }]) {
    const { bytes } = (await makeJudge(await bars(changes), { steps: 1, seed: 1 }))!;
    await Deno.writeFile(path, bytes);
    const stored = [{ file: relative(root, path), digest: await sha256(bytes), dataDigest, command: "" }];
    const { classes, height, width } = { classes: 2, height: 8, width: 8, ...changes };
    const told = `${classes} classes of images \\[1, ${height}, ${width}\\]`;
    await assert.rejects(
      () => finder(folder, { stored }).find(),
      refusal(
        new RegExp(
          `^Cannot judge by .*judge.safetensors: it is for ${told} \\(expected 2 classes of images \\[1, 8, 8\\], ` +
            "as in bars\\); make another one with deno task judge$",
        ),
      ),
    );
  }
});

/** The CPU device, closed at the end of a test. */
async function opened(): Promise<Disposable> {
  const device = await init({ device: "cpu" });
  return { [Symbol.dispose]: () => device.close() };
}
