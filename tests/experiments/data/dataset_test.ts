import assert from "node:assert/strict";
import { join } from "node:path";
import { loadDataset } from "../../../experiments/data/dataset.ts";
import { IDX_NAMES } from "../../../experiments/data/idx_folder.ts";
import { sha256 } from "../../../experiments/data/mnist.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { countingImages, countingLabels, idxFile, imageSize, writeTinyIdx } from "./tiny_idx.ts";

const READ_WRITE = { read: true, write: true } as const;

/** The files of a data set of 3 training and 2 test images, 4x5. */
const tiny = () =>
  new Map([
    [IDX_NAMES.trainImages, countingImages(3, 4, 5)],
    [IDX_NAMES.trainLabels, countingLabels(3)],
    [IDX_NAMES.testImages, countingImages(2, 4, 5)],
    [IDX_NAMES.testLabels, countingLabels(2)],
  ]);

async function gzip(bytes: Uint8Array<ArrayBuffer>) {
  return await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** Runs `use` on a new folder that holds the files. */
async function withFiles(files: Map<string, Uint8Array>, use: (folder: string) => Promise<void>) {
  await withFolder(async (folder) => {
    for (const [name, bytes] of files) await Deno.writeFile(join(folder, name), bytes);
    await use(folder);
  });
}

/** Asserts that the tiny data set with some files exchanged is refused with a message. */
async function assertRefused(change: (files: Map<string, Uint8Array>) => unknown, message: string) {
  const files = tiny();
  change(files);
  await withFiles(files, async (folder) => {
    await assert.rejects(loadDataset(folder), {
      name: "DataError",
      message: message.replaceAll("DIR", folder),
    });
  });
}

testNeeding(READ_WRITE, "loadDataset() reads a folder of images of any size", async () => {
  await withFiles(tiny(), async (folder) => {
    const { train, test, testNumbers, ...rest } = await loadDataset(folder);
    assert.deepEqual(rest, {
      name: folder.split("/").at(-1),
      channels: 1,
      height: 4,
      width: 5,
      classes: 3,
      digest: await sha256(countingImages(3, 4, 5)),
      labelDigest: await sha256(countingLabels(3)),
      source: folder,
      testOrder: "random",
    });
    assert.deepEqual([train.count, train.images.length, [...train.labels!]], [3, 60, [0, 1, 2]]);
    assert.deepEqual([test.count, test.images.length, [...test.labels!]], [2, 40, [...testNumbers!]]);
    assert.deepEqual([...train.images], Array.from({ length: 60 }, (_, i) => i));
  });
});

testNeeding(
  READ_WRITE,
  "loadDataset() reads gzipped files and dotted names as the same data set",
  async () => {
    const plain = tiny();
    await withFiles(plain, async (folder) => {
      const expected = await loadDataset(folder);
      const spellings: [string, (name: string) => string][] = [
        ["gzipped", (name) => `${name}.gz`],
        ["dotted", (name) => name.replace("-idx", ".idx")],
        ["dotted and gzipped", (name) => `${name.replace("-idx", ".idx")}.gz`],
      ];
      for (const [title, spell] of spellings) {
        const files = new Map<string, Uint8Array>();
        for (const [name, bytes] of plain) {
          files.set(spell(name), spell(name).endsWith(".gz") ? await gzip(bytes) : bytes);
        }
        await withFiles(files, async (other) => {
          assert.deepEqual(
            { ...await loadDataset(other), name: expected.name, source: folder },
            expected,
            title,
          );
        });
      }
    });
  },
);

testInFolder("loadDataset() reads three channels and any labels", async (folder) => {
  await writeTinyIdx(folder, { train: 30, test: 4, channels: 3, classes: 26 });
  const rename = (name: string) =>
    Deno.rename(join(folder, name), join(folder, name.replace("idx3", "idx4")));
  await Promise.all([IDX_NAMES.trainImages, IDX_NAMES.testImages].map(rename));
  const { train, test, channels, height, width, classes } = await loadDataset(folder);
  assert.deepEqual([channels, height, width, classes], [3, imageSize, imageSize, 26]);
  assert.deepEqual([train.images.length, test.images.length], [
    30 * 3 * imageSize ** 2,
    4 * 3 * imageSize ** 2,
  ]);
  const brightest = [0, 1, 2].map((channel) =>
    Math.max(...train.images.subarray(channel * imageSize ** 2, (channel + 1) * imageSize ** 2))
  );
  assert.deepEqual(brightest, [255, 128, 85]);
});

testNeeding(READ_WRITE, "loadDataset() reads test images in random order, always the same", async () => {
  const images = idxFile([100, 1, 1], (i) => i);
  const labels = idxFile([100], (i) => Math.floor(i / 50));
  const files = new Map([
    [IDX_NAMES.trainImages, images],
    [IDX_NAMES.trainLabels, labels],
    [IDX_NAMES.testImages, images],
    [IDX_NAMES.testLabels, labels],
  ]);
  await withFiles(files, async (folder) => {
    const { train, test, testOrder, testNumbers } = await loadDataset(folder);
    assert.equal(testOrder, "random");
    assert.deepEqual([...test.images], [...testNumbers!], "each with its number in the file");
    assert.deepEqual([...test.labels!], Array.from(test.images, (i) => Math.floor(i / 50)), "in pairs");
    assert.deepEqual(test.images.toSorted(), train.images, "each of them");
    const early = test.images.subarray(0, 50).reduce((sum, image) => sum + image, 0) / 50;
    assert.ok(Math.abs(early - 49.5) < 10, `the first half is of both halves: ${early}`);
    assert.deepEqual([...train.images], Array.from({ length: 100 }, (_, i) => i), "a run goes by numbers");
    assert.deepEqual(await loadDataset(folder), await loadDataset(folder));
    for (const name of [IDX_NAMES.trainLabels, IDX_NAMES.testLabels]) await Deno.remove(join(folder, name));
    assert.deepEqual((await loadDataset(folder)).test.images, test.images, "with labels or without");
  });
});

testNeeding(READ_WRITE, "loadDataset() needs no labels", async () => {
  const files = tiny();
  for (const name of [IDX_NAMES.trainLabels, IDX_NAMES.testLabels]) files.delete(name);
  await withFiles(files, async (folder) => {
    const { train, test, classes } = await loadDataset(folder);
    assert.deepEqual([Object.keys(train), Object.keys(test), classes], [
      ["images", "count"],
      ["images", "count"],
      0,
    ]);
  });
  await assertRefused(
    (files) => files.delete(IDX_NAMES.testLabels),
    "Cannot find t10k-labels-idx1-ubyte in DIR (expected as t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz, " +
      "t10k-labels.idx1-ubyte, t10k-labels.idx1-ubyte.gz); put the IDX files there",
  );
});

testNeeding(READ_WRITE, "loadDataset() names what is missing", async () => {
  const all = Object.values(IDX_NAMES).join(", ");
  await withFiles(new Map([["file", new Uint8Array(1)]]), async (folder) => {
    await assert.rejects(loadDataset(join(folder, "none")), {
      name: "DataError",
      message:
        `Cannot read the data folder ${folder}/none: it does not exist (expected a folder of PNG images or IDX files, ` +
        "or mnist or fashion-mnist)",
    });
    await assert.rejects(loadDataset(join(folder, "file")), {
      name: "DataError",
      message:
        `Cannot read the data folder ${folder}/file: it is not a folder (expected a folder of PNG images, or with ${all})`,
    });
  });
  await assertRefused(
    (files) => (files.delete(IDX_NAMES.trainLabels), files.delete(IDX_NAMES.testImages)),
    "Cannot find train-labels-idx1-ubyte, t10k-images-idx3-ubyte in DIR (expected as train-labels-idx1-ubyte, " +
      "train-labels-idx1-ubyte.gz, train-labels.idx1-ubyte, train-labels.idx1-ubyte.gz); " +
      "put the IDX files there",
  );
});

testNeeding(READ_WRITE, "loadDataset() refuses files that do not belong together", async () => {
  await assertRefused(
    (files) => files.set(IDX_NAMES.trainLabels, countingLabels(2)),
    "Cannot use DIR/train-labels-idx1-ubyte: it holds 2 labels (expected 3, one for each image in " +
      "DIR/train-images-idx3-ubyte); take both from one data set",
  );
  await assertRefused(
    (files) => files.set(IDX_NAMES.testImages, countingImages(2, 5, 4)),
    "Cannot use DIR/t10k-images-idx3-ubyte: its images are 5x4 (expected 4x5 as in " +
      "DIR/train-images-idx3-ubyte); take all files from one data set",
  );
});

testNeeding(
  READ_WRITE,
  "loadDataset() refuses grey training images beside coloured test images",
  async () => {
    await assertRefused(
      (files) => files.set(IDX_NAMES.testImages, idxFile([2, 4, 5, 3])),
      "Cannot use DIR/t10k-images-idx3-ubyte: its images are 4x5 with 3 channels (expected 4x5 as in " +
        "DIR/train-images-idx3-ubyte); take all files from one data set",
    );
  },
);

testNeeding(
  { ...READ_WRITE, run: true },
  "loadDataset() refuses pipes instead of waiting for them",
  async () => {
    await withFiles(tiny(), async (folder) => {
      const path = join(folder, IDX_NAMES.testImages);
      await Deno.remove(path);
      await new Deno.Command("mkfifo", { args: [path] }).output();
      await assert.rejects(loadDataset(folder), {
        name: "DataError",
        message: `Cannot read ${path}: it is a pipe, a device or a folder (expected a file)`,
      });
    });
  },
);

testNeeding(READ_WRITE, "loadDataset() refuses damaged files, gzipped or not", async () => {
  await assertRefused(
    (files) => files.set(IDX_NAMES.testLabels, new Uint8Array(0)),
    "Cannot read DIR/t10k-labels-idx1-ubyte: it has 0 bytes (expected a header of 8); download it again",
  );
  const packed = await gzip(countingLabels(2));
  for (const damaged of [countingLabels(2), packed.subarray(0, -9), new Uint8Array(0)]) {
    await assertRefused(
      (files) => {
        files.delete(IDX_NAMES.testLabels);
        files.set(`${IDX_NAMES.testLabels}.gz`, damaged);
      },
      "Cannot unpack DIR/t10k-labels-idx1-ubyte.gz: it is damaged or no gzip file (expected gzip, " +
        "as its name says); download it again, or remove .gz from its name if it is not packed",
    );
  }
});
