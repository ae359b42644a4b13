import assert from "node:assert/strict";
import {
  captionedGrid,
  type Captions,
  colormap,
  type ColormapName,
  type GridOptions,
  imageGrid,
  type ImagesShape,
  rasterizer,
} from "../../../viz/mod.ts";
import { Buffer } from "node:buffer";
import { PNG } from "npm:pngjs@7.0.0";
import { testNeeding } from "../../permissions.ts";
import { goldenFolder, goldenFrames } from "./golden.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

Deno.test("imageGrid() tiles row by row, as reading each pixel back from its image shows", () => {
  const cases = [[1, 1, 1, 1, 1, 0], [5, 3, 2, 2, 3, 2], [7, 2, 5, 4, 1, 1], [2, 3, 3, 3, 2, 0]];
  for (const [N, H, W, columns, scale, gap] of cases) {
    const images = Float32Array.from({ length: N * H * W }, (_, i) => (1 + i) / 255);
    const picture = imageGrid(images, [N, H, W], { columns, scale, gap });
    assert.equal(picture.width, columns * (W * scale + gap) - gap);
    assert.equal(picture.height, Math.ceil(N / columns) * (H * scale + gap) - gap);
    picture.pixels.forEach((index, i) => {
      const [y, x] = [Math.floor(i / picture.width), i % picture.width];
      const [row, column] = [Math.floor(y / (H * scale + gap)), Math.floor(x / (W * scale + gap))];
      const h = Math.floor((y % (H * scale + gap)) / scale);
      const w = Math.floor((x % (W * scale + gap)) / scale);
      const n = row * columns + column;
      assert.equal(index, n < N && h < H && w < W ? 1 + (n * H + h) * W + w : 0);
    });
  }
});

Deno.test("imageGrid() takes ceil(sqrt(N)) columns by default", () => {
  for (const [N, columns, rows] of [[1, 1, 1], [2, 2, 1], [4, 2, 2], [5, 3, 2], [10, 4, 3]]) {
    const { width, height } = imageGrid(new Float32Array(N), [N, 1, 1]);
    assert.deepEqual([width, height], [columns, rows]);
  }
});

Deno.test("imageGrid() maps the range to 0 to 255, rounds, and clamps values outside", () => {
  const values = Float32Array.of(-Infinity, -2, -1, 0, 0.5, 1, 3, Infinity);
  const levels = [...imageGrid(values, [1, 1, 8], { range: [-1, 1] }).pixels];
  assert.deepEqual(levels, [0, 0, 0, 128, 191, 255, 255, 255]);
  assert.deepEqual([...imageGrid(values, [1, 1, 8]).pixels], [0, 0, 0, 0, 128, 255, 255, 255]);
});

Deno.test("imageGrid() rejects invalid shapes, values and options", () => {
  const four = new Float32Array(4), two = new Float32Array(2);
  const channels = (C: number) =>
    `images have ${C} channels (expected 1 for grey, or 3 for red, green and blue)`;
  const tooLarge = (size: string) =>
    `RangeError: Cannot draw grid of ${size} pixels (expected at most 67108864 pixels): choose a smaller scale or gap, or fewer images`;
  const range = "] (expected two finite numbers, the lower first)";
  const cases: [Float32Array, ImagesShape, message: string, GridOptions?][] = [
    [new Float32Array(24).with(15, NaN), [3, 2, 4], "image 1 is NaN at row 1, column 3 (expected numbers)"],
    [new Float32Array(12).with(9, NaN), [1, 3, 2, 2], "image 0 is NaN at channel 2, row 0, column 1 ("],
    [four, [1, 2, 3], "images hold 4 values (expected 6, f32[1, 2, 3])"],
    [new Float32Array(0), [0, 2, 2], "N is 0 (expected an integer of at least 1)"],
    [new Float32Array(0), [1, 0, 2, 2], channels(0)],
    [new Float32Array(8), [1, 2, 2, 2], channels(2)],
    [new Float32Array(16), [1, 4, 2, 2], channels(4)],
    [four, [1, 2, 2], "scale is 1.5", { scale: 1.5 }],
    [four, [1, 2, 2], "columns is 0", { columns: 0 }],
    [four, [1, 2, 2], "gap is -1 (expected an integer of at least 0)", { gap: -1 }],
    [four, [1, 2, 2], range, { range: [1, 1] }],
    [four, [1, 2, 2], range, { range: [1, 0] }],
    [four, [1, 2, 2], range, { range: [0, NaN] }],
    [four, [1, 2, 2], range, { range: [0, Infinity] }],
    [two, [2, 1, 1], tooLarge("100000 x 50000"), { scale: 50_000 }],
    [two, [2, 1, 1], tooLarge("1000000000 x 1"), { columns: 1e9 }],
  ];
  for (const [images, shape, message, options] of cases) {
    const isRefusal = (error: RangeError) => `${error}`.includes(message);
    assert.throws(() => imageGrid(images, shape, options), isRefusal, message);
  }
});

Deno.test("imageGrid() draws three channels as red, green and blue, with the same layout", () => {
  const [N, H, W] = [3, 2, 4];
  const images = Float32Array.from({ length: N * 3 * H * W }, (_, i) => i / (N * 3 * H * W));
  const options = { columns: 2, scale: 2, gap: 1 };
  const { width, height, rgba } = imageGrid(images, [N, 3, H, W], options);
  for (const c of [0, 1, 2]) {
    const channel = images.filter((_, i) => Math.floor(i / (H * W)) % 3 === c);
    const grey = imageGrid(channel, [N, H, W], options);
    assert.deepEqual([width, height], [grey.width, grey.height]);
    assertSameNumbers(rgba.filter((_, i) => i % 4 === c), grey.pixels);
  }
  assert.ok(rgba.every((value, i) => i % 4 < 3 || value === 255), "opaque");
  const grey = images.subarray(0, 12);
  assert.deepEqual(imageGrid(grey, [2, 1, 2, 3]), imageGrid(grey, [2, 2, 3]), "one channel needs no axis");
});

const images = [0, 0.2, 0.4, 0.6, 0.8, 1].map((value) => Float32Array.of(value, 1 - value));

Deno.test("captionedGrid() puts images row by row next to its captions", async () => {
  const captions = { columns: ["a", "b", "c"], rows: ["x", "y"] };
  const picture = (await rasterizer())(captionedGrid(images, [2, 3], [1, 1, 2], { scale: 40, captions }));
  assert.deepEqual([picture.width, picture.height], [22 + 3 * 86 - 6, 20 + 2 * 46 - 6]);
  images.forEach((image, n) => {
    image.forEach((value, i) => {
      const x = 22 + 86 * (n % 3) + 40 * i + 20;
      const y = 20 + 46 * Math.floor(n / 3) + 20;
      assert.equal(picture.rgba[4 * (y * picture.width + x)], Math.round(255 * value));
    });
  });
});

Deno.test("captionedGrid() leaves space for long captions, and rejects mismatched images", () => {
  const one = (captions: Captions) => captionedGrid(images.slice(0, 1), [1, 1], [1, 1, 2], { captions });
  assert.match(one({ title: "s = 0.50" }), /width="120" .*>s = 0.50</); // 84 pixels of the image, and space for text
  const note = "Evaluations of the network, from the same noise";
  assert.ok(one({ note }).includes(`>${note}<`), "narrow images leave space for a long note");

  const four = (images: Float32Array[]) => captionedGrid(images, [2, 2], [1, 1, 2]);
  const wide = Array(4).fill(new Float32Array(3));
  const cases: [() => unknown, problem: string][] = [
    [() => four(images), "there are 6 images (expected 4: 2 rows of 2)"],
    [() => four(wide), "images hold 3 values (expected 2, f32[1, 1, 1, 2])"],
    [() => captionedGrid([], [0, 2], [1, 1, 2]), "rows is 0 (expected an integer of at least 1)"],
  ];
  for (const [draw, problem] of cases) {
    assert.throws(draw, { name: "RangeError", message: `Cannot draw images with captions: ${problem}` });
  }
});

// @ts-types="npm:@types/pngjs@6.0.5"

/** Largest difference of a colour: machines round anti-aliased edges differently. */
const tolerance = 6;

testNeeding({ read: true }, "flowFrames() and filmstrip() draw the golden images", async () => {
  const names = (await Array.fromAsync(Deno.readDir(goldenFolder), ({ name }) => name)).sort();
  const frames = await goldenFrames();
  assert.deepEqual(names, [...frames.keys()].map((name) => `${name}.png`).sort());
  for (const [name, { width, height, rgba }] of frames) {
    const golden = PNG.sync.read(Buffer.from(await Deno.readFile(new URL(`${name}.png`, goldenFolder))));
    assert.deepEqual([golden.width, golden.height], [width, height], name);
    const off = rgba.findIndex((value, i) => Math.abs(value - golden.data[i]) > tolerance);
    const pixel = off >> 2;
    assert.equal(
      off,
      -1,
      `${name} differs at column ${pixel % width}, row ${
        Math.floor(pixel / width)
      }; to accept the new picture: ` +
        "deno run --allow-write=tests/golden tests/viz/image/golden.ts",
    );
  }
});

Deno.test("colormap() has the published colours, in a new palette of 256", () => {
  const published: Record<ColormapName, [i: number, rgb: number[]][]> = {
    gray: [[0, [0, 0, 0]], [1, [1, 1, 1]], [128, [128, 128, 128]], [255, [255, 255, 255]]],
    magma: [[0, [0, 0, 4]], [128, [183, 55, 121]], [255, [252, 253, 191]]],
    viridis: [[0, [68, 1, 84]], [128, [33, 145, 140]], [255, [253, 231, 37]]],
    rdbu: [[0, [103, 0, 31]], [127, [242, 239, 237]], [255, [5, 48, 97]]],
  };
  for (const [name, colours] of Object.entries(published) as [ColormapName, [number, number[]][]][]) {
    const palette = colormap(name);
    assert.equal(palette.length, 256 * 3);
    assert.notEqual(palette, colormap(name));
    for (const [i, rgb] of colours) {
      assert.deepEqual([...palette.subarray(3 * i, 3 * i + 3)], rgb, `${name} ${i}`);
    }
  }
});

Deno.test("colormap() suggests the nearest name for an unknown one", () => {
  assert.throws(() => colormap("virids" as ColormapName), {
    name: "TypeError",
    message: 'Cannot make colormap: no map is named "virids", did you mean "viridis"? ' +
      "(expected one of gray, magma, viridis, rdbu)",
  });
  assert.throws(() => colormap("toString" as ColormapName), TypeError);
});
