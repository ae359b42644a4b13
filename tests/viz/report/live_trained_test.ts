/// <reference lib="dom" />
/** A trained network in a report: it draws what the library draws. */

import assert from "node:assert/strict";
import { openCheckpoint, sample } from "../../../models/mod.ts";
import { reportHtml } from "../../../viz/report/mod.ts";
import { type Page, testInBrowser } from "../../browser.ts";
import { assertClose } from "../../testing.ts";
import { trainedCheckpoint, trainedReport } from "./live_data.ts";
import { draw, untilLive } from "./live_page.ts";
import { fromFile, moveTo, text } from "./opened.ts";

/** Draws a digit, and compares a line of pixels with what the library draws outside the page. */
async function drawDigit(page: Page, steps: number, tolerance: number): Promise<string> {
  const { model, shape } = await openCheckpoint(trainedCheckpoint);
  const x1 = await sample(model, { count: 1, shape, seed: 5, steps, solver: "heun" }).read();
  await untilLive(page);
  const words = await draw(page, 5, "heun", steps);
  await moveTo(page, 100);
  const values: number[] = [];
  await page.locator(".frame").first().focus();
  for (let column = 14; column < 24; column++) {
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction(
      (start) => document.getElementById("pixel-text")!.textContent!.startsWith(start),
      `row 14, column ${column + 1}:`,
    );
    const [, sign, value] = /value ([+\u2212])(\d+\.\d+)/.exec(await text(page, "pixel-text"))!;
    values.push(sign === "+" ? Number(value) : -value);
  }
  const expected = [...x1.subarray(14 * 28 + 15, 14 * 28 + 25)].map((x) => (x + 1) / 2);
  assertClose(values, expected, tolerance);
  assert.ok(Math.max(...expected) > 0.5, "the line crosses the digit");
  return words;
}

await testInBrowser("reportHtml() draws what the library draws, from a trained network", async (browser) => {
  await fromFile(browser, reportHtml(await trainedReport()), {}, async (page) => {
    assert.match(await drawDigit(page, 20, 1e-3), /^Seed 5: 20 steps of heun, 40 evaluations, .* on CPU, 1/);
  });
});

await testInBrowser("a solver that chooses its own steps can be stopped on its way", async (browser) => {
  await fromFile(browser, reportHtml(await trainedReport()), {}, async (page) => {
    await untilLive(page);
    await page.locator("#live-solver").selectOption({ label: "bosh3, own steps" });
    await page.locator("#live-tolerance").selectOption("0.00001");
    await page.locator("#live-many").click();
    await page.locator("#live-stop").click(); // waits until it is there
    assert.equal(await text(page, "live-text"), "Stopped");
    await page.locator("#live-stop").waitFor({ state: "hidden" });
    assert.equal(await page.locator("#live-grid button:not([disabled]) canvas").count(), 0);
    assert.match(await draw(page, 5, "heun", 2), /^Seed 5: 2 steps of heun, 4 evaluations, /);
  });
});
