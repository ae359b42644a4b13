/** Judges: their training, where they are found and kept, and which are refused. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type Dataset, firstIndices } from "../../../experiments/data/dataset.ts";
import { rowsOf } from "../../../experiments/data/images.ts";
import { FASHION_FOLDER, loadDataset } from "../../../experiments/data/load_dataset.ts";
import {
  type JudgeChoice,
  type JudgeOptions,
  judgesFor,
  storedJudges,
} from "../../../experiments/evaluation/judges.ts";
import {
  accuracyOf,
  blurred,
  classifierBatches,
  digestOf,
  grainy,
  type JudgedData,
  judgedData,
  type Labelled,
  makeJudge,
  recipes,
} from "../../../experiments/evaluation/train_judge.ts";
import { sha256 } from "../../../experiments/run/run_folder.ts";
import { init, randomBits, withDevice } from "../../../kernels/mod.ts";
import { type JudgeName, loadJudge } from "../../../models/mod.ts";
import { withFolder } from "../../folder.ts";
import { textOf } from "../../module_graph.ts";
import { testUnless } from "../../permissions.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose } from "../../testing.ts";

const device = await init({ device: "cpu", threads: 1 });

/** Defines a test on the CPU device, in a new folder. */
const testHere = (name: string, test: (folder: string) => Promise<void>, reason?: string) =>
  testUnless(reason, name, () => withFolder((folder) => withDevice(device, () => test(folder))));

const side = 8;

/** Grey noise with a bright bar, horizontal in class 0 and vertical in class 1. */
function barImages(count: number, seed: number): Labelled {
  const bits = randomBits(seed, 0, 0, count * side * side);
  const images = Uint8Array.from(bits, (bits) => bits & 127);
  const labels = Uint8Array.from({ length: count }, (_, n) => n % 2);
  labels.forEach((label, n) => {
    const line = 1 + bits[n] % (side - 2);
    for (let i = 0; i < side; i++) {
      const [y, x] = label === 0 ? [line, i] : [i, line];
      images[(n * side + y) * side + x] = 255;
    }
  });
  return { images, labels, count };
}

/** A made-up data set that is easy to learn. */
async function bars(changes: Partial<Dataset> = {}): Promise<JudgedData> {
  const [train, test] = [barImages(200, 1), barImages(100, 2)];
  return {
    ...{ name: "bars", train, test, channels: 1, height: side, width: side, classes: 2, source: "bars" },
    digest: await sha256(train.images as Uint8Array<ArrayBuffer>),
    ...changes,
  } as JudgedData;
}

/** A judge of bars after a few steps. */
const barelyTrained = async (changes = {}, name: JudgeName = "lenet", steps = 1) =>
  (await makeJudge(await bars(changes), { name, steps, seed: 1 }))!.bytes;

const refusal = (start: string) => ({ name: "JudgeError", message: RegExp(`^${RegExp.escape(start)}`) });

testHere("makeJudge() stops early on easy data, records its settings, and trains vgg, too", async () => {
  const data = await bars();
  const seen: number[] = [];
  const how = { name: "lenet", seed: 5 } as const;
  const onProgress = (step: number, _: number, end: number) => {
    seen.push(step);
    assert.equal(end, 250, "time left counts to the end of the round, not to 6,000 steps");
  };
  const { bytes, info } = (await makeJudge(data, { ...how, onProgress }))!;
  assert.deepEqual([seen.length, seen[0], seen.at(-1)], [13, 20, 250], "a held-out tenth shows no more gain");
  assert.ok(info.accuracy > 0.95, `accuracy ${info.accuracy}`);
  assert.deepEqual(info, {
    ...{ classes: 2, channels: 1, height: 8, width: 8, normalization: { scale: 2, shift: -1 } },
    ...{ dataDigest: await digestOf(data), accuracy: info.accuracy, steps: 250, ...how },
    command: "deno run -A tools/train_judge.ts --judge lenet --data bars --seed 5 --device cpu",
  });
  const judge = loadJudge(bytes, "a file");
  assert.deepEqual(judge.info, info);
  // There are 2,100 images, judged in two parts; the last hundred have wrong labels.
  const { labels, images } = data.test;
  const many = {
    images: Uint8Array.from({ length: 2100 * 64 }, (_, i) => (images as Uint8Array)[i % images.length]),
    labels: Uint8Array.from({ length: 2100 }, (_, n) => n < 2000 ? labels[n % 100] : 1 - labels[n % 100]),
    count: 2100,
  };
  assertClose([await accuracyOf(judge, many)], [(20 * info.accuracy + 1 - info.accuracy) / 21], 1e-9);
  const vgg = (await makeJudge(data, { name: "vgg", steps: 150, seed: 5 }))!;
  assert.ok(vgg.info.accuracy > 0.95, `accuracy ${vgg.info.accuracy}`);
  assert.equal(loadJudge(vgg.bytes, "a file").info.name, "vgg");
});

testHere("makeJudge() repeats, to the bit, and never learns from test images", async () => {
  const data = await bars();
  const { images, labels, count } = data.test;
  const inverse = (images as Uint8Array).map((pixel) => 255 - pixel);
  const other = { images: inverse, labels: labels.map((label) => 1 - label), count };
  const weights = async (test: Labelled) => {
    const { bytes } = (await makeJudge({ ...data, test }, { name: "lenet", seed: 5, steps: 5 }))!;
    return bytes.subarray(8 + Number(new DataView(bytes.buffer).getBigUint64(0, true)));
  };
  assertSameNumbers(await weights(other), await weights(data.test));
});

const N = 40; // images in a batch

testHere("classifierBatches() moves a small image by at most a pixel, and keeps its label", async () => {
  const [H, W, C, count] = [7, 6, 2, 5], size = C * H * W;
  // Image n is black except for a pixel in the middle of channel n % 2, with brightness 51 (n + 1).
  const images = new Uint8Array(count * size);
  for (let n = 0; n < count; n++) images[((n * C + n % 2) * H + 3) * W + 3] = 51 * (n + 1);
  const train = { images, labels: Uint8Array.from({ length: count }, (_, n) => 10 + n), count };
  const about = { channels: C, height: H, width: W, train };
  const batches = classifierBatches(about, N, 3, { ...recipes.vgg, faults: false });
  const moves = new Set<string>();
  for (const step of [0, 1]) {
    batches.load(step);
    const [x, classes] = await Promise.all([batches.x.read(), batches.labels.read()]);
    for (let n = 0; n < N; n++) {
      const image = x.subarray(n * size, (n + 1) * size);
      const [bright, ...more] = [...image.keys()].filter((i) => image[i] !== -1);
      const number = classes[n] - 10;
      assert.deepEqual([Math.round((image[bright] + 1) / 2 * 5), more], [number + 1, []]);
      const [c, y, w] = [Math.floor(bright / (H * W)), Math.floor(bright / W) % H, bright % W];
      const isNear = c === number % 2 && Math.abs(y - 3) <= 1 && Math.abs(w - 3) <= 1;
      assert.ok(isNear, `moved to ${c}, ${y}, ${w}`);
      moves.add(`${y}, ${w}`);
    }
  }
  assert.equal(moves.size, 9, "all moves occur in 80 images");
});

testHere("classifierBatches() damages half of a batch for vgg, and returns how much", async () => {
  const data = await bars();
  const still = { ...recipes.vgg, shift: 0 };
  const [clean, damaged] = [false, true].map((faults) => classifierBatches(data, N, 3, { ...still, faults }));
  for (const { load } of [clean, damaged]) load(0);
  const [x, y, strengths] = await Promise.all([clean.x, damaged.x, damaged.faults].map((of) => of.read()));
  const change = Array.from({ length: N }, (_, n) => {
    return Math.hypot(...x.subarray(64 * n, 64 * n + 64).map((value, i) => y[64 * n + i] - value));
  });
  const [half, grainyFrom] = [N / 2, 3 * N / 4];
  change.forEach((size, n) => {
    const [blur, grain] = strengths.subarray(2 * n, 2 * n + 2);
    if (n < half) return assert.deepEqual([size, blur, grain], [0, 0, 0]);
    assert.equal(n < grainyFrom ? grain : blur, 0);
    const strength = blur + grain;
    assert.ok(size > 0 && strength >= 0.3 && strength <= 1, `${n}: ${size}, ${strength}`);
  });
  const grains = Array.from({ length: N / 4 - 3 }, (_, i) => grainyFrom + i) // the last ones are noise
    .sort((a, b) => strengths[2 * a + 1] - strengths[2 * b + 1]);
  assert.ok(change[grains[0]] < change[grains.at(-1)!], "more grain has a larger strength");

  const batch = async (seed: number, ...steps: number[]) => {
    const batches = classifierBatches(data, N, seed, recipes.vgg);
    for (const step of steps) batches.load(step);
    return await Promise.all([batches.x.read(), batches.labels.readWords(), batches.faults.read()]);
  };
  const seventh = await batch(3, 7);
  assert.deepEqual(await batch(3, 0, 7), seventh, "it depends only on seed and step");
  for (const [seed, step] of [[3, 6], [4, 7]]) assert.notDeepEqual(await batch(seed, step), seventh);
});

Deno.test("blurred() spreads each image by a Gaussian; grainy() adds noise of its strength", () => {
  const images = new Float32Array(48); // a bright pixel in the first image, a column of three in the second
  images[8] = 1;
  for (const h of [0, 1, 2]) images[24 + 6 * h + 5] = 0.5;
  const size = { height: 4, width: 6 };
  const blur = blurred(images, size, 0.5);
  const weight = (d: number) => Math.exp(-2 * d * d) / (1 + 2 * Math.exp(-2) + 2 * Math.exp(-8));
  const [full, next] = [weight(0), weight(1)];
  const around = [blur[8], blur[9], blur[14], blur[15]];
  assertClose(around, [full * full, full * next, full * next, next * next], 1e-6);
  assertClose([blur[24 + 6 + 4]], [0.5 * next * (full + 2 * next)], 1e-6, "what leaves an image is lost");
  assert.equal(blur[24 + 6], 0, "nothing wraps around");
  assertClose(blurred(images, size, 1e-3), images, 1e-6);

  const grey = new Float32Array(2000).fill(0.5);
  const noise = grainy(grey, 0.1, 1, 0).map((value) => value - 0.5);
  assert.ok(Math.abs(Math.hypot(...noise) / Math.sqrt(2000) - 0.1) < 0.01);
  assert.deepEqual(grainy(grey, 0.1, 1, 0), grainy(grey, 0.1, 1, 0));
  assert.notDeepEqual(grainy(grey, 0.1, 1, 0), grainy(grey, 0.1, 1, 1));
  assert.ok(grainy(grey, 1, 1, 0).every((value) => value >= 0 && value <= 1), "clipped");
});

/** Finds judges in a folder, and records messages. */
async function finder(folder: string, options: Partial<JudgeOptions> = {}) {
  const said: string[] = [];
  const cache = join(folder, "judges");
  const terminal = { isTerminal: false, columns: () => 80, write() {} };
  const all = { say: (line: string) => said.push(line), terminal, steps: 2, stored: [], cache, ...options };
  const data = await bars();
  const findAll = (judge: JudgeChoice) => judgesFor(data, { ...all, judge });
  const find = async () => (await findAll("lenet")).at(0);
  return { find, findAll, said, cache, path: join(cache, `${await digestOf(data)}-2.safetensors`) };
}

testHere("judgesFor() trains the chosen judges once, also for concurrent callers", async (folder) => {
  const stop = new AbortController(); // a lock that is never released would let it hang
  const timer = setTimeout(() => stop.abort(), 60_000);
  const { find, findAll, said, cache, path } = await finder(folder, { signal: stop.signal });
  const sources = async (judge: JudgeChoice) =>
    (await findAll(judge)).map(({ name, source }) => [name, source]);
  assert.deepEqual([await sources("none"), said], [[], []]);
  const both = await Promise.all([find(), find()]).finally(() => clearTimeout(timer));
  const [found, made] = both.map((judge) => judge!).sort((a, b) => a.source < b.source ? -1 : 1);
  assert.deepEqual([made.source, made.digest], ["trained", await sha256(await Deno.readFile(path))]);
  assert.deepEqual({ ...found, judge: 0 }, { ...made, source: "cached", judge: 0 });
  const training = `Training the judge lenet for bars, 2 steps; it is kept in ${path}`;
  assert.deepEqual(said.filter((line) => !line.startsWith("Waiting")), [training]);
  const pixels = new Float32Array(3 * 64).fill(0.5);
  assertSameNumbers(await found.judge(pixels), await made.judge(pixels));
  assert.deepEqual(await sources("vgg"), [["vgg", "trained"]]);
  assert.deepEqual(await sources("all"), [["lenet", "cached"], ["vgg", "cached"]]);
  const files = await Array.fromAsync(Deno.readDir(cache), ({ name }) => join(cache, name));
  const other = path.replace("-2.", "-vgg-2.");
  assert.deepEqual(files.sort(), [path, other]);
  await Deno.rename(other, path);
  assert.deepEqual(await sources("lenet"), [["lenet", "trained"]], "the other judge is replaced");
});

testHere("judgesFor() replaces a damaged or foreign file of an earlier task", async (folder) => {
  const { find, said, path } = await finder(folder);
  const { digest } = (await find())!;
  const whole = await Deno.readFile(path);
  const network = new URL("../../../checkpoints/mnist_residual.safetensors", import.meta.url);
  const spoilt: [Uint8Array, RegExp][] = [
    [whole.subarray(0, 3000), /^Cannot read .*; training another one$/],
    [await barelyTrained({ digest: "0".repeat(64) }), /^Cannot use the judge .*: it is of the images /],
    [await Deno.readFile(network), /^Cannot load .*: it holds no judge/],
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
});

testHere("judgesFor() works without a cache, and keeps no half-trained judge", async (folder) => {
  await Deno.writeTextFile(join(folder, "judges"), "a file");
  const { find, said } = await finder(folder);
  assert.equal((await find())!.source, "trained");
  assert.match(said.at(-1)!, /^Cannot keep the judge in .*; the next task trains it again$/);
  const others = join(folder, "others");
  const stopped = await finder(folder, { cache: others, signal: AbortSignal.abort() });
  assert.equal(await stopped.find(), undefined);
  await assert.rejects(() => Deno.stat(others), Deno.errors.NotFound);
});

testHere("judgesFor() refuses a stored judge of another digest, kind or data", async (folder) => {
  const dataDigest = await digestOf(await bars());
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const refused = async (file: string, digest: string, message: string) => {
    const stored = [{ name: "lenet" as const, file, digest, dataDigest }];
    const { find } = await finder(folder, { stored, steps: undefined });
    await assert.rejects(find(), refusal(message));
  };
  const file = "checkpoints/mnist_residual.safetensors"; // not a judge
  const [digest, other] = [await sha256(await Deno.readFile(join(root, file))), "0".repeat(64)];
  await refused(file, other, `Cannot use the judge ${file}: its SHA-256 is ${digest} (expected ${other})`);
  await refused("checkpoints/missing", other, "Cannot use the judge checkpoints/missing: no such file");
  await refused(file, digest, `Cannot load ${file}: it holds no judge (expected the network Classifier)`);
  const path = relative(root, join(folder, "judge.safetensors"));
  const changed: readonly (readonly [changes: object, name: JudgeName, what: string])[] = [
    [{ classes: 3 }, "lenet", "for 3 classes of images [1, 8, 8] (expected for 2 classes "],
    [{ height: 4, width: 16 }, "lenet", "for 2 classes of images [1, 4, 16] (expected "],
    [{}, "vgg", "vgg (expected lenet, as in bars)"],
  ];
  for (const [changes, name, what] of changed) {
    const bytes = await barelyTrained(changes, name);
    await Deno.writeFile(join(root, path), bytes);
    await refused(path, await sha256(bytes), `Cannot use the judge ${path}: it is ${what}`);
  }
  const data = await bars(), { labels: _, ...bare } = data.train;
  const useless = { "it has no labels": { train: bare }, "all its labels are 0": { classes: 1 } };
  for (const [what, changes] of Object.entries(useless)) {
    const says = refusal(`Cannot make a judge for bars: ${what} (`);
    assert.throws(() => judgedData({ ...data, ...changes }), says);
  }
});

for (const { file, name, digest, dataDigest } of storedJudges) {
  const folder = file.includes("fashion") ? FASHION_FOLDER : undefined; // MNIST comes with a package
  const reason = folder === undefined || existsSync(folder) ? undefined : `there is no ${folder}`;
  testHere(`judgesFor() finds ${file}, with the accuracy of docs/evaluation.md`, async () => {
    const data = judgedData(await loadDataset(folder));
    const [judge] = await judgesFor(data, { judge: name, say: assert.fail });
    const found = [judge.source, judge.digest, judge.dataDigest, judge.classes];
    assert.deepEqual(found, ["stored", digest, dataDigest, 10]);
    const docs = await textOf("docs/evaluation.md");
    const told = [basename(file), digest, `${(100 * judge.accuracy).toFixed(2)} %`];
    assert.deepEqual(told.filter((words) => !docs.includes(words)), []);
    const count = 500, images = rowsOf(data.test.images, firstIndices(count), 784);
    const first = { images, labels: data.test.labels.subarray(0, count), count };
    const accuracy = await accuracyOf(loadJudge(judge.bytes, file), first);
    assert.ok(Math.abs(accuracy - judge.accuracy) < 0.02, `${accuracy} of 500, ${judge.accuracy} of all`);
  }, reason);
}
