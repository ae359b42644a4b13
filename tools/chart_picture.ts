/// <reference lib="dom" />
/**
 * Writes a chart of a page as a picture, by Plotly in Chromium: `docs/flow_field.png` is the plane of a report, with the
 * velocity field of all samples.
 *
 * `deno run --lock=tests/deno.lock --allow-read --allow-write --allow-run --allow-env --allow-sys --allow-net=127.0.0.1 \
 * tools/chart_picture.ts runs/residual/report.html plane-chart docs/flow_field.png all`
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, launch } from "../tests/browser.ts";

/** The part of Plotly in use. */
interface Plotly {
  toImage(place: HTMLElement, how: object): Promise<string>;
}

/**
 * Draws a chart of a page.
 *
 * @param file a page of this library
 * @param id the chart
 * @param field the class of a plane's velocity field
 * @returns the bytes of a PNG file
 */
async function chartPicture(file: string, id: string, field?: string): Promise<Uint8Array> {
  const program = await chromium();
  if (typeof program !== "string") throw new Error(`Cannot draw ${id} of ${file}: ${program.reason}`);
  const browser = await launch(program);
  try {
    const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
    await page.goto(pathToFileURL(resolve(file)).href);
    await page.waitForSelector(`#${id}[data-drawn]`);
    if (field !== undefined) {
      await page.locator("#plane-field").selectOption(field);
      await page.waitForTimeout(1000);
    }
    const address = await page.evaluate((id) => {
      const place = document.getElementById(id)!;
      const { Plotly } = globalThis as unknown as { Plotly: Plotly };
      return Plotly.toImage(place, { format: "png", scale: 1 });
    }, id);
    return Uint8Array.from(atob(address.replace(/.*,/, "")), (letter) => letter.charCodeAt(0));
  } finally {
    await browser.close();
  }
}

const [file, id, out, field] = Deno.args;
if (out === undefined) {
  throw new Error("Cannot draw a chart: expected a page, the chart's id and a PNG to write");
}
await Deno.writeFile(out, await chartPicture(file, id, field));
