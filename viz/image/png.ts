import { encode } from "npm:fast-png@8.0.0";
import { checkPalette, colormap, type Palette } from "./colormap.ts";
import { type ImageFile, imageFile } from "./notebook.ts";
import { checkPicture, type Picture, type Raster } from "./picture.ts";

/**
 * Encodes a picture as PNG with 8 bits per channel: greyscale with the `gray` palette, RGB with another palette or in
 * full colour, RGBA if it is not opaque.
 *
 * @example
 * ```ts
 * import { colormap, encodePng, imageGrid } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const bytes = encodePng(imageGrid(Float32Array.of(0, 0.5, 1), [3, 1, 1]), colormap("viridis"));
 * assert.equal(new TextDecoder().decode(bytes.subarray(1, 4)), "PNG");
 * ```
 *
 * @param palette colours of the indices, u8[256, 3], default `gray`; ignored for full colour
 * @returns bytes of a `.png` file, which a notebook shows
 * @throws {RangeError} if the pixels do not fill the picture or the palette does not have 256 colours
 */
export function encodePng(picture: Picture | Raster, palette: Palette = colormap("gray")): ImageFile {
  checkPicture("encode PNG", picture);
  if ("rgba" in picture) return encodeRasterPng(picture);
  checkPalette("encode PNG", palette);
  const { width, height, pixels } = picture;
  if (palette.every((value, i) => value === Math.floor(i / 3))) {
    return imageFile(encode({ width, height, data: pixels, channels: 1 }), "image/png");
  }
  const data = new Uint8Array(3 * pixels.length);
  for (let i = 0; i < pixels.length; i++) {
    for (let c = 0; c < 3; c++) data[3 * i + c] = palette[3 * pixels[i] + c];
  }
  return imageFile(encode({ width, height, data, channels: 3 }), "image/png");
}

/**
 * Encodes a picture in full colour as 8-bit PNG: RGBA, RGB if it is opaque, or grey if it is also colourless.
 *
 * @returns bytes of a `.png` file, which a notebook shows
 */
export function encodeRasterPng({ width, height, rgba }: Raster): ImageFile {
  const channels = channelsOf(rgba);
  return imageFile(encode({ width, height, channels, data: firstChannels(rgba, channels) }), "image/png");
}

/** The fewest channels that hold an RGBA picture: one if it is grey, three if it is opaque, else four. */
function channelsOf(rgba: Uint8Array): 1 | 3 | 4 {
  if (!isOpaque(rgba)) return 4;
  return isGrey(rgba) ? 1 : 3;
}

function isOpaque(rgba: Uint8Array): boolean {
  for (let i = 3; i < rgba.length; i += 4) {
    if (rgba[i] !== 255) return false;
  }
  return true;
}

function isGrey(rgba: Uint8Array): boolean {
  for (let i = 0; i < rgba.length; i += 4) {
    if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) return false;
  }
  return true;
}

/** The first channels of each pixel. */
function firstChannels(rgba: Uint8Array, count: number): Uint8Array {
  const output = new Uint8Array(rgba.length / 4 * count);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += count) {
    for (let c = 0; c < count; c++) output[to + c] = rgba[from + c];
  }
  return output;
}
