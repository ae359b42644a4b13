import assert from "node:assert/strict";
import { join } from "node:path";
import type { Dataset } from "../../../experiments/data/dataset.ts";
import { examplesOf, readExamples, writeExamples } from "../../../experiments/data/example_file.ts";
import { encodeSafetensors } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const labels = Uint8Array.of(2, 0, 0, 2, 1, 2);
const test = { images: Uint8Array.from({ length: 12 }, (_, i) => 20 * i), labels, count: 6 };
const data: Dataset = {
  name: "made-up",
  train: test,
  test,
  channels: 1,
  height: 1,
  width: 2,
  classes: 3,
  digest: "",
  source: "",
};

Deno.test("examplesOf() rotates through the classes, or takes the first test images", () => {
  const { shape, image, labels } = examplesOf(data, 5);
  assert.deepEqual([shape, labels], [[5, 1, 1, 2], [0, 1, 2, 0, 2]]);
  const places = image.filter((_, i) => i % 2 === 0).map((x) => Math.round(255 * x / 40));
  assert.deepEqual([...places], [1, 4, 0, 2, 3]);
  const { images, count } = test;
  const unlabelled = examplesOf({ ...data, test: { images, count } }, 24);
  assert.deepEqual([unlabelled.shape, unlabelled.labels], [[6, 1, 1, 2], undefined], "at most all images");
  assertSameNumbers(unlabelled.image, Float32Array.from(images, (byte) => byte / 255));
});

testInFolder("readExamples() reads what writeExamples() wrote", async (run) => {
  assert.equal(await readExamples(run), undefined);
  for (const examples of [examplesOf(data, 5), examplesOf(data, 6)]) {
    await writeExamples(run, examples);
    assertSameNumbers(await readExamples(run), examples);
  }
});

testInFolder("readExamples() refuses other files in one line with advice", async (run) => {
  const image = { shape: [1, 1, 1, 2], data: Float32Array.of(0, 1) };
  const cases = [
    [
      { pixels: image },
      /^Cannot read .*: image is missing \(expected f32\[N, C, H, W\]\); delete the file to write the report without test images$/,
    ],
    [{ image: { ...image, shape: [1, 2, 1] } }, /image is f32\[1,2,1\]/],
    [{ image: { ...image, data: Float32Array.of(0, NaN) } }, /NaN/],
    [{ image: { ...image, data: Float32Array.of(0, 1.5) } }, /outside \[0, 1\]/],
    [
      { image, labels: { shape: [2], data: Float32Array.of(0, 1) } },
      /labels is f32\[2\] \(expected f32\[1\]\)/,
    ],
  ] as const;
  for (const [tensors, message] of cases) {
    const path = join(run, "examples.safetensors");
    await Deno.writeFile(path, encodeSafetensors(new Map(Object.entries(tensors))));
    await assert.rejects(readExamples(run), { name: "RunError", message });
  }
});
