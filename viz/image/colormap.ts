// @ts-types="npm:@types/d3-color@3.1.3"
import { rgb } from "npm:d3-color@3.1.0";
// @ts-types="npm:@types/d3-scale-chromatic@3.1.0"
import { interpolateMagma, interpolateRdBu, interpolateViridis } from "npm:d3-scale-chromatic@3.1.0";
import { checkName } from "../check.ts";

/** 256 colours as R, G, B bytes, u8[256, 3]: entry i is the colour of index i. */
export type Palette = Uint8Array;

/** All names of colour maps. */
export const colormapNames = ["gray", "magma", "viridis", "rdbu"] as const;

/** Name of a colour map: `gray`, `magma` and `viridis` run from dark to light, `rdbu` diverges. */
export type ColormapName = typeof colormapNames[number];

/** CSS colours by position in [0, 1]. */
const colors: Record<ColormapName, (position: number) => string> = {
  gray(position) {
    const level = Math.round(255 * position);
    return `rgb(${level}, ${level}, ${level})`;
  },
  magma: interpolateMagma,
  viridis: interpolateViridis,
  rdbu: interpolateRdBu,
};

/** Default colour maps of images with one channel and of signed values. */
export const defaultMaps = { image: "magma", signed: "rdbu" } as const satisfies Record<string, ColormapName>;

/**
 * Makes the palette of a colour map.
 *
 * @example Black and white
 * ```ts
 * import { colormap } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const palette = colormap("gray");
 * assert.deepEqual([...palette.subarray(0, 3)], [0, 0, 0]);
 * assert.deepEqual([...palette.subarray(3 * 255)], [255, 255, 255]);
 * ```
 *
 * @param name colour map; `rdbu` is red below the middle, white there, blue above
 * @returns a new palette, u8[256, 3]
 * @throws {TypeError} if the name is unknown
 *
 * Source: matplotlib (magma, viridis) and ColorBrewer (RdBu), as in d3-scale-chromatic
 */
export function colormap(name: ColormapName): Palette {
  checkName("make colormap", "map", name, colormapNames);
  const palette = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const { r, g, b } = rgb(colors[name](i / 255));
    palette.set([r, g, b], 3 * i);
  }
  return palette;
}

/** Throws a {@linkcode RangeError} unless `palette` holds 256 colours. */
export function checkPalette(task: string, palette: Palette): void {
  if (palette.length === 256 * 3) return;
  throw new RangeError(`Cannot ${task}: palette holds ${palette.length} bytes (expected 768, u8[256, 3])`);
}
