import assert from "node:assert/strict";
import { join } from "node:path";
import { describeData, type LabelledImages } from "../../../experiments/data/dataset.ts";
import { rowsOf } from "../../../experiments/data/images.ts";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { sorted, upTo } from "../../refusing.ts";
import vectors from "../../vectors/images.json" with { type: "json" };
import { pngFile, spot, spotsOf, writeFiles } from "./tiny_png.ts";

/** A grey 1x2 image with equal values. */
const dot = (value: number) => pngFile({ width: 2, height: 1 }, () => value);
const firsts = ({ images, count }: LabelledImages) =>
  Array.from({ length: count }, (_, n) => images[n * images.length / count]);

testInFolder("loadDataset() reads folders of PNG images as classes by name", async (folder) => {
  await writeFiles(folder, { "notes.txt": new Uint8Array(3), "owl/.DS_Store": new Uint8Array(3) });
  for (let n = 0; n < 20; n++) {
    await writeFiles(folder, { [`owl/${n}.PNG`]: dot(200 + n), [`cat/${n}.png`]: dot(n) });
  }
  const seen: number[][] = [];
  const { train, test, digest, ...rest } = await loadDataset(folder, {
    onRead: (...counts) => seen.push(counts),
  });
  assert.deepEqual(seen, [[16, 40], [32, 40], [40, 40]], "reports its progress");
  assert.deepEqual(rest, {
    name: folder.split("/").at(-1),
    channels: 1,
    height: 1,
    width: 2,
    classes: 2,
    classNames: ["cat", "owl"],
    source: folder,
  });
  assert.deepEqual([train.count, test.count], [36, 4]);
  for (const part of [train, test]) {
    assert.deepEqual(firsts(part).map((value) => value < 200 ? 0 : 1), [...part.labels!]);
  }
  const all = upTo(40).map((i) => i < 20 ? i : 180 + i);
  assert.deepEqual(sorted([...firsts(train), ...firsts(test)]), all, "every image once");
  assert.deepEqual(await loadDataset(folder), { train, test, digest, ...rest });
});

testInFolder(
  "loadDataset() computes a digest of bytes and names that does not depend on the folder's place",
  async (root) => {
    const files = spotsOf(["a", "b"], 2);
    const { "b/1.png": last, ...others } = files;
    const digestOf = async (name: string, files: Record<string, Uint8Array>) => {
      await writeFiles(join(root, name), files);
      return (await loadDataset(join(root, name))).digest;
    };
    const digest = await digestOf("one", files);
    assert.match(digest, /^[0-9a-f]{64}$/);
    assert.equal(await digestOf("two", files), digest);
    assert.notEqual(await digestOf("three", { ...files, "a/0.png": spot(9) }), digest);
    assert.notEqual(await digestOf("four", { ...others, "b/2.png": last }), digest);
  },
);

testInFolder(
  "loadDataset() needs no classes, and converts grey images if some are in colour",
  async (folder) => {
    const colour = pngFile({ width: 2, height: 1, channels: 3 }, (i) => 10 + i);
    await writeFiles(folder, { "1.png": dot(7), "2.png": colour, "3.png": dot(9) });
    const { train, test, channels, classes, ...rest } = await loadDataset(folder);
    assert.deepEqual([channels, classes, "classNames" in rest, "labels" in train], [3, 0, false, false]);
    const images = [...train.images, ...test.images];
    const each = [0, 1, 2].map((n) => `${images.slice(6 * n, 6 * n + 6)}`).sort();
    assert.deepEqual(each, ["10,13,11,14,12,15", "7,7,7,7,7,7", "9,9,9,9,9,9"]);
  },
);

testInFolder("loadDataset() keeps the parts train/ and test/", async (folder) => {
  await writeFiles(folder, {
    "train/a/1.png": dot(1),
    "train/b/2.png": dot(2),
    "train/b/3.png": dot(3),
    "test/b/4.png": dot(4),
  });
  const { train, test, classNames } = await loadDataset(folder);
  assert.deepEqual([firsts(train).sort(), firsts(test), [...test.labels!]], [[1, 2, 3], [4], [1]]);
  assert.deepEqual(firsts(train).map((value) => value === 1 ? 0 : 1), [...train.labels!]);
  assert.deepEqual(classNames, ["a", "b"]);
});

testInFolder(
  "loadDataset() names all damaged images, or leaves them out as if they were not there",
  async (root) => {
    const [folder, mended] = [join(root, "birds"), join(root, "mended")];
    const whole = spotsOf(["a", "b"], 20);
    const broken = upTo(12).map((n) => [`a/${20 + n}.png`, spot(n).subarray(0, 60)] as const);
    await writeFiles(folder, { ...whole, ...Object.fromEntries(broken) });
    await writeFiles(mended, whole);
    await assert.rejects(loadDataset(folder), (error: Error) => {
      const [first, ...others] = broken.slice(0, 10).map(([path]) => path);
      assert.ok(
        error.message.startsWith(
          `Cannot use 12 of 52 images in ${folder}: ${first}, ${others.join(", ")} and 2 more; `,
        ),
      );
      assert.match(
        error.message,
        /; Cannot read \S+a\/20\.png: the file is damaged .*, or pass --skip-damaged$/,
      );
      return error.name === "DataError";
    });
    const left = await loadDataset(folder, { skipDamaged: true });
    const { digest, ...same } = await loadDataset(mended, { skipDamaged: true });
    assert.deepEqual(left, { ...same, name: "birds", source: folder, digest: left.digest, damaged: 12 });
    assert.equal(digest, (await loadDataset(mended)).digest, "nothing is damaged there");
    assert.notEqual(left.digest, digest);
    assert.match(describeData(left), /2 classes: a, b; 12 damaged images left out$/);

    await writeFiles(folder, { "test.txt": new TextEncoder().encode("a/0.png\na/20.png\n") });
    const listed = await loadDataset(folder, { skipDamaged: true, testList: join(folder, "test.txt") });
    assert.deepEqual([listed.train.count, listed.test.count], [39, 1]);
    for (const [path, bytes] of Object.entries(whole)) {
      if (path.startsWith("b/")) await writeFiles(folder, { [path]: bytes.subarray(0, 60) });
    }
    await assert.rejects(loadDataset(folder, { skipDamaged: true }), {
      name: "DataError",
      message:
        `Cannot use ${folder}/b: all its images are damaged (expected at least one that is not); replace them`,
    });
  },
);

testInFolder("loadDataset() refuses images that do not belong together, in one line", async (root) => {
  const [a, other, large] = [dot(1), pngFile({ width: 3, height: 4 }), new Uint8Array(2 ** 25 + 1)];
  const manyClasses = Object.fromEntries(Array.from({ length: 257 }, (_, c) => [`${c}/1.png`, a]));
  const cases: Record<string, Record<string, Uint8Array>> = {
    "Cannot find images in DIR (expected PNG or JPEG files: images, a folder of images for": {
      "notes.txt": a,
    },
    "Cannot use DIR/b: it holds no PNG or JPEG files (expected the images of a": {
      "a/1.png": a,
      "b/notes.txt": a,
    },
    "Cannot use DIR/a: it holds the folder more (expected": { "a/1.png": a, "a/more/2.png": a },
    "Cannot use DIR: it holds the image 2.png next to the folder a (expected": { "a/1.png": a, "2.png": a },
    "Cannot split DIR: it holds 1 image (expected at least two of a class": { "1.png": a },
    "Cannot use DIR/a/2.WebP: it is neither a PNG nor a JPEG file (expected": { "a/1.png": a, "a/2.WebP": a },
    "tell parts from classes in DIR: it holds train/, val/ (expected": { "train/1.png": a, "val/2.png": a },
    "Cannot use DIR/test: it holds images without classes": { "train/a/1.png": a, "test/2.png": a },
    "Cannot use DIR/test: it holds the folder b": { "train/a/1.png": a, "test/b/2.png": a },
    "Cannot use DIR: it holds 257 folders (expected one for each class, at most 256)": manyClasses,
    "Cannot use DIR/2.png: it is 4x3 (expected 1x2 as DIR/1.png); pass --resize H,W": {
      "1.png": a,
      "2.png": other,
    },
    "Cannot read DIR/a/2.png: the file is damaged": { "a/1.png": a, "a/2.png": a.subarray(0, 50) },
    "DIR/a/2.png: it has 33554433 bytes (expected at most 33554432)": { "a/1.png": a, "a/2.png": large },
  };
  for (const [n, [message, files]] of Object.entries(cases).entries()) {
    const folder = join(root, `${n}`);
    await writeFiles(folder, files);
    await assert.rejects(loadDataset(folder), (error: Error) => {
      const shown = error.message.replaceAll(folder, "DIR");
      assert.ok(shown.includes(message) && !shown.includes("\n"), shown);
      return error.name === "DataError";
    });
  }
});

/** A JPEG file of 37x21 pixels in colour. */
const photo = Uint8Array.fromBase64(vectors.jpegs.colour.file);

testInFolder("loadDataset() scales PNG and JPEG files of any size to one size", async (folder) => {
  const grey = pngFile({ width: 30, height: 50 }, () => 40);
  await writeFiles(folder, { "a/1.jpg": photo, "a/2.JPEG": photo, "b/3.png": grey, "b/4.png": grey });
  const { train, test, ...data } = await loadDataset(folder, { resize: [6, 5], crop: "center" });
  assert.deepEqual([train.count, test.count, data.classNames], [2, 2, ["a", "b"]]);
  assert.deepEqual([data.channels, data.height, data.width], [3, 6, 5]);
  assert.equal(test.images.length, 2 * 3 * 6 * 5);
  const of = (label: number) => rowsOf(test.images, [[...test.labels!].indexOf(label)], 90);
  assert.deepEqual(of(1), new Uint8Array(90).fill(40));
  assert.ok(new Set(of(0)).size > 20, "a photo has many values");
  assert.equal((await loadDataset(folder, { resize: [6, 5], channels: 1 })).channels, 1);
  await Deno.writeFile(join(folder, "a/2.JPEG"), photo.subarray(0, 300));
  await assert.rejects(loadDataset(folder, { resize: [6, 5] }), {
    name: "DataError",
    message: `Cannot read ${folder}/a/2.JPEG: the file is damaged: Premature end of JPEG file ` +
      "(expected a whole JPEG image); replace or remove it, or pass --skip-damaged",
  });
});

testInFolder("loadDataset() takes the test images of a list, and says which line is wrong", async (root) => {
  const [folder, list] = [join(root, "data"), join(root, "test.txt")];
  await writeFiles(folder, Object.fromEntries(upTo(9).map((n) => [`${n < 5 ? "a" : "b"}/${n}.png`, dot(n)])));
  const load = async (text: string) => {
    await Deno.writeTextFile(list, text);
    return await loadDataset(folder, { testList: list });
  };
  const { train, test, digest } = await load("a/3.png\r\n\n./b/7.png\n");
  assert.deepEqual([firsts(train).sort(), firsts(test).sort()], [[0, 1, 2, 4, 5, 6, 8], [3, 7]]);
  assert.deepEqual([...test.labels!], firsts(test).map((n) => n < 5 ? 0 : 1));
  assert.equal((await load("b/7.png\na/3.png")).digest, digest);
  assert.notEqual((await load("b/7.png")).digest, digest);
  const all = upTo(9).map((n) => `${n < 5 ? "a" : "b"}/${n}.png`).join("\n");
  for (
    const [text, message] of [
      [
        "a/3.png\na/7.png",
        `Cannot use ${list}: line 2, "a/7.png", is not an image in ${folder} (expected paths such as a/0`,
      ],
      ["\n", `Cannot use ${list}: it lists no image of ${folder} (expected one path per line)`],
      [
        all,
        `Cannot use --test-list: it lists all images of ${folder} (expected it to leave some for training)`,
      ],
    ]
  ) await assert.rejects(load(text), (error: Error) => error.message.startsWith(message));
  await assert.rejects(loadDataset("mnist", { testList: list }), {
    name: "DataError",
    message: "Cannot use --test-list with mnist: it is not a folder of PNG or JPEG images (leave it out)",
  });
});

testNeeding(
  { read: true, write: true, run: true },
  "loadDataset() follows links, and refuses pipes instead of blocking",
  async () => {
    await withFolder(async (root) => {
      await writeFiles(root, { "there/1.png": dot(1), "there/2.png": dot(2), "3.png": dot(3) });
      const data = join(root, "data");
      await Deno.mkdir(data);
      await Deno.symlink(join(root, "there"), join(data, "a"));
      assert.equal((await loadDataset(data)).train.count, 1);
      await new Deno.Command("mkfifo", { args: [join(root, "there/4.png")] }).output();
      await assert.rejects(loadDataset(data), {
        name: "DataError",
        message: `Cannot read ${data}/a/4.png: it is a pipe, a device or a folder (expected a file)`,
      });
      await Deno.remove(join(root, "there/4.png"));
      await Deno.symlink(join(root, "nowhere"), join(root, "there/5.png"));
      await assert.rejects(loadDataset(data), {
        name: "DataError",
        message: /Cannot read .*5\.png: .*os error 2/,
      });
    });
  },
);

testInFolder(
  "loadDataset() accepts 200,000 images of a class, and checks their size before allocating",
  async (folder) => {
    await writeFiles(folder, { "owl/0.png": pngFile({ width: 200, height: 200 }) });
    const [{ readDir }, count] = [Deno, 200_000];
    using _ = { [Symbol.dispose]: () => void Object.assign(Deno, { readDir }) };
    Object.assign(Deno, {
      async *readDir(path: string) {
        for await (const entry of readDir(path)) {
          for (let n = 0; n < (entry.isFile ? count : 1); n++) yield entry;
        }
      },
    });
    await assert.rejects(loadDataset(folder), {
      name: "DataError",
      message: `Cannot load 200000 images as large as ${folder}/owl/0.png: they are 8000000000 bytes ` +
        "(expected at most 4294967296); use fewer images, or a smaller --resize H,W",
    });
  },
);
