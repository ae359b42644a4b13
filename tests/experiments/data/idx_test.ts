import assert from "node:assert/strict";
import { join } from "node:path";
import { IDX_NAMES, parseIdx } from "../../../experiments/data/idx.ts";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import { sha256 } from "../../../experiments/run/run_folder.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { upTo } from "../../refusing.ts";
import { idxFile, writeTinyIdx } from "./tiny_idx.ts";
import { writeFiles } from "./tiny_png.ts";

Deno.test("parseIdx() refuses other files", () => {
  const parse = (what: "images" | "labels") => (bytes: Uint8Array<ArrayBuffer>) =>
    parseIdx({ path: "a", bytes }, what);
  const [images, labels] = [parse("images"), parse("labels")];
  const most = 2 ** 32 - 1;
  const cases: Record<string, () => unknown> = {
    "Cannot read a: it has 15 bytes and starts with 00000000 (expected IDX images: 00000803 or 00000804, then at least 12 bytes)":
      () => images(new Uint8Array(15)),
    "it has 0 bytes and starts with nothing (expected IDX labels: 00000801, then at least 4 bytes)": () =>
      labels(new Uint8Array(0)),
    "it has 16 bytes and starts with 00000804": () => images(idxFile([1, 2, 2, 3]).subarray(0, 16)),
    "it has 108 bytes and starts with 00000801": () => images(idxFile([100])),
    "it has 20 bytes and starts with 00000803": () => labels(idxFile([1, 2, 2])),
    "its shape is [5, 0, 28], so it has no images (expected at least one)": () => images(idxFile([5, 0, 28])),
    "its shape is [0], so it has no labels": () => labels(idxFile([0])),
    "it has 33 bytes, too few (expected 34 for images [2, 3, 3])": () =>
      images(idxFile([2, 3, 3], undefined, 17)),
    "it has 20 bytes, too few (expected 7.9": () => images(idxFile([most, most, most], undefined, 4)),
    "it has too many bytes (expected 10 for labels [2]); download it again": () =>
      labels(idxFile([2], undefined, 3)),
  };
  for (const [message, parse] of Object.entries(cases)) assert.throws(parse, refusal(message));
});

/** Whether an error is a DataError with a text in its message; DIR stands for a folder. */
const refusal = (text: string, folder = "DIR") => (error: Error) =>
  error.name === "DataError" && error.message.replaceAll(folder, "DIR").includes(text);

/** The files of a data set of 3 training and 2 test images, 4x5. */
const tiny: Readonly<Record<string, Uint8Array>> = {
  [IDX_NAMES.trainImages]: idxFile([3, 4, 5]),
  [IDX_NAMES.trainLabels]: idxFile([3]),
  [IDX_NAMES.testImages]: idxFile([2, 4, 5]),
  [IDX_NAMES.testLabels]: idxFile([2]),
};

async function gzip(bytes: Uint8Array) {
  const stream = new Blob([Uint8Array.from(bytes)]).stream();
  return await new Response(stream.pipeThrough(new CompressionStream("gzip"))).bytes();
}

testInFolder(
  "loadDataset() reads IDX files of any size, in every spelling of their names",
  async (root) => {
    const spellings: [string, (name: string) => string][] = [
      ["plain", (name) => name],
      ["packed", (name) => `${name}.gz`],
      ["dotted", (name) => name.replace("-idx", ".idx")],
      ["both", (name) => `${name.replace("-idx", ".idx")}.gz`],
      ["channels", (name) => name.replace("idx3", "idx4")],
    ];
    for (const [folder, spell] of spellings) {
      for (const [name, bytes] of Object.entries(tiny)) {
        const isPacked = spell(name).endsWith(".gz");
        await writeFiles(join(root, folder), { [spell(name)]: isPacked ? await gzip(bytes) : bytes });
      }
      const { train, test, testNumbers, ...rest } = await loadDataset(join(root, folder));
      assert.deepEqual(rest, {
        name: folder,
        channels: 1,
        height: 4,
        width: 5,
        classes: 3,
        digest: await sha256(idxFile([3, 4, 5])),
        labelDigest: await sha256(idxFile([3])),
        source: join(root, folder),
      });
      assert.deepEqual([train.count, [...train.images as Uint8Array], [...train.labels!]], [3, upTo(60), [
        0,
        1,
        2,
      ]]);
      assert.deepEqual([test.count, test.images.length, [...test.labels!]], [2, 40, [...testNumbers!]]);
    }
  },
);

testInFolder("loadDataset() counts the classes of both parts, and reads channels", async (folder) => {
  await writeTinyIdx(folder, { train: 20, test: 26, channels: 3, classes: 26 }); // the test has more classes
  const { channels, classes } = await loadDataset(folder);
  assert.deepEqual([channels, classes], [3, 26]);
  await writeFiles(folder, {
    [IDX_NAMES.trainImages]: idxFile([20, 1, 2, 3]),
    [IDX_NAMES.testImages]: idxFile([26, 1, 2, 3]),
  });
  const { train } = await loadDataset(folder);
  assert.deepEqual([...train.images as Uint8Array].slice(0, 6), [0, 3, 1, 4, 2, 5], "channels as planes");
});

testInFolder("loadDataset() always shuffles the test images in the same order", async (folder) => {
  const images = idxFile([100, 1, 1]);
  const labels = idxFile([100], (i) => Math.floor(i / 50));
  const { trainImages, trainLabels, testImages, testLabels } = IDX_NAMES;
  const files = { [trainImages]: images, [testImages]: images, [trainLabels]: labels, [testLabels]: labels };
  await writeFiles(folder, files);
  const { train, test, testNumbers } = await loadDataset(folder);
  assert.deepEqual([...testNumbers!.subarray(0, 8)], [16, 29, 77, 63, 25, 10, 97, 81], "as in 0.7");
  const [trained, tested] = [train, test].map(({ images }) => images as Uint8Array);
  assert.deepEqual([...tested], [...testNumbers!], "each image has its number in the file");
  assert.deepEqual([...test.labels!], Array.from(tested, (i) => Math.floor(i / 50)), "in pairs");
  assert.deepEqual(tested.toSorted(), trained, "no image is lost");
  assert.deepEqual([...trained], upTo(100), "in the file's order");
  for (const name of [trainLabels, testLabels]) await Deno.remove(join(folder, name));
  const unlabelled = await loadDataset(folder);
  assert.deepEqual(unlabelled.test, { images: test.images, count: 100 }, "the same order without labels");
  assert.deepEqual([Object.keys(unlabelled.train), unlabelled.classes], [["images", "count"], 0]);
});

testInFolder(
  "loadDataset() refuses files that are missing, damaged or from another data set",
  async (root) => {
    const { trainLabels, testImages, testLabels } = IDX_NAMES;
    const none = undefined;
    const packed = (bytes: Uint8Array) => ({ [testLabels]: none, [`${testLabels}.gz`]: bytes });
    const cases: [string, Record<string, Uint8Array | undefined>][] = [
      [`Cannot find ${testLabels} in DIR (expected as ${testLabels}, `, { [testLabels]: none }],
      [`find ${trainLabels}, ${testImages} in`, { [trainLabels]: none, [testImages]: none }],
      ["it is [2] (expected [3], a whole number for each image of DIR/train-", {
        [trainLabels]: idxFile([2]),
      }],
      ["it is [4] (expected [3]", { [trainLabels]: idxFile([4]) }],
      ["its images are [1, 5, 4] (expected [1, 4, 5] as in DIR/train-", { [testImages]: idxFile([2, 5, 4]) }],
      ["its images are [3, 4, 5] (expected [1, 4, 5] as", { [testImages]: idxFile([2, 4, 5, 3]) }],
      ["images-idx3-ubyte: it is [2, 4, 5, 2] (expected images", { [testImages]: idxFile([2, 4, 5, 2]) }],
      ["Cannot read DIR/t10k-labels-idx1-ubyte: it has 0 bytes", { [testLabels]: new Uint8Array(0) }],
      ["Cannot unpack DIR/t10k-labels-idx1-ubyte.gz: it is damaged or not a gzip file", packed(idxFile([2]))],
      ["Cannot unpack", packed((await gzip(idxFile([2]))).subarray(0, -9))],
    ];
    for (const [n, [message, changes]] of cases.entries()) {
      const folder = join(root, `${n}`);
      const files = Object.entries({ ...tiny, ...changes }).filter(([, bytes]) => bytes !== none);
      await writeFiles(folder, Object.fromEntries(files) as Record<string, Uint8Array>);
      await assert.rejects(loadDataset(folder), refusal(message, folder), message);
    }
  },
);

testNeeding(
  { read: true, write: true, run: true },
  "loadDataset() refuses pipes instead of waiting",
  () =>
    withFolder(async (folder) => {
      await writeFiles(folder, tiny);
      const path = join(folder, IDX_NAMES.testImages);
      await Deno.remove(path);
      await new Deno.Command("mkfifo", { args: [path] }).output();
      const message = `Cannot read ${path}: it is a pipe, a device or a folder (expected a file)`;
      await assert.rejects(loadDataset(folder), { name: "DataError", message });
    }),
);
