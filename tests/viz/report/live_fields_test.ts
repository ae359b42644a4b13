/// <reference lib="dom" />
/** The fields for numbers in a report. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { testInBrowser } from "../../browser.ts";
import { liveReport, Network } from "./live_data.ts";
import { told, untilLive } from "./live_page.ts";
import { fromFile, text } from "./opened.ts";

const report = reportHtml(await liveReport({ a: await Network.of(3) }));

await testInBrowser("reportHtml() draws where a reader presses Enter in a field", async (browser) => {
  await fromFile(browser, report, {}, async (page) => {
    await untilLive(page);
    await page.locator("#live-steps").fill("2");
    await page.locator("#live-seed").fill("5");
    await page.locator("#live-seed").press("Enter");
    await told(page, "Seed 5:");
    await page.locator("#live-steps").press("Enter");
    await told(page, "Seed 6:");
  });
});

await testInBrowser("reportHtml() tells empty fields from wrong ones, and draws nothing", async (browser) => {
  await fromFile(browser, report, {}, async (page) => {
    await untilLive(page);
    const [seed, steps] = [page.locator("#live-seed"), page.locator("#live-steps")];
    const expected = (name: string, is: string, range: string) =>
      `${name} ${is} (expected a whole number from ${range}).`;
    const said = async (button = "#live-draw") => {
      await page.locator(button).click();
      return await text(page, "live-text");
    };
    await seed.fill("");
    assert.equal(await said(), expected("Seed", "is empty", "0 to 4294967295"));
    assert.equal(await said("#live-many"), expected("Seed", "is empty", "0 to 4294967295"));
    assert.equal(await seed.getAttribute("aria-invalid"), "true");
    await seed.pressSequentially("-e");
    assert.equal(await said(), expected("Seed", "is not a number", "0 to 4294967295"));
    await seed.fill("-1");
    await steps.fill("2.5");
    assert.equal(
      await said(),
      `${expected("Seed", "is -1", "0 to 4294967295")} ${expected("Steps", "is 2.5", "1 to 1000")}`,
    );
    assert.equal(await page.locator("#explorer-samples button").count(), 1);
    await seed.fill("5");
    await steps.fill("2");
    await page.locator("#live-draw").click();
    await told(page, "Seed 5:");
    assert.equal(await seed.getAttribute("aria-invalid"), "false");

    // The largest number that a field takes can be read.
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLInputElement>("input[type=number]")].filter((field) => {
        field.value = field.max;
        return field.scrollWidth > field.clientWidth;
      }).map(({ id }) => id)
    );
    assert.deepEqual(cut, []);
  });
});
