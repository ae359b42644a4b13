import assert from "node:assert/strict";
import { captionedGrid, rasterizer } from "../../../viz/mod.ts";

const images = [0, 0.2, 0.4, 0.6, 0.8, 1].map((value) => Float32Array.of(value, 1 - value));

Deno.test("captionedGrid() puts images row by row into the room beside its captions", async () => {
  const grid = captionedGrid([2, 3], [1, 1, 2], {
    scale: 40,
    captions: { columns: ["a", "b", "c"], rows: ["x", "y"] },
  });
  const picture = (await rasterizer())(grid.svg(images));
  assert.deepEqual([picture.width, picture.height], [grid.width, grid.height]);
  assert.deepEqual([grid.width, grid.height], [22 + 3 * 86 - 6, 20 + 2 * 46 - 6]);
  images.forEach((image, n) => {
    image.forEach((value, i) => {
      const x = 22 + 86 * (n % 3) + 40 * i + 20;
      const y = 20 + 46 * Math.floor(n / 3) + 20;
      assert.equal(picture.rgba[4 * (y * picture.width + x)], Math.round(255 * value));
    });
  });
});

Deno.test("captionedGrid() takes other captions in the room of the first", () => {
  const grid = captionedGrid([1, 1], [1, 1, 2], { captions: { title: "s = 0.00" } });
  assert.equal(grid.width, 120); // 84 pixels of the image, and room for words
  const svg = grid.svg([images[0]], { title: "s = 0.50" });
  assert.match(svg, />s = 0.50</);
  assert.doesNotMatch(svg, /s = 0.00/);
});

Deno.test("captionedGrid() says what does not fit", () => {
  const grid = captionedGrid([2, 2], [1, 1, 2]);
  assert.throws(() => grid.svg(images), {
    name: "RangeError",
    message: "Cannot draw images with captions: there are 6 images (expected 4, 2 rows of 2)",
  });
  assert.throws(() => grid.svg([1, 2, 3, 4].map(() => new Float32Array(3))), {
    name: "RangeError",
    message: "Cannot draw images with captions: images hold 3 values (expected 2, f32[1, 1, 1, 2])",
  });
  assert.throws(
    () => captionedGrid([0, 2], [1, 1, 2]),
    /^RangeError: Cannot draw images with captions: rows is 0/,
  );
});
