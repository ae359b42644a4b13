/// <reference lib="dom" />
/** Images that are not square keep their shape wherever a report shows them. */

import assert from "node:assert/strict";
import { encodePng, grid } from "../../../viz/mod.ts";
import { reportHtml } from "../../../viz/report/mod.ts";
import { testInBrowser } from "../../browser.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { plane, run } from "./made_up.ts";
import { fromFile, see } from "./opened.ts";

const [H, W] = [8, 20];

await testInBrowser("reportHtml() stretches no image", async (browser) => {
  const { image: _, shape: [M, N], ...rest } = plane(6, 20);
  const wide = run("wide", {
    samplesPng: encodePng(grid(new Float32Array(2 * H * W).fill(0.5), [2, H, W])),
    trajectories: [madeUpFlow(1, 5, [H, W])],
    plane: { ...rest, image: new Float32Array(N * H * W).fill(0.5), shape: [M, N, H, W] },
  });
  for (const width of [1280, 375]) {
    const viewport = { width, height: 900 };
    await fromFile(browser, reportHtml({ runs: [wide] }), { viewport }, async (page) => {
      await page.locator("#explorer").scrollIntoViewIfNeeded();
      await see(page, "plane-chart");
      await page.waitForFunction(
        (W) => (document.getElementById("plane-image") as HTMLCanvasElement).width === W,
        W,
      );
      const shown = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLCanvasElement | HTMLImageElement>("canvas, img")].map((image) => {
          const [own, own2] = image instanceof HTMLImageElement
            ? [image.naturalWidth, image.naturalHeight]
            : [image.width, image.height];
          const { width, height } = image.getBoundingClientRect();
          const fits = getComputedStyle(image).objectFit === "contain";
          return { id: image.id, own: own / own2, shown: width / height, fits };
        })
      );
      assert.ok(shown.length >= 8, `${shown.length}`);
      for (const { id, own, shown: ratio, fits } of shown) {
        assert.ok(fits || Math.abs(ratio / own - 1) < 0.03, `${id} of ${own} is shown as ${ratio}`);
      }
    });
  }
});
