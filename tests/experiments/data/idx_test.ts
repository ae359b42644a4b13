import assert from "node:assert/strict";
import { parseImages, parseLabels } from "../../../experiments/data/idx.ts";
import { countingImages, countingLabels, idxFile } from "./tiny_idx.ts";

Deno.test("parseImages() gives lengths and pixels", () => {
  const { images: pixels, ...lengths } = parseImages(countingImages(2, 1, 3), "a");
  assert.deepEqual(lengths, { count: 2, channels: 1, height: 1, width: 3 });
  assert.deepEqual([...pixels], [0, 1, 2, 3, 4, 5]);
});

Deno.test("parseImages() gives channels in planes", () => {
  const { images: pixels, ...lengths } = parseImages(idxFile([2, 1, 2, 3]), "a");
  assert.deepEqual(lengths, { count: 2, channels: 3, height: 1, width: 2 });
  assert.deepEqual([...pixels], [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
  assert.deepEqual({ ...parseImages(idxFile([2, 1, 3, 1]), "a") }, {
    ...parseImages(countingImages(2, 1, 3), "a"),
  });
});

Deno.test("parseImages() refuses other numbers of channels", () => {
  for (const channels of [2, 4]) {
    assert.throws(() => parseImages(idxFile([1, 2, 2, channels]), "a"), {
      name: "DataError",
      message: `Cannot use a: its images have ${channels} channels (expected 1 or 3, as [N, H, W, C])`,
    });
  }
  assert.throws(() => parseImages(idxFile([1, 2, 2, 3]).subarray(0, 16), "a"), {
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
      () => parseImages(countingLabels(100), "a"),
      "it begins with 0x00000801 (expected 0x00000803 or 0x00000804, IDX images in bytes); put the images file there",
    ],
    [
      () => parseLabels(countingImages(1, 2, 2), "a"),
      "it begins with 0x00000803 (expected 0x00000801, IDX labels in bytes); put the labels file there",
    ],
    [() => parseImages(countingImages(0, 28, 28), "a"), "it holds no images, [0, 28, 28] (expected some)"],
    [() => parseImages(countingImages(5, 0, 28), "a"), "it holds no images, [5, 0, 28] (expected some)"],
    [() => parseLabels(countingLabels(0), "a"), "it holds no labels, [0] (expected some)"],
    [
      () => parseImages(idxFile([2, 3, 3], (i) => i, 17), "a"),
      "it has 33 bytes, too few (expected 34 for images [2, 3, 3]); download it again",
    ],
    [
      () => parseImages(idxFile([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], (i) => i, 4), "a"),
      `it has 20 bytes, too few (expected ${(2 ** 32 - 1) ** 3} for images ` +
      "[4294967295, 4294967295, 4294967295]); download it again",
    ],
    [
      () => parseLabels(idxFile([2], (i) => i, 3), "a"),
      "it has too many bytes (expected 10 for labels [2]); download it again",
    ],
  ];
  for (const [parse, message] of cases) {
    assert.throws(parse, { name: "DataError", message: `Cannot read a: ${message}` });
  }
});
