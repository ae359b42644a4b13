import assert from "node:assert/strict";
import { testInBrowser } from "./browser.ts";

await testInBrowser("testInBrowser() opens a page that computes", async (browser) => {
  const page = await browser.newPage();
  await page.setContent("<title>A page</title>");
  assert.equal(await page.title(), "A page");
  assert.equal(await page.evaluate(() => [1, 2, 3].reduce((a, b) => a + b)), 6);
});
