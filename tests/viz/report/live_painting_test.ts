/// <reference lib="dom" />
/** Paint on a sample, from which the flow goes on. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { type Page, testInBrowser } from "../../browser.ts";
import { assertClose } from "../../testing.ts";
import { liveReport, Network, recorded } from "./live_data.ts";
import { draw, over, pixel, rounding, told, untilLive } from "./live_page.ts";
import { hostile, size } from "./made_up.ts";
import { fromFile, moveTo, text } from "./opened.ts";

const { H, W } = size;

const network = await Network.of(3);
const one = reportHtml(await liveReport({ [hostile]: network }));

/** Paints a dot with the mouse; what the page said before is gone. */
async function dot(page: Page, row: number, column: number): Promise<void> {
  await page.evaluate(() => document.getElementById("live-text")!.textContent = "");
  await page.locator(".frame").first().scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await page.locator(".frame").first().boundingBox())!;
  await page.mouse.move(x + (column + 0.5) / W * width, y + (row + 0.5) / H * height);
  await page.mouse.down();
  await page.mouse.up();
}

await testInBrowser(
  "reportHtml() lets the flow go on from what is painted, and undoes it",
  async (browser) => {
    await fromFile(browser, one, {}, async (page) => {
      await untilLive(page);
      const before = await pixel(page, 5, 5);
      await moveTo(page, 50);
      await page.getByRole("button", { name: "Paint", exact: true }).click();
      await page.locator("#brush-size").fill("1");
      await dot(page, 5, 5);
      await told(page, "Sample 1 painted at t = 0.50: 10 steps of euler, 10 evaluations, ");
      const painted = await pixel(page, 5, 5);

      // What the library makes of it.
      const { seed, ...how } = recorded;
      const whole = await network.flow(seed, how);
      const x = whole.image.slice(10 * H * W, 11 * H * W);
      x[5 * W + 5] = 1;
      const rest = await network.flowFrom(x, how, 10);
      assertClose(painted.t, before.t, 1e-6);
      assertClose(painted.value.slice(0, 10), before.value.slice(0, 10), rounding);
      assert.equal(painted.value[10], 1);
      assertClose(painted.value.slice(10), over(rest.image, 5, 5), rounding);
      assertClose((await pixel(page, 6, 5)).value.slice(10), over(rest.image, 6, 5), rounding);
      assert.ok(Math.abs(painted.value[20] - before.value[20]) > 0.05, "paint changes the end");

      // More paint at the same t is added; at another one the flow turns there.
      await page.locator("#brush input[value=black]").check();
      await dot(page, 2, 9);
      await page.waitForFunction(() => (document.getElementById("pixel-text")!.textContent ?? "") !== "");
      x[2 * W + 9] = 0;
      const both = await network.flowFrom(x, how, 10);
      await told(page, "Sample 1 painted at t = 0.50: ");
      assertClose((await pixel(page, 2, 9)).value.slice(10), over(both.image, 2, 9), rounding);

      // The space bar paints where the arrow keys point, with noise that nobody knows before.
      await page.locator("#brush input[value=noise]").check();
      await moveTo(page, 75);
      await page.locator(".frame").first().focus();
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Space");
      await told(page, "Sample 1 painted at t = 0.75: 5 steps of euler");
      assert.notEqual((await pixel(page, 3, 9)).value[15], over(both.image, 3, 9)[5]);

      await page.getByRole("button", { name: "Undo the painting" }).click();
      assert.deepEqual(await pixel(page, 5, 5), before);
      assert.equal(await page.locator("#paint-undo").isVisible(), false);

      // Paint at two times of one sample, and on another before that is done: all of it counts.
      await draw(page, 3, "euler", 20);
      await page.evaluate(() => {
        const byId = (id: string) => document.getElementById(id) as HTMLInputElement;
        const paintAt = (position: number, brush: string) => {
          byId("time").value = `${position}`;
          byId("time").dispatchEvent(new Event("input"));
          document.querySelector<HTMLInputElement>(`#brush input[value=${brush}]`)!.checked = true;
          byId("view-x").parentElement!.dispatchEvent(
            new KeyboardEvent("keydown", { key: " ", bubbles: true }),
          );
        };
        paintAt(50, "white");
        paintAt(75, "black");
        document.querySelector<HTMLElement>('[aria-label="Sample 1"]')!.click();
        paintAt(50, "white");
      });
      await told(page, "Sample 1 painted at t = 0.50: ");
      const [, row, column] = /row (\d+), column (\d+):/.exec(await text(page, "pixel-text"))!.map(Number);
      assert.equal((await pixel(page, row, column)).value[10], 1);
      await page.getByLabel("Seed 3").click();
      const { value } = await pixel(page, row, column);
      const drawn = (await network.flow(3, how)).image.slice(10 * H * W, 11 * H * W);
      drawn[row * W + column] = 1;
      const half = (await network.flowFrom(drawn, how, 10)).image;
      const last = half.slice(5 * H * W, 6 * H * W);
      last[row * W + column] = 0;
      const end = (await network.flowFrom(last, how, 15)).image;
      assertClose(
        value.slice(10),
        [...over(half, row, column).slice(0, 5), ...over(end, row, column)],
        rounding,
      );

      await moveTo(page, 100);
      await dot(page, 5, 5);
      await told(page, "At t = 1 no flow is left: move t back to paint.");
    });
  },
);

await testInBrowser("reportHtml() takes the brush away from a run without a network", async (browser) => {
  const report = reportHtml(await liveReport({ a: network, bare: "its weights are too large" }));
  await fromFile(browser, report, {}, async (page) => {
    await untilLive(page);
    await page.getByRole("button", { name: "Paint", exact: true }).click();
    await page.locator("#explorer-run").selectOption("1");
    await dot(page, 5, 4); // points at a pixel again, as there is nothing to paint with
    await page.waitForFunction(() =>
      document.getElementById("pixel-text")!.textContent!.startsWith("row 5, column 4:")
    );
    assert.equal(await text(page, "live-text"), "");
    await page.locator("#explorer-run").selectOption("0");
    await page.locator("#paint[aria-pressed=false]").waitFor();
  });
});
