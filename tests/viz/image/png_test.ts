import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { colormap, encodePng, grid, type Palette, type Picture } from "../../../viz/mod.ts";
import { scatter } from "./scatter.ts";

const sizes = [[1, 1], [1, 7], [13, 1], [16, 16], [61, 35]];

/** Colour types of PNG: byte 24 of a file is the bit depth, byte 25 the colour type. */
const GREYSCALE = 0;
const RGB = 2;

function assertDecodes(bytes: Uint8Array, { width, height, pixels }: Picture, palette: Palette): void {
  const decoded = PNG.sync.read(Buffer.from(bytes));
  assert.deepEqual([decoded.width, decoded.height], [width, height]);
  const rgba = [...pixels].flatMap((index) => [...palette.subarray(3 * index, 3 * index + 3), 255]);
  assert.deepEqual([...decoded.data], rgba);
}

Deno.test("encodePng() writes gray as 8-bit greyscale, pixel-exact", () => {
  for (const [width, height] of sizes) {
    const bytes = encodePng(scatter(width, height));
    assert.deepEqual([bytes[24], bytes[25]], [8, GREYSCALE]);
    assertDecodes(bytes, scatter(width, height), colormap("gray"));
  }
});

Deno.test("encodePng() writes other palettes as 8-bit RGB, pixel-exact", () => {
  for (const name of ["magma", "viridis", "rdbu"] as const) {
    for (const [width, height] of sizes) {
      const bytes = encodePng(scatter(width, height), colormap(name));
      assert.deepEqual([bytes[24], bytes[25]], [8, RGB]);
      assertDecodes(bytes, scatter(width, height), colormap(name));
    }
  }
});

Deno.test("encodePng() keeps a grey palette that is not the index itself", () => {
  const inverted = colormap("gray").map((value) => 255 - value);
  assertDecodes(encodePng(scatter(9, 5), inverted), scatter(9, 5), inverted);
});

Deno.test("encodePng() rejects pixels that do not fill the picture, and short palettes", () => {
  assert.throws(() => encodePng({ width: 2, height: 2, pixels: new Uint8Array(3) }), {
    name: "RangeError",
    message: "Cannot encode PNG: picture holds 3 pixels but is 2 wide and 2 high (expected 4)",
  });
  assert.throws(() => encodePng({ width: 0, height: 1, pixels: new Uint8Array(0) }), /width is 0/);
  assert.throws(() => encodePng(scatter(2, 2), new Uint8Array(3)), {
    name: "RangeError",
    message: "Cannot encode PNG: palette holds 3 bytes (expected 768, u8[256, 3])",
  });
});

Deno.test("encodePng() writes a grid of three channels as 8-bit RGB, pixel-exact", () => {
  const images = Float32Array.from({ length: 2 * 3 * 5 * 4 }, (_, i) => i % 256 / 255);
  const picture = grid(images, [2, 3, 5, 4], { scale: 2, gap: 3 });
  const { width, height, data } = PNG.sync.read(Buffer.from(encodePng(picture)));
  assert.deepEqual([width, height], [picture.width, picture.height]);
  assert.deepEqual([...data], [...picture.rgba]);
  assert.throws(
    () => encodePng({ ...picture, height: 1 }),
    /^RangeError: Cannot encode PNG: picture holds \d+ pixels but is/,
  );
});
