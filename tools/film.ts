/// <reference lib="dom" />
/** Records frames of a page in Chromium, and writes them as a GIF. */
import { decode } from "npm:fast-png@8.0.0";
import untyped from "npm:gifenc@1.0.3";
import type { Page } from "../tests/browser.ts";
import { Indexer } from "../viz/flow/flow_gif.ts";
import { encodeGif, type Raster } from "../viz/mod.ts";

/** The function of gifenc in use; the package has no types. */
const { quantize } = untyped as { quantize(rgba: Uint8Array, colors: number): number[][] };

/** A rectangle of a page, in pixels. */
export type Clip = Readonly<Record<"x" | "y" | "width" | "height", number>>;

/** A screenshot of a part of the page. */
export async function frameOf(page: Page, clip: Clip): Promise<Raster> {
  const { width, height, data } = decode(await page.screenshot({ clip }));
  const rgba = new Uint8Array(4 * width * height).fill(255);
  const channels = data.length / (width * height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = data[channels * i + c];
  }
  return { width, height, rgba };
}

/**
 * Writes frames as a GIF.
 * @param how `delay` is the time per frame and `hold` that of the last one, in milliseconds; `tolerance` is the largest
 * colour distance at which a pixel stays as in the previous frame
 */
export async function writeGif(
  out: string,
  frames: readonly Raster[],
  { tolerance, ...times }: { readonly delay: number; readonly hold: number; readonly tolerance: number },
): Promise<void> {
  const sampled = frames.filter((_, i) => i % 8 === 0);
  const colors = quantize(new Uint8Array(sampled.flatMap(({ rgba }) => [...rgba])), 120);
  const palette = new Uint8Array(3 * 256);
  colors.forEach(([r, g, b], i) => palette.set([r, g, b], 3 * i));
  const indexer = new Indexer(palette);
  const pictures = frames.map((frame, i) => indexer.index(frame, i === frames.length - 1 ? 0 : tolerance));
  const gif = encodeGif(pictures, palette, times);
  await Deno.writeFile(out, gif);
  console.log(
    `${frames.length} frames of ${frames[0].width} x ${frames[0].height}, ${gif.length} bytes: ${out}`,
  );
}
