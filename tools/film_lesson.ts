/// <reference lib="dom" />
/**
 * Records a GIF of step 2 of the playground, the README's `docs/average.gif`: the pointer moves, the fan of lines turns, and
 * the arrow of a copy in training approaches their mean.
 *
 * `deno task build playground`, then
 * `deno run --lock=tests/deno.lock --allow-read --allow-write --allow-run --allow-env --allow-sys --allow-net=127.0.0.1 \
 * tools/film_lesson.ts playground.html docs/average.gif`
 */
import { decode } from "npm:fast-png@8.0.0";
import untyped from "npm:gifenc@1.0.3";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, launch, type Page } from "../tests/browser.ts";
import { Indexer } from "../viz/flow/flow_gif.ts";
import { encodeGif, type Raster } from "../viz/mod.ts";

/** The function of gifenc in use; the package has no types. */
const { quantize } = untyped as { quantize(rgba: Uint8Array, colors: number): number[][] };

/** Places that the pointer visits, in fractions of the plane's sides. */
const places = [[0.3, 0.25], [0.75, 0.42], [0.3, 0.78]] as const;
/** Frames from one place to the next. */
const between = 14;
/** Clicks on the buttons that train the copy, one frame each. */
const clicks = 24;

const [playground, out] = Deno.args;
const program = await chromium();
if (playground === undefined || out === undefined || typeof program !== "string") {
  throw new Error(
    "Cannot record: expected two arguments, playground.html and the GIF to write, and an installed Chromium",
  );
}
const browser = await launch(program);
const page = await browser.newPage({ viewport: { width: 1100, height: 560 } });
await page.goto(pathToFileURL(resolve(playground)).href + "#step=average&t=0.35");
await page.waitForFunction(() => Number(document.documentElement.dataset.step) > 0);
await page.locator("#run").click(); // pause: only the copy learns
const clip = (await page.locator("#plane").boundingBox())!;
const frames: Raster[] = [];
const frame = async () => {
  await page.waitForTimeout(60);
  frames.push(await frameOf(page, clip));
};
const moveTo = ([x, y]: readonly [number, number]) =>
  page.mouse.move(clip.x + x * clip.width, clip.y + y * clip.height);
for (let i = 1; i < places.length; i++) {
  for (let part = 0; part < between; part++) {
    const at = (axis: 0 | 1) =>
      places[i - 1][axis] + part / between * (places[i][axis] - places[i - 1][axis]);
    await moveTo([at(0), at(1)]);
    await frame();
  }
}
await moveTo(places[places.length - 1]);
for (let click = 0; click < clicks; click++) {
  await page.locator("#copy button").nth(click < 8 ? 0 : 1).evaluate((button) =>
    (button as HTMLElement).click()
  );
  await frame();
}
await browser.close();
await writeGif(out, frames, { delay: 110, hold: 2000, tolerance: 2 });

/** A rectangle of a page, in pixels. */
type Clip = Readonly<Record<"x" | "y" | "width" | "height", number>>;

/** A screenshot of a part of the page. */
async function frameOf(page: Page, clip: Clip): Promise<Raster> {
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
async function writeGif(
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
