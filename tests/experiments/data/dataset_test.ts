/** Data sets in memory: how they are split, ordered, described, batched, changed at random, and kept in a run. */

import assert from "node:assert/strict";
import { normalizationTo } from "../../../experiments/settings/data.ts";
import * as datasets from "../../../experiments/data/dataset.ts";
import { ImageSource, sourceOf } from "../../../experiments/data/image_source.ts";
import { batchOf } from "../../../models/mod.ts";
import { sorted, upTo } from "../../refusing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu } from "../../testing.ts";

const { describeData, firstIndices, shuffled, splitImages, splitTest, subsetOrder } = datasets;
type Dataset = datasets.Dataset;

Deno.test("splitTest() always holds out a tenth of each class, at least one of two, and starts with all classes", () => {
  const labels = upTo(10_000).map((i) => Math.floor(i / 1000)); // ten classes, one after the other
  const { train, test } = splitTest(labels);
  assert.deepEqual(sorted([...train, ...test]), upTo(10_000));
  const counts = (part: readonly number[]) =>
    upTo(10).map((label) => part.filter((i) => labels[i] === label).length);
  assert.deepEqual(counts(test), Array(10).fill(100));
  for (const [part, first] of [[train, 1000], [test, 500]] as const) {
    const found = counts(part.slice(0, first));
    assert.ok(Math.min(...found) >= first / 15 && Math.max(...found) <= first / 7, `${found}`);
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
  const digits = { name: "d", train: 60_000, test: 10, channels: 1, height: 28, width: 28, classes: 21 };
  const names = ["cat\nDone; see here", "owl"];
  const [plain, colour] = [
    describeData({ ...digits, classNames: upTo(21).map(String) }),
    describeData({ ...digits, train: { count: 9 }, channels: 3, classes: 2, classNames: names }),
  ];
  assert.equal(plain, "d: 60,000 training and 10 test images of 28 x 28, 21 classes");
  assert.match(colour, /^d: 9 training .* of 3 x 28 x 28, 2 classes: cat\\u000aDone; see here, owl$/);
});

const [C, H, W, count] = [3, 4, 5, 6];
const P = C * H * W;
const bytes = Uint8Array.from({ length: count * P }, (_, i) => i * 89 % 256);
const size = { channels: C, height: H, width: W };
/** Images with labels 0, 1, 255 and so on. */
const labels = { values: Uint8Array.from(upTo(count), (n) => [0, 1, 255][n % 3]), classes: 256 };
const images = (range: "0..1" | "-1..1" = "0..1") =>
  new ImageSource(bytes, size, normalizationTo(range), labels);

testOnCpu("ImageSource returns normalised batches of a part, with labels if it has any", async () => {
  const chosen = Uint32Array.of(3, 5, 3);
  const part = { images: bytes, count, labels: labels.values };
  const other = { images: bytes, count, labels: labels.values.toReversed() };
  const data: Dataset = { ...size, train: other, test: part, classes: 256, name: "", digest: "", source: "" };
  for (const [range, scale, shift] of [["-1..1", 2, -1], ["0..1", 1, 0]] as const) {
    const normalization = normalizationTo(range);
    const source = sourceOf(data, "test", { conditional: true, normalization });
    assert.deepEqual([source.shape, source.classes], [[C, H, W], 256]);
    assert.deepEqual(source.info, { normalization: { scale, shift }, imageSize: [H, W] });
    const { x1, condition } = batchOf(source, chosen);
    assert.deepEqual([x1.shape, condition!.type], [[3, C, H, W], "u32"]);
    const rows = [3, 5, 3].flatMap((n) => [...bytes.subarray(P * n, P * (n + 1))]);
    for (const values of [await x1.read(), source.host.values(chosen)]) {
      assertClose(values, rows.map((byte) => byte / 255 * scale + shift), 1e-6);
    }
    for (const found of [await condition!.readWords(), source.host.labels!(chosen)]) {
      assert.deepEqual([...found], [0, 255, 0]);
    }
    const plain = sourceOf(data, "test", { conditional: false, normalization });
    const unlabelled = [plain.classes, batchOf(plain, chosen).condition, plain.host.labels];
    assert.deepEqual(unlabelled, [0, undefined, undefined]);
  }
});

/** All images that moving one may give: mirrored or not, by some pixels down and right. */
function variants(example: number, shift: number, flip: boolean): string[] {
  const inside = (at: number, length: number) => Math.min(Math.max(at, 0), length - 1);
  const by = upTo(2 * shift + 1).map((n) => n - shift);
  return (flip ? [false, true] : [false]).flatMap((mirrored) =>
    by.flatMap((down) =>
      by.map((right) =>
        `${
          upTo(P).map((i) => {
            const [c, h, w] = [Math.floor(i / (H * W)), Math.floor(i / W) % H, i % W];
            const [row, column] = [inside(h - down, H), inside(w - right, W)];
            return bytes[((example * C + c) * H + row) * W + (mirrored ? W - 1 - column : column)];
          })
        }`
      )
    )
  );
}

testOnCpu("augmented() mirrors and shifts images depending only on seed, step and image", async () => {
  const order = firstIndices(count);
  for (const [flip, shift, steps] of [[true, 0, 20], [false, 1, 20], [true, 1, 60]] as const) {
    const source = images().augmented({ flip, shift });
    const staged = source.stage(count);
    const draw = async (examples: Uint32Array, seed: number, step: number) => {
      staged.write(examples, { seed, step });
      const { x1, condition } = staged.batch();
      assert.deepEqual([...await condition!.read()], [...examples].map((n) => labels.values[n]));
      const values = Array.from(await x1.read(), (value) => Math.round(255 * value));
      const ofHost = Array.from(source.host!.values(examples, { seed, step }), (v) => Math.round(255 * v));
      assertSameNumbers(ofHost, values, "couplings see the same");
      return upTo(count).map((n) => `${values.slice(n * P, (n + 1) * P)}`);
    };
    const expected = upTo(count).map((n) => variants(n, shift, flip));
    const times: number[] = Array(expected[0].length).fill(0);
    for (let step = 0; step < steps; step++) {
      for (const [n, row] of (await draw(order, 5, step)).entries()) {
        const how = expected[n].indexOf(row);
        assert.ok(how >= 0, `${flip} ${shift}: ${row}`);
        times[how]++;
      }
    }
    const mean = steps * count / times.length;
    assert.ok(Math.min(...times) > mean / 3, `all are as likely: ${times}`);
    const first = await draw(order, 5, 7);
    const reversed = await draw(order.toReversed(), 5, 7);
    assert.deepEqual(reversed.toReversed(), first, "whatever their order is");
    assert.notDeepEqual(await draw(order, 6, 7), first);
  }
});
