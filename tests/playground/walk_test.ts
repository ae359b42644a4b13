/// <reference lib="dom" />
/** A walk through the story in Chromium: nothing shifts or is cut off, and everything is accessible. */

import assert from "node:assert/strict";
import { settings } from "../../playground/settings.ts";
import { axeComplaints } from "../axe.ts";
import { type Browser, testInBrowser } from "../browser.ts";
import { withFolder } from "../folder.ts";
import { digestOfPage, goTo, playground } from "./opened_page.ts";

const { html } = await playground();
const steps = Object.keys(settings.step.names!);
/** Settings with as little training as possible. */
const small = "#hidden=8&batch=8&steps=20";
/** Without animations, which take most of the time. */
const calm = { reducedMotion: "reduce" } as const;

/** Opens the page at an address. */
async function opened(browser: Browser, file: string, options: object, hash = small) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  await page.goto(`file://${file}${hash}`);
  return page;
}

const visit = (name: string, act: (browser: Browser, file: string) => Promise<void>) =>
  testInBrowser(name, (browser) =>
    withFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/page.html`, html);
      await act(browser, `${folder}/page.html`);
    }));

await visit(
  "the playground shows one step without its program, and nothing shifts while it opens with it",
  async (browser, file) => {
    const still = await opened(browser, file, { javaScriptEnabled: false });
    assert.equal(await still.locator("#story > section:visible").count(), 1);
    const links = await still.locator("#story-links a").evaluateAll((all) =>
      all.map((link) => new URLSearchParams((link as HTMLAnchorElement).hash.slice(1)).get("step") ?? "watch")
    );
    assert.deepEqual(links, steps);
    assert.match(await still.locator("noscript").innerText(), /JavaScript/);
    for (const step of ["watch", "average", "digits"]) {
      const page = await opened(browser, file, {}, `${small}&step=${step}`);
      const done = step === "digits" ? "digits" : "digest";
      await page.waitForFunction((done) => document.documentElement.dataset[done], done);
      const shift = await page.evaluate(() =>
        new Promise<number>((resolve) => {
          let shift = 0;
          new PerformanceObserver((list, observer) => {
            for (const entry of list.getEntries()) {
              const { value, hadRecentInput } = entry as unknown as {
                value: number;
                hadRecentInput: boolean;
              };
              if (!hadRecentInput) shift += value;
            }
            observer.disconnect();
          }).observe({ type: "layout-shift", buffered: true });
          setTimeout(() => resolve(shift), 100);
        })
      );
      assert.ok(shift < 0.05, `${step}: ${shift}`);
    }
  },
);

for (const colorScheme of ["light", "dark"] as const) {
  await visit(
    `axe finds nothing in any step of the playground, ${colorScheme}; the plane fits into windows`,
    async (browser, file) => {
      const page = await opened(browser, file, { colorScheme, ...calm }, `${small}&step=pair`);
      await digestOfPage(page);
      for (const step of steps) {
        await goTo(page, `${small}&step=${step}`);
        if (step === "digits" && colorScheme === "light") {
          await page.waitForFunction(() => document.documentElement.dataset.digits === "0");
        }
        await page.evaluate(() => document.querySelectorAll("details").forEach((one) => one.open = true));
        const rules = colorScheme === "light" ? undefined : ["color-contrast"];
        assert.deepEqual(await axeComplaints(page, rules), [], step);
      }
      await goTo(page, `${small}&step=pair`);
      for (
        const [width, height, least] of [[1920, 1080, 960], [1280, 800, 640], [640, 400, 240], [
          390,
          844,
          340,
        ]]
      ) {
        await page.setViewportSize({ width, height });
        const plane = (await page.locator("#plane").boundingBox())!;
        const shown = JSON.stringify({ ...plane, window: [width, height] });
        assert.ok(plane.height <= height && plane.width >= least, shown);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, shown);
      }
    },
  );
}
