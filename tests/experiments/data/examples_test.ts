import assert from "node:assert/strict";
import { join } from "node:path";
import { readExamples, writeExamples } from "../../../experiments/data/example_file.ts";
import { examplesOf } from "../../../experiments/data/examples_of.ts";
import type { Dataset } from "../../../experiments/data/labelled_images.ts";
import { encodeSafetensors } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";

const labels = Uint8Array.of(2, 0, 0, 2, 1, 2);
const test = { images: Uint8Array.from({ length: 12 }, (_, i) => 20 * i), labels, count: 6 };
const data: Dataset = {
  ...{ name: "made-up", train: test, test, channels: 1, height: 1, width: 2, classes: 3 },
  ...{ classNames: ["nought", "one", "two"], digest: "", source: "" },
};

Deno.test("examplesOf() takes the first test images of the classes in turn", () => {
  const { shape, image, labels, classNames } = examplesOf(data, 5);
  assert.deepEqual(shape, [5, 1, 1, 2]);
  assert.deepEqual(labels, [0, 1, 2, 0, 2]);
  assert.deepEqual(
    image.filter((_, i) => i % 2 === 0).map((x) => Math.round(255 * x / 40)),
    Float32Array.of(1, 4, 0, 2, 3),
  );
  assert.deepEqual(classNames, data.classNames);
});

Deno.test("examplesOf() takes the first test images where there are no labels, and no more than there are", () => {
  const { images, count } = test;
  const { shape, image, ...rest } = examplesOf({ ...data, test: { images, count } }, 24);
  assert.deepEqual([shape, rest.labels], [[6, 1, 1, 2], undefined]);
  assert.deepEqual(image, Float32Array.from(images, (byte) => byte / 255));
});

testInFolder("writeExamples() and readExamples() keep test images", async (run) => {
  assert.equal(await readExamples(run), undefined);
  for (const examples of [examplesOf(data, 5), examplesOf({ ...data, test: { ...test, count: 6 } }, 6)]) {
    await writeExamples(run, examples);
    assert.deepEqual(await readExamples(run), examples);
  }
});

const image = { shape: [1, 1, 1, 2], data: Float32Array.of(0, 1) };
const damages = {
  "no images": [{ pixels: image }, /it holds no image f32\[N, C, H, W\]/],
  "images without channels": [{ image: { ...image, shape: [1, 2, 1] } }, /it holds no image/],
  "numbers that are no pixels": [{ image: { ...image, data: Float32Array.of(0, NaN) } }, /other than pixels/],
  "labels of other images": [
    { image, labels: { shape: [2], data: Float32Array.of(0, 1) } },
    /labels are not 1/,
  ],
} as const;
for (const [name, [tensors, message]] of Object.entries(damages)) {
  testInFolder(`readExamples() refuses ${name} in one line that says what to do`, async (run) => {
    const path = join(run, "examples.safetensors");
    await Deno.writeFile(path, encodeSafetensors(new Map(Object.entries(tensors))));
    await assert.rejects(readExamples(run), (error: Error) => {
      assert.match(error.message, message);
      assert.match(
        error.message,
        /^Cannot read .*; delete the file, and the report goes without test images$/,
      );
      return error.name === "RunError";
    });
  });
}
