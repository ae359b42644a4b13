import assert from "node:assert/strict";
import { join } from "node:path";
import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from "npm:@zip.js/zip.js@2.24.0";
import { zipSync } from "npm:fflate@0.8.3";
import { describeData } from "../../../experiments/data/dataset.ts";
import { rowsOf } from "../../../experiments/data/images.ts";
import { type DatasetOptions, loadDataset } from "../../../experiments/data/load_dataset.ts";
import { testInFolder } from "../../folder.ts";
import { sorted, upTo } from "../../refusing.ts";
import { mutateBytes, randomOf } from "../mutations.ts";
import vectors from "../../vectors/images.json" with { type: "json" };
import { writeFiles } from "./tiny_png.ts";

const { values, npz, packed, unnamed, objects } = vectors.arrays;
/** The vector's values, 0 to 16, as bytes. */
const bytes = Uint8Array.fromBase64(values).map((value) => Math.round(255 * value / 16));

/** A file of NumPy with the given header. */
function npy(
  descr: string,
  shape: readonly number[],
  data: Uint8Array,
  { order = "False", version = 1 } = {},
): Uint8Array {
  const header = `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': (${
    shape.map((n) => `${n},`).join(" ")
  }), }\n`;
  return Uint8Array.from([
    ...[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0, header.length & 255, header.length >> 8],
    ...version === 1 ? [] : [0, 0],
    ...new TextEncoder().encode(header),
    ...data,
  ]);
}
const u8 = (shape: readonly number[], valueAt: (i: number) => number = (i) => i % 256) =>
  npy("'|u1'", shape, Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => valueAt(i)));
const f32 = (shape: readonly number[], values: readonly number[]) =>
  npy("'<f4'", shape, new Uint8Array(Float32Array.from(values).buffer));

/** An archive of one packed array whose numbers are all in Zip64 fields, as NumPy writes them above 4 GiB. */
async function zip64(array: Uint8Array): Promise<Uint8Array> {
  const writer = new ZipWriter(new Uint8ArrayWriter(), { zip64: true, useWebWorkers: false });
  await writer.add("images.npy", new Uint8ArrayReader(array));
  return await writer.close();
}

/** Loads files from a folder: one file by itself, several as a folder of arrays. */
async function load(folder: string, files: Record<string, Uint8Array>, options?: DatasetOptions) {
  const inside = await Deno.makeTempDir({ dir: folder });
  await writeFiles(inside, files);
  const [name, ...more] = Object.keys(files);
  return await loadDataset(more.length === 0 ? join(inside, name) : inside, options);
}

/** All images, in any order. */
const imagesOf = (data: Awaited<ReturnType<typeof loadDataset>>) => {
  const P = data.channels * data.height * data.width;
  return [data.train, data.test].flatMap(({ images, count }) =>
    upTo(count).map((n) => `${rowsOf(images, [n], P)}`)
  );
};

testInFolder(
  "loadDataset() reads what numpy.savez() writes, by the names that people use",
  async (folder) => {
    const expected = upTo(20).map((n) => `${bytes.slice(16 * n, 16 * n + 16)}`);
    for (const [name, file] of Object.entries({ npz, packed, unnamed })) {
      const data = await load(folder, { "digits.npz": Uint8Array.fromBase64(file) });
      assert.equal(
        describeData(data),
        "digits: 17 training and 3 test images of 4 x 4, 3 classes; 0 is black and 16 white",
        name,
      );
      assert.deepEqual(imagesOf(data).sort(), expected.toSorted(), `${name}: every image once`);
      const at = expected.indexOf(`${rowsOf(data.test.images, [0], 16)}`);
      assert.equal(data.test.labels![0], at % 3, "labels stay with their images");
    }
  },
);

testInFolder("loadDataset() takes arrays in every usual layout, type and range", async (folder) => {
  const planes = (n: number) => [0, 1, 2].flatMap((c) => upTo(4).map((i) => 12 * n + 3 * i + c));
  const cases: Record<string, [files: Record<string, Uint8Array>, shape: number[], first: number[]]> = {
    "flat": [{ "a.npy": u8([2, 4], (i) => 30 * i) }, [1, 2, 2], [0, 30, 60, 90]],
    "grey": [{ "a.npy": u8([2, 1, 4], (i) => 30 * i) }, [1, 1, 4], [0, 30, 60, 90]],
    "channels last": [
      { "a.npy": u8([2, 1, 4, 3], (i) => i + 200) },
      [3, 1, 4],
      planes(0).map((i) => i + 200),
    ],
    "channels first": [
      { "a.npy": u8([2, 3, 2, 2], (i) => [...planes(0), ...planes(1)][i] + 200) },
      [3, 2, 2],
      planes(0).map((i) => i + 200),
    ],
    "0 to 1": [{ "a.npy": f32([2, 1, 2], [0, 0.2, 1, 0.5]) }, [1, 1, 2], [0, 51]],
    "0 to 1 as f16": [
      { "a.npy": npy("'<f2'", [2, 1, 2], new Uint8Array(Float16Array.of(0, 0.2, 1, 0.5).buffer)) },
      [1, 1, 2],
      [0, 51],
    ],
    "-1 to 1": [{ "a.npy": f32([2, 1, 2], [-1, 0.2, 1, 0]) }, [1, 1, 2], [0, 153]],
    "-0.5 to 0.5": [{ "a.npy": f32([2, 1, 2], [-0.5, 0.2, 0.5, 0]) }, [1, 1, 2], [64, 153]],
    "0 to 255 as f32": [{ "a.npy": f32([2, 1, 2], [0, 100, 200, 3]) }, [1, 1, 2], [0, 100]],
    "big-endian i2": [{ "a.npy": npy("'>i2'", [2, 1, 2], Uint8Array.of(0, 0, 0, 51, 0, 255, 0, 3)) }, [
      1,
      1,
      2,
    ], [0, 51]],
    "a header of version 2": [
      { "a.npy": npy("'|u1'", [2, 1, 2], Uint8Array.of(0, 51, 255, 3), { version: 2 }) },
      [1, 1, 2],
      [0, 51],
    ],
    "an archive in the format of large ones": [
      { "a.npz": await zip64(u8([2, 1, 2 ** 19 + 9], (i) => i % 251)) },
      [1, 1, 2 ** 19 + 9],
      upTo(2 ** 19 + 9).map((i) => i % 251),
    ],
    "one bit": [{ "a.npy": npy("'|b1'", [2, 1, 2], Uint8Array.of(0, 1, 1, 0)) }, [1, 1, 2], [0, 255]],
  };
  for (const [what, [files, shape, first]] of Object.entries(cases)) {
    const data = await load(folder, files);
    assert.deepEqual([data.channels, data.height, data.width], shape, what);
    assert.ok(imagesOf(data).includes(`${first}`), `${what}: ${imagesOf(data)}`);
    assert.deepEqual([data.classes, "labels" in data.train], [0, false]);
  }
});

testInFolder(
  "loadDataset() keeps the parts of arrays: x_train, y_train, x_test and y_test",
  async (folder) => {
    const files = {
      "x_train.npy": u8([4, 1, 2], (i) => 60 * (i >> 1)),
      "Y_train.npy": npy("'<i8'", [4, 1], new Uint8Array(BigInt64Array.of(0n, 1n, 1n, 2n).buffer)),
      "x_test.npy": u8([3, 1, 2], (i) => 100 + (i >> 1)),
      "y_test.npy": f32([3], [2, 0, 4]),
      "notes.txt": new Uint8Array(1),
    };
    const { train, test, testNumbers, classes, digest } = await load(folder, files);
    assert.deepEqual(
      [...train.images as Uint8Array],
      [0, 0, 60, 60, 120, 120, 180, 180],
      "in the array's order",
    );
    assert.deepEqual([[...train.labels!], classes], [[0, 1, 1, 2], 5]);
    assert.deepEqual(sorted([...testNumbers!]), [0, 1, 2]);
    testNumbers!.forEach((n, i) => {
      assert.deepEqual([...rowsOf(test.images, [i], 2)], [100 + n, 100 + n]);
      assert.equal(test.labels![i], [2, 0, 4][n]);
    });
    const digestOf = async (files: Record<string, Uint8Array>) => (await load(folder, files)).digest;
    assert.notEqual(await digestOf({ ...files, "x_train.npy": u8([4, 1, 2], (i) => 61 * (i >> 1)) }), digest);
    const [x, y] = [f32([4, 1, 2], [0, 1, 1, 0, 0, 0, 1, 1]), u8([4], (i) => i % 2)];
    const digests = await Promise.all([
      { "x.npy": x, "y.npy": y },
      { "x.npy": x, "y.npy": u8([4], (i) => i >> 1) }, // another split
      { "x.npy": x, "x_test.npy": x },
      { "x.npy": x, "x_test.npy": f32([1, 1, 2], [0, 2]) }, // another white
    ].map((files) => digestOf(files as Record<string, Uint8Array>)));
    assert.equal(new Set(digests).size, 4);
  },
);

testInFolder(
  "loadDataset() scales arrays and changes their channels, which makes other data",
  async (folder) => {
    const path = join(folder, "images.npy");
    await Deno.writeFile(path, u8([40, 3, 4, 3], (i) => i * 7 % 256));
    const options: DatasetOptions[] = [{}, { resize: [2, 2] }, { resize: [2, 2], crop: "center" }, {
      channels: 1,
    }];
    const loaded = await Promise.all(options.map((how) => loadDataset(path, how)));
    assert.deepEqual(loaded.map(({ channels, height, width }) => [channels, height, width]), [
      [3, 3, 4],
      [3, 2, 2],
      [3, 2, 2],
      [1, 3, 4],
    ]);
    assert.equal(new Set(loaded.map(({ digest }) => digest)).size, 4);
  },
);

testInFolder("loadDataset() says what is wrong with an array, and what is expected", async (folder) => {
  const x = u8([4, 2, 2]);
  const labelled = (labels: Uint8Array) => ({ "x.npy": x, "y.npy": labels });
  const archive = Uint8Array.fromBase64(npz);
  const longer = zipSync({ "images.npy": x }); // the size of its content, in both headers, is one too few
  const [size] = [x.length - 1];
  for (const at of [22, longer.findLastIndex((_, i) => longer[i] === 0x50 && longer[i + 2] === 1) + 24]) {
    longer[at] = size;
  }
  const cases: Record<string, Record<string, Uint8Array>> = {
    "images.npy in DIR/a.npz: it holds |O (expected numbers, such as |u1, <f4 or <f8); convert": {
      "a.npz": Uint8Array.fromBase64(objects),
    },
    "DIR/a.npy: it is in Fortran order (expected C order); save numpy.ascontiguousarray()": {
      "a.npy": npy("'|u1'", [4, 2, 2], new Uint8Array(16), { order: "True" }),
    },
    "DIR/a.npy: it holds <U3 (expected numbers": { "a.npy": npy("'<U3'", [2, 2, 2], new Uint8Array(96)) },
    "DIR/a.npy: it holds records (expected": { "a.npy": npy("[('x', '|u1')]", [2, 2, 2], new Uint8Array(8)) },
    "DIR/a.npy: it is [4, 2, 2, 5] (expected images [N, H, W], [N, H, W, C], [N, C, H, W] with": {
      "a.npy": u8([4, 2, 2, 5]),
    },
    "DIR/a.npy: it is [4, 5] (expected": { "a.npy": u8([4, 5]) },
    "DIR/a.npy: it is [0, 2, 2] (expected": { "a.npy": u8([0, 2, 2]) },
    "DIR/a.npy: it is [4] (expected": { "a.npy": u8([4]) },
    "DIR/a.npy: it has 16 bytes less": { "a.npy": x.subarray(0, -16) },
    "DIR/a.npy: its header is damaged": { "a.npy": x.subarray(0, 30) },
    "DIR/a.npy: it is damaged or not a NumPy array (expected what numpy.save() writes)": { "a.npy": archive },
    "DIR/a.npz: it is damaged or not an archive of arrays (expected what numpy.savez() writes)": {
      "a.npz": x,
    },
    "DIR/a.npz: it is damaged or not an archive of arrays (expected what": {
      "a.npz": archive.subarray(0, -30),
    },
    "images.npy in DIR/a.npz: it is damaged; save or download it again": { "a.npz": archive.with(200, 77) },
    "images.npy in DIR/a.npz: it is damaged; save": { "a.npz": longer },
    "DIR/a.npy: value 5 is NaN (expected finite numbers)": {
      "a.npy": f32([2, 2, 2], [0, 0, 0, 0, 0, NaN, 0, 0]),
    },
    "DIR/a.npy: its values are -3 to 5 (expected none below 0, or all from -1 to 1)": {
      "a.npy": f32([2, 1, 2], [-3, 0, 5, 0]),
    },
    "Cannot split DIR/a.npy: it holds one image": { "a.npy": u8([1, 2, 2]) },
    "Cannot find images in DIR: it holds labels, more (expected an array named images, x_train": {
      "labels.npy": x,
      "more.npy": x,
    },
    "DIR/y.npy: it is [4, 3] (expected [4], a whole number for each image of DIR/x.npy)": labelled(
      u8([4, 3]),
    ),
    "DIR/y.npy: it is [5] (expected [4]": labelled(u8([5])),
    "DIR/y.npy: label 1 is 0.5 (expected whole numbers from 0 to 255)": labelled(f32([4], [0, 0.5, 1, 1])),
    "DIR/x_test.npy: its images are [1, 3, 3] (expected [1, 2, 2] as in DIR/x.npy)": {
      "x.npy": x,
      "x_test.npy": u8([4, 3, 3]),
    },
    "there are labels for DIR/x.npy only (expected labels for both)": {
      ...labelled(u8([4])),
      "x_test.npy": x,
    },
  };
  for (const [message, files] of Object.entries(cases)) {
    const expected = message === "DIR/a.npy: it has 16 bytes less"
      ? /bytes \(expected \d+ for \|u1 \[4, 2, 2\]\)/
      : message;
    await assert.rejects(load(folder, files), (error: Error) => {
      const shown = error.message.replaceAll(/\S*\/flow-[^/]*\/[^/ :]*/g, "DIR");
      assert.ok(typeof expected === "string" ? shown.includes(expected) : expected.test(shown), shown);
      assert.ok(!shown.includes("\n"), shown);
      return error.name === "DataError";
    });
  }
});

testInFolder(
  "loadDataset() refuses damaged archives in one line, or reads what was saved",
  async (folder) => {
    const path = join(folder, "a.npz");
    const random = randomOf(3);
    let refused = 0;
    for (let n = 0; n < 200; n++) {
      await Deno.writeFile(path, mutateBytes(Uint8Array.fromBase64(n % 2 ? npz : packed), random));
      try {
        assert.equal((await loadDataset(path)).train.count, 17);
      } catch (error) {
        assert.ok(error instanceof Error && error.name === "DataError", `${n}: ${(error as Error).stack}`);
        refused++;
      }
    }
    assert.ok(refused > 150, `${refused}`);
  },
);
