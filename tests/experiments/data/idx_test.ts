import { parseImages, parseLabels, readIdx } from "../../../experiments/data/idx.ts";
import { IDX_NAMES, readIdxFolder } from "../../../experiments/data/idx_folder.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import { sha256 } from "../../../experiments/run/contained.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { countingImages, countingLabels, idxFile, imageSize, writeTinyIdx } from "./tiny_idx.ts";

Deno.test("parseImages() returns lengths and pixels", () => {
  const { images: pixels, ...lengths } = parseImages(countingImages(2, 1, 3), "a");
  assert.deepEqual(lengths, { count: 2, channels: 1, height: 1, width: 3 });
  assert.deepEqual([...pixels], [0, 1, 2, 3, 4, 5]);
});

Deno.test("parseImages() returns channels as planes", () => {
  const { images: pixels, ...lengths } = parseImages(idxFile([2, 1, 2, 3]), "a");
  assert.deepEqual(lengths, { count: 2, channels: 3, height: 1, width: 2 });
  assert.deepEqual([...pixels], [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
  assert.deepEqual({ ...parseImages(idxFile([2, 1, 3, 1]), "a") }, {
    ...parseImages(countingImages(2, 1, 3), "a"),
  });
});

Deno.test("parseImages() and parseLabels() refuse other files", () => {
  const [images, labels] = [(b: Uint8Array) => parseImages(b, "a"), (b: Uint8Array) => parseLabels(b, "a")];
  const most = 2 ** 32 - 1;
  const cases: Record<string, () => unknown> = {
    "Cannot read a: it has 15 bytes (expected a header of 16); download it": () => images(new Uint8Array(15)),
    "it has 0 bytes (expected a header of 8)": () => labels(new Uint8Array(0)),
    "it has 16 bytes (expected a header of 20)": () => images(idxFile([1, 2, 2, 3]).subarray(0, 16)),
    "it begins with 0x00000801 (expected 0x00000803 or 0x00000804, IDX": () => images(countingLabels(100)),
    "it begins with 0x00000803 (expected 0x00000801, IDX labels": () => labels(countingImages(1, 2, 2)),
    "it holds no images, [0, 28, 28] (expected some)": () => images(countingImages(0, 28, 28)),
    "it holds no images, [5, 0, 28]": () => images(countingImages(5, 0, 28)),
    "it holds no labels, [0]": () => labels(countingLabels(0)),
    "it has 33 bytes, too few (expected 34 for images [2, 3, 3])": () =>
      images(idxFile([2, 3, 3], undefined, 17)),
    "it has 20 bytes, too few (expected 7.9": () => images(idxFile([most, most, most], undefined, 4)),
    "it has too many bytes (expected 10 for labels [2]); download it again": () =>
      labels(idxFile([2], undefined, 3)),
    "Cannot use a: its images have 2 channels (expected 1 or 3": () => images(idxFile([1, 2, 2, 2])),
    "its images have 4 channels": () => images(idxFile([1, 2, 2, 4])),
  };
  for (const [message, parse] of Object.entries(cases)) assert.throws(parse, refusal(message));
});

/** Whether an error is a DataError with a text in its message; DIR stands for a folder. */
const refusal = (text: string, folder = "DIR") => (error: Error) =>
  error.name === "DataError" && error.message.replaceAll(folder, "DIR").includes(text);

/** The files of a data set of 3 training and 2 test images, 4x5. */
const tiny = () =>
  new Map<string, Uint8Array>([
    [IDX_NAMES.trainImages, countingImages(3, 4, 5)],
    [IDX_NAMES.trainLabels, countingLabels(3)],
    [IDX_NAMES.testImages, countingImages(2, 4, 5)],
    [IDX_NAMES.testLabels, countingLabels(2)],
  ]);

async function gzip(bytes: Uint8Array) {
  const stream = new Blob([Uint8Array.from(bytes)]).stream();
  return await new Response(stream.pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** Calls a function with a new folder that holds some files. */
async function withFiles<R>(files: Map<string, Uint8Array>, use: (folder: string) => Promise<R>): Promise<R> {
  return await withFolder(async (folder) => {
    for (const [name, bytes] of files) await Deno.writeFile(join(folder, name), bytes);
    return await use(folder);
  });
}

const readWrite = { read: true, write: true } as const;

testNeeding(
  readWrite,
  "loadDataset() reads IDX images of any size, and accepts both spellings of file names",
  async () => {
    const { train, test, testNumbers, ...rest } = await withFiles(tiny(), loadDataset);
    assert.deepEqual(rest, {
      name: rest.source.split("/").at(-1),
      channels: 1,
      height: 4,
      width: 5,
      classes: 3,
      digest: await sha256(countingImages(3, 4, 5)),
      labelDigest: await sha256(countingLabels(3)),
      source: rest.source,
    });
    assert.deepEqual([train.count, train.images.length, [...train.labels!]], [3, 60, [0, 1, 2]]);
    assert.deepEqual([test.count, test.images.length, [...test.labels!]], [2, 40, [...testNumbers!]]);
    assert.deepEqual([...train.images], Array.from({ length: 60 }, (_, i) => i));

    const dotted = (name: string) => name.replace("-idx", ".idx");
    for (const spell of [(name: string) => `${name}.gz`, dotted, (name: string) => `${dotted(name)}.gz`]) {
      const files = new Map<string, Uint8Array>();
      for (const [name, bytes] of tiny()) {
        files.set(spell(name), spell(name).endsWith(".gz") ? await gzip(bytes) : bytes);
      }
      await withFiles(files, async (folder) => {
        const again = await loadDataset(folder);
        const { name, source } = again;
        assert.deepEqual(again, { ...rest, train, test, testNumbers, name, source }, spell("x-idx"));
      });
    }
  },
);

testInFolder("loadDataset() reads three channels and any labels", async (folder) => {
  await writeTinyIdx(folder, { train: 20, test: 26, channels: 3, classes: 26 }); // the test has more classes
  const rename = (name: string) =>
    Deno.rename(join(folder, name), join(folder, name.replace("idx3", "idx4")));
  await Promise.all([IDX_NAMES.trainImages, IDX_NAMES.testImages].map(rename));
  const { train, test, channels, height, width, classes } = await loadDataset(folder);
  assert.deepEqual([channels, height, width, classes], [3, imageSize, imageSize, 26]);
  const plane = imageSize ** 2;
  assert.deepEqual([train.images.length, test.images.length], [20 * 3 * plane, 26 * 3 * plane]);
  const brightest = [0, 1, 2].map((c) => Math.max(...train.images.subarray(c * plane, (c + 1) * plane)));
  assert.deepEqual(brightest, [255, 128, 85]);
});

testNeeding(readWrite, "loadDataset() always shuffles the test images in the same order", async () => {
  const images = idxFile([100, 1, 1], (i) => i);
  const labels = idxFile([100], (i) => Math.floor(i / 50));
  const files = new Map([
    [IDX_NAMES.trainImages, images],
    [IDX_NAMES.trainLabels, labels],
    [IDX_NAMES.testImages, images],
    [IDX_NAMES.testLabels, labels],
  ]);
  await withFiles(files, async (folder) => {
    const { train, test, testNumbers } = await loadDataset(folder);
    assert.deepEqual([...testNumbers!.subarray(0, 8)], [16, 29, 77, 63, 25, 10, 97, 81], "as in 0.7");
    assert.deepEqual([...test.images], [...testNumbers!], "each image has its number in the file");
    assert.deepEqual([...test.labels!], Array.from(test.images, (i) => Math.floor(i / 50)), "in pairs");
    assert.deepEqual(test.images.toSorted(), train.images, "no image is lost");
    const early = test.images.subarray(0, 50).reduce((sum, image) => sum + image, 0) / 50;
    assert.ok(Math.abs(early - 49.5) < 10, `the first half is mixed: ${early}`);
    assert.deepEqual([...train.images], Array.from({ length: 100 }, (_, i) => i), "in the file's order");
    for (const name of [IDX_NAMES.trainLabels, IDX_NAMES.testLabels]) await Deno.remove(join(folder, name));
    const unlabelled = await loadDataset(folder);
    assert.deepEqual(unlabelled.test, { images: test.images, count: 100 }, "the same order without labels");
    assert.deepEqual([Object.keys(unlabelled.train), unlabelled.classes], [["images", "count"], 0]);
  });
});

testNeeding(
  readWrite,
  "loadDataset() refuses files that are missing, damaged or from another data set",
  async () => {
    const { trainLabels, testImages, testLabels } = IDX_NAMES;
    const packed = (bytes: Uint8Array) => ({ [testLabels]: undefined, [`${testLabels}.gz`]: bytes });
    const cases: [string, Record<string, Uint8Array | undefined>][] = [
      ["Cannot find t10k-labels-idx1-ubyte in DIR (expected as t10k-labels-idx1-ubyte, ", {
        [testLabels]: undefined,
      }],
      ["find train-labels-idx1-ubyte, t10k-images-idx3", {
        [trainLabels]: undefined,
        [testImages]: undefined,
      }],
      ["holds 2 labels (expected 3, one for each image in DIR/train-", { [trainLabels]: countingLabels(2) }],
      ["holds 4 labels (expected 3", { [trainLabels]: countingLabels(4) }],
      ["its images are 5x4 (expected 4x5 as in DIR/train-", { [testImages]: countingImages(2, 5, 4) }],
      ["its images are 4x5 with 3 channels (expected 4x5 as", { [testImages]: idxFile([2, 4, 5, 3]) }],
      ["Cannot read DIR/t10k-labels-idx1-ubyte: it has 0 bytes", { [testLabels]: new Uint8Array(0) }],
      [
        "Cannot unpack DIR/t10k-labels-idx1-ubyte.gz: it is damaged or no gzip file",
        packed(countingLabels(2)),
      ],
      ["Cannot unpack", packed((await gzip(countingLabels(2))).subarray(0, -9))],
      ["Cannot unpack", packed(new Uint8Array(0))],
    ];
    for (const [message, changes] of cases) {
      const files = Object.entries({ ...Object.fromEntries(tiny()), ...changes }).filter(([, bytes]) =>
        bytes
      );
      await withFiles(new Map(files as [string, Uint8Array][]), async (folder) => {
        await assert.rejects(loadDataset(folder), refusal(message, folder), message);
      });
    }
  },
);

testNeeding(
  { ...readWrite, run: true },
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

/** Header of an IDX file of unsigned bytes. */
function header(...lengths: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new DataView(new ArrayBuffer(4 + 4 * lengths.length));
  [0x0800 + lengths.length, ...lengths].forEach((value, i) => bytes.setUint32(4 * i, value));
  return new Uint8Array(bytes.buffer);
}

/** An endless file that starts with given bytes. */
function endless(start: Uint8Array<ArrayBuffer>) {
  let read = 0;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      controller.enqueue(read === 0 ? start : new Uint8Array(1000));
      read++;
    },
  });
  return { stream, read: () => read };
}

Deno.test("readIdx() stops one byte after the end declared in the header", async () => {
  const { stream, read } = endless(header(3, 10, 100));
  const bytes = await readIdx(stream, "file");
  assert.equal(bytes.length, 16 + 3000 + 1);
  assert.ok(read() < 10);
});

Deno.test("readIdx() reads only the start of other files and of files too large for an array", async () => {
  const other = endless(new Uint8Array(50).fill(1));
  assert.ok((await readIdx(other.stream, "file")).length < 5000);
  const huge = endless(header(1 << 30, 28, 28));
  await assert.rejects(() => readIdx(huge.stream, "file"), {
    name: "DataError",
    message: /^Cannot read file: its header declares 841813590032 bytes \(expected at most 4294967296\); /,
  });
  assert.ok(huge.read() < 10);
});

testInFolder("readIdxFolder() stops a gzip bomb at the length in its header", async (folder) => {
  await writeTinyIdx(folder);
  const path = join(folder, "train-images-idx3-ubyte");
  await Deno.remove(path);
  const zeros = new Uint8Array(1 << 20);
  const source = ReadableStream.from([header(10, 4, 4), ...Array.from({ length: 256 }, () => zeros)]);
  await Deno.writeFile(`${path}.gz`, source.pipeThrough(new CompressionStream("gzip")));
  assert.equal((await readIdxFolder(folder)).trainImages.bytes.length, 16 + 160 + 1);
});
