/// <reference lib="dom" />
/**
 * Records a GIF of a report in which someone paints over a half-finished sample: the README's `docs/paint.gif`.
 *
 * `deno run --lock=tests/deno.lock --allow-read --allow-write --allow-run --allow-env --allow-sys --allow-net=127.0.0.1 \
 * tools/film_report.ts runs/residual/report.html docs/paint.gif`
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, launch, type Page } from "../tests/browser.ts";
import type { Raster } from "../viz/mod.ts";
import { frameOf, writeGif } from "./film.ts";

/** When the painting starts, in hundredths of t. */
const paintedAt = 36;
/** The stroke, a seven; coordinates are fractions of the image's sides. */
const stroke = [[0.22, 0.2], [0.78, 0.2], [0.5, 0.85]] as const;

async function film(page: Page, frame: () => Promise<void>): Promise<void> {
  const moveTo = async (position: number) => {
    await page.locator("#time").evaluate((slider, position) => {
      (slider as HTMLInputElement).value = String(position);
      slider.dispatchEvent(new Event("input"));
    }, position);
    await page.waitForTimeout(30);
    await frame();
  };
  const several = async (count: number) => {
    for (let i = 0; i < count; i++) await frame();
  };
  for (let position = 0; position <= paintedAt; position += 3) await moveTo(position);
  await page.locator("#paint").click();
  const { x, y, width, height } = (await page.locator("#view-x").boundingBox())!;
  const at = ([column, row]: readonly [number, number]) => [x + column * width, y + row * height] as const;
  await page.mouse.move(...at(stroke[0]));
  await page.mouse.down();
  for (let i = 1; i < stroke.length; i++) {
    for (let part = 1; part <= 8; part++) {
      const between = (axis: 0 | 1) =>
        stroke[i - 1][axis] + part / 8 * (stroke[i][axis] - stroke[i - 1][axis]);
      await page.mouse.move(...at([between(0), between(1)]));
      await page.waitForTimeout(120); // time for the flow to continue from the paint
      await frame();
    }
  }
  await page.mouse.up();
  await page.mouse.move(x + width / 2, y - 200);
  await page.waitForTimeout(1000);
  await several(4);
  for (let position = paintedAt; position <= 100; position += 3) await moveTo(Math.min(position, 100));
  await moveTo(100);
}

const [report, out, seed = "0"] = Deno.args;
const program = await chromium();
if (report === undefined || out === undefined || typeof program !== "string") {
  throw new Error(
    "Cannot record: expected two arguments, report.html and the GIF to write, and an installed Chromium",
  );
}
const frames: Raster[] = [];
const browser = await launch(program);
const page = await browser.newPage({ viewport: { width: 1000, height: 760 } });
await page.goto(pathToFileURL(resolve(report)).href);
await page.locator("#explorer").scrollIntoViewIfNeeded();
await page.waitForFunction(() => document.documentElement.dataset.live === "ready");
// Elements that stay in view while the page scrolls would cover the recording.
await page.addStyleTag({ content: ".contents { display: none } .clock { visibility: hidden }" });
await page.locator("#brush-size").evaluate((size) => (size as HTMLInputElement).value = "3");
await page.locator("details:has(#live-seed) summary").first().click();
await page.locator("#live-class").selectOption("none"); // only the paint determines the digit
await page.locator("#live-seed").fill(seed);
await page.locator("#live-draw").click();
await page.waitForFunction((seed) => document.body.innerText.includes(`Seed ${seed}:`), seed);
await page.locator("#flow .panels").evaluate((panels) => panels.scrollIntoView({ block: "start" }));
await page.waitForTimeout(1000);
await film(page, async () => {
  const [first, last] = await Promise.all(
    ["#view-x", "#view-end"].map((id) => page.locator(id).boundingBox()),
  );
  const { x, y } = first!;
  const clip = { x, y, width: last!.x + last!.width - x, height: first!.height + 66 };
  frames.push(await frameOf(page, clip));
});
await browser.close();
await writeGif(out, frames, { delay: 80, hold: 2500, tolerance: 24 });
