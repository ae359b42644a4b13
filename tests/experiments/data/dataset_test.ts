/** Data sets in memory: how they are split, ordered, described, batched, changed at random, and kept in a run. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { normalizationTo } from "../../../experiments/cli/training.ts";
import {
  type Dataset,
  describeData,
  firstIndices,
  shuffled,
  splitImages,
  splitTest,
  subsetOrder,
} from "../../../experiments/data/dataset.ts";
import { examplesOf, readExamples, writeExamples } from "../../../experiments/data/example_file.ts";
import { ImageSource, sourceOf } from "../../../experiments/data/image_source.ts";
import {
  batchOf,
  createModel,
  encodeSafetensors,
  HeldOutLoss,
  type NoiseDraw,
  Trainer,
} from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { sorted, upTo } from "../../refusing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu } from "../../testing.ts";

Deno.test("splitTest() always holds out a tenth of each class, at least one of two, and starts with all classes", () => {
  const labels = upTo(10_000).map((i) => Math.floor(i / 1000)); // ten classes, one after the other
  const { train, test } = splitTest(labels);
  assert.deepEqual(sorted([...train, ...test]), upTo(10_000));
  for (const label of upTo(10)) assert.equal(test.filter((i) => labels[i] === label).length, 100);
  for (const [part, first] of [[train, 1000], [test, 500]] as const) {
    const counts = upTo(10).map((c) => part.slice(0, first).filter((i) => labels[i] === c).length);
    assert.ok(Math.min(...counts) >= first / 15 && Math.max(...counts) <= first / 7, `${counts}`);
  }
  assert.deepEqual(train.slice(0, 20), [...shuffled(10_000)].filter((i) => !test.includes(i)).slice(0, 20));
  const few = [0, 0, 1, 2, 2, 2];
  assert.deepEqual(splitTest(few).test.map((i) => few[i]).sort(), [0, 2]);
});

Deno.test("splitImages() splits all images, with the same validation images for any limit", () => {
  const options = { seed: 46020, valFraction: 0.1, trainLimit: 0, batchSize: 8 };
  const split = (change: Partial<typeof options>) => splitImages(96, { ...options, ...change });
  const { train, validation } = split({});
  assert.equal(validation.length, 10);
  assert.deepEqual(sorted([...train, ...validation]), upTo(96));
  assert.deepEqual(split({ trainLimit: 20 }), { train: train.slice(0, 20), validation });
  assert.deepEqual(split({ trainLimit: 1000, batchSize: 86 }).train, train);
  assert.notDeepEqual(split({ seed: 1 }).validation, validation);
  assert.equal(split({ valFraction: 0 }).validation.length, 0);
  const refused: [Partial<typeof options>, words: RegExp][] = [
    [{ batchSize: 87 }, /87 images from 86 .*--batch-size$/],
    [{ batchSize: 86, trainLimit: 85 }, /86 images from 85 .*--batch-size$/],
    [{ valFraction: 0.999 }, /8 images from 0 .*--val-fraction$/],
  ];
  for (const [change, message] of refused) {
    assert.throws(() => split(change), { name: "ConfigError", message });
  }
});

Deno.test("subsetOrder() shuffles only images that are sorted by class", () => {
  const random = [...shuffled(1000)];
  const cases: Record<string, [isSorted: boolean, label: (n: number) => number]> = {
    "random": [false, (n) => random[n] % 10],
    "random, of unequal classes": [false, (n) => random[n] < 20 ? 1 : 0],
    "in rotation": [false, (n) => n % 10],
    "of one class": [false, () => 3],
    "sorted": [true, (n) => Math.floor(n / 100)],
    "sorted within files": [true, (n) => Math.floor(n / 20) % 10],
    "mostly of one class": [true, (n) => n < 980 ? 0 : 1],
  };
  for (const [what, [isSorted, label]] of Object.entries(cases)) {
    const expected = isSorted ? random : upTo(1000);
    assert.deepEqual([...subsetOrder({ labels: upTo(1000).map(label), count: 1000 })], expected, what);
  }
  assert.deepEqual([...subsetOrder({ count: 3 })], [0, 1, 2], "unknown without labels");
});

Deno.test("describeData() lists sizes, counts and classes, whose names cannot break lines", () => {
  const digits = { name: "d", train: 60_000, test: 10, channels: 1, height: 28, width: 28, classes: 10 };
  const described: [change: Partial<Parameters<typeof describeData>[0]>, words: string][] = [
    [{}, "d: 60,000 training and 10 test images of 28 x 28, 10 classes"],
    [{ classes: 0 }, "28 x 28, no classes"],
    [
      { train: { count: 9 }, channels: 3, classes: 2, classNames: ["cat\nDone; see here", "owl"] },
      "d: 9 training and 10 test images of 3 x 28 x 28, 2 classes: cat\\u000aDone; see here, owl",
    ],
    [{ classes: 21, classNames: upTo(21).map(String) }, ", 21 classes"],
  ];
  for (const [change, words] of described) assert.ok(describeData({ ...digits, ...change }).endsWith(words));
});

testOnCpu("ImageSource returns normalised batches, with labels if it has any", async () => {
  const size = { channels: 3, height: 1, width: 2 };
  const bytes = Uint8Array.from({ length: 24 }, (_, i) => i * 37 % 256);
  const labels = { values: Uint8Array.of(7, 200, 3, 255), classes: 256 };
  const chosen = Uint32Array.of(3, 0, 3);
  for (const [range, scale, shift] of [["-1..1", 2, -1], ["0..1", 1, 0]] as const) {
    const source = new ImageSource(bytes, size, normalizationTo(range), labels);
    assert.deepEqual([source.shape, source.classes], [[3, 1, 2], 256]);
    assert.deepEqual(source.info, { normalization: { scale, shift }, imageSize: [1, 2] });
    const { x1, condition } = batchOf(source, chosen);
    assert.deepEqual([x1.shape, condition!.type], [[3, 3, 1, 2], "u32"]);
    const images = [3, 0, 3].flatMap((n) => [...bytes.subarray(6 * n, 6 * n + 6)]);
    for (const values of [await x1.read(), source.host.values(chosen)]) {
      assertClose(values, images.map((byte) => byte / 255 * scale + shift), 1e-6);
    }
    for (const found of [await condition!.readWords(), source.host.labels!(chosen)]) {
      assert.deepEqual([...found], [255, 7, 255]);
    }
  }
  const [train, test] = [1, 2].map((first) => {
    return { images: bytes.subarray(0, 12), labels: Uint8Array.of(first, 3), count: 2 };
  });
  const data = { ...size, train, test, classes: 4, name: "", digest: "", source: "" };
  for (const [part, first] of [["train", 1], ["test", 2]] as const) {
    const options = { conditional: true, normalization: normalizationTo("0..1") };
    const { classes, host } = sourceOf(data, part, options);
    assert.deepEqual([classes, ...host.labels!(Uint32Array.of(0, 1))], [4, first, 3]);
    const plain = sourceOf(data, part, { ...options, conditional: false });
    const { condition } = batchOf(plain, chosen.fill(1));
    assert.deepEqual([plain.classes, condition, plain.host.labels], [0, undefined, undefined]);
  }
});

const [C, H, W, count] = [3, 4, 5, 6];
const P = C * H * W;
const bytes = Uint8Array.from({ length: count * P }, (_, i) => i * 89 % 256);
const images = () =>
  new ImageSource(bytes, { channels: C, height: H, width: W }, normalizationTo("0..1"), {
    values: Uint8Array.from({ length: count }, (_, n) => n % 3),
    classes: 3,
  });

/** All images that moving one may give, by how it is moved: mirrored, down, right. */
function variants(example: number, shift: number, flip: boolean): Map<string, string> {
  const inside = (at: number, length: number) => Math.min(Math.max(at, 0), length - 1);
  const by = upTo(2 * shift + 1).map((n) => n - shift);
  const moves = (flip ? [false, true] : [false]).flatMap((mirrored) =>
    by.flatMap((down) => by.map((right) => ({ mirrored, down, right })))
  );
  return new Map(moves.map(({ mirrored, down, right }) => {
    const moved = upTo(P).map((i) => {
      const [c, h, w] = [Math.floor(i / (H * W)), Math.floor(i / W) % H, i % W];
      const [row, column] = [inside(h - down, H), inside(w - right, W)];
      return bytes[((example * C + c) * H + row) * W + (mirrored ? W - 1 - column : column)];
    });
    return [`${moved}`, `${[mirrored, down, right]}`];
  }));
}

testOnCpu("augmented() mirrors and shifts images depending only on seed, step and image", async () => {
  for (const [flip, shift, kinds] of [[true, 0, 2], [false, 1, 9], [true, 1, 18]] as const) {
    const source = images().augmented({ flip, shift });
    const staged = source.stage(count);
    const draw = async (examples: Uint32Array, at: NoiseDraw) => {
      staged.write(examples, at);
      const { x1, condition } = staged.batch();
      assert.deepEqual([...await condition!.read()], [...examples].map((n) => n % 3));
      const values = Array.from(await x1.read(), (value) => Math.round(255 * value));
      const ofHost = Array.from(source.host!.values(examples, at), (value) => Math.round(255 * value));
      assertSameNumbers(ofHost, values, "couplings see the same");
      return upTo(examples.length).map((n) => `${values.slice(n * P, (n + 1) * P)}`);
    };
    const order = firstIndices(count);
    const seen = new Map<string, number>();
    for (let step = 0; step < 60; step++) {
      for (const [n, row] of (await draw(order, { seed: 5, step })).entries()) {
        const how = variants(n, shift, flip).get(row);
        assert.ok(how !== undefined, `${flip} ${shift}: ${row}`);
        seen.set(how, (seen.get(how) ?? 0) + 1);
      }
    }
    assert.equal(seen.size, kinds);
    assert.ok([...seen.values()].every((times) => times > 360 / kinds / 3), "all are as likely");
    const first = await draw(order, { seed: 5, step: 7 });
    const reversed = await draw(order.toReversed(), { seed: 5, step: 7 });
    assertSameNumbers(reversed.toReversed(), first, "whatever their order is");
    assert.notDeepEqual(await draw(order, { seed: 6, step: 7 }), first);
  }
  const plain = images();
  assert.equal(plain.augmented({ flip: false, shift: 0 }), plain);
});

testOnCpu("images that change at random train a network, and plain ones measure it", async () => {
  const options = { batchSize: 4, seed: 3, learningRate: 1e-2 };
  const model = createModel({ type: "UNet_FM", filters: [4, 4], tEmb: 4, channels: C, classes: 3 }, 1);
  const heldOut = new HeldOutLoss(model, images(), options);
  const before = await heldOut.losses(firstIndices(count));
  const trainer = new Trainer(model, images().augmented({ flip: true, shift: 1 }), options);
  assert.ok(trainer.plan(2).bytes > 0);
  for (let step = 0; step < 3; step++) trainer.queueStep(Uint32Array.of(step, 5, 1, 3), 1e-2);
  assert.ok((await trainer.losses()).every(Number.isFinite));
  assert.notDeepEqual((await heldOut.losses(firstIndices(count))).loss, before.loss);
});

testInFolder("a run keeps test images in rotation through the classes, or the first ones", async (run) => {
  const labels = Uint8Array.of(2, 0, 0, 2, 1, 2);
  const test = { images: Uint8Array.from({ length: 12 }, (_, i) => 20 * i), labels, count: 6 };
  const size = { channels: 1, height: 1, width: 2, classes: 3 };
  const data: Dataset = { name: "made-up", train: test, test, ...size, digest: "", source: "" };
  const rotated = examplesOf(data, 5);
  assert.deepEqual([rotated.shape, rotated.labels], [[5, 1, 1, 2], [0, 1, 2, 0, 2]]);
  const places = rotated.image.filter((_, i) => i % 2 === 0).map((x) => Math.round(255 * x / 40));
  assert.deepEqual([...places], [1, 4, 0, 2, 3]);
  const unlabelled = examplesOf({ ...data, test: { images: test.images, count: 6 } }, 24);
  assert.deepEqual([unlabelled.shape, unlabelled.labels], [[6, 1, 1, 2], undefined], "at most all images");
  assertSameNumbers(unlabelled.image, Float32Array.from(test.images, (byte) => byte / 255));

  assert.equal(await readExamples(run), undefined);
  for (const examples of [rotated, unlabelled]) {
    await writeExamples(run, examples);
    assertSameNumbers(await readExamples(run), examples);
  }
  const image = { shape: [1, 1, 1, 2], data: Float32Array.of(0, 1) };
  const refused = [
    [{ pixels: image }, /^Cannot read .*: image is missing .*; delete the file/],
    [{ image: { ...image, shape: [1, 2, 1] } }, /image is f32\[1,2,1\]/],
    [{ image: { ...image, data: Float32Array.of(0, NaN) } }, /NaN/],
    [{ image: { ...image, data: Float32Array.of(0, 1.5) } }, /outside \[0, 1\]/],
    [{ image, labels: { shape: [2], data: Float32Array.of(0, 1) } }, /labels is f32\[2\]/],
  ] as const;
  for (const [tensors, message] of refused) {
    await Deno.writeFile(
      join(run, "examples.safetensors"),
      encodeSafetensors(new Map(Object.entries(tensors))),
    );
    await assert.rejects(readExamples(run), { name: "RunError", message });
  }
});
