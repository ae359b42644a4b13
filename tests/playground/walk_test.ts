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

/** Opens the page at an address, and measures its layout shifts. */
async function opened(browser: Browser, file: string, options: object = {}, hash = small) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  await page.addInitScript(() => {
    const measured = Object.assign(globalThis, { shift: 0 });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { value, hadRecentInput } = entry as unknown as { value: number; hadRecentInput: boolean };
        if (!hadRecentInput) measured.shift += value;
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
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
  "the playground without its program shows one step, with links to the others",
  async (browser, file) => {
    const page = await opened(browser, file, { javaScriptEnabled: false });
    assert.equal(await page.locator("#story > section:visible").count(), 1);
    const links = await page.locator("#story-links a").evaluateAll((all) =>
      all.map((link) => new URLSearchParams((link as HTMLAnchorElement).hash.slice(1)).get("step") ?? "watch")
    );
    assert.deepEqual(links, steps);
    assert.match(await page.locator("noscript").innerText(), /JavaScript/);
  },
);

await visit(
  "the playground fits the plane into the window, large where there is room",
  async (browser, file) => {
    const page = await opened(browser, file, calm);
    await digestOfPage(page);
    for (
      const [width, height, least] of [[1920, 1080, 960], [1280, 800, 640], [640, 400, 240], [390, 844, 340]]
    ) {
      await page.setViewportSize({ width, height });
      const box = await page.evaluate(() => {
        const { width, height } = document.getElementById("plane")!.getBoundingClientRect();
        return {
          width,
          height,
          over: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        };
      });
      const shown = JSON.stringify({ ...box, window: [width, height] });
      assert.ok(box.height <= height && box.width >= least, shown);
      assert.equal(box.over, 0, `nothing is wider than the page: ${shown}`);
    }
  },
);

await visit("nothing in the playground shifts while it opens", async (browser, file) => {
  for (const step of ["watch", "average", "digits"]) {
    const page = await opened(browser, file, {}, `${small}&step=${step}`);
    const done = step === "digits" ? "digits" : "digest";
    await page.waitForFunction((done) => document.documentElement.dataset[done], done);
    const shift = await page.evaluate(() => (globalThis as unknown as { shift: number }).shift);
    assert.ok(shift < 0.05, `${step}: ${shift}`);
  }
});

for (const colorScheme of ["light", "dark"] as const) {
  await visit(
    `axe finds nothing in any step of the playground, ${colorScheme}`,
    async (browser, file) => {
      const page = await opened(browser, file, { colorScheme, ...calm }, `${small}&step=pair`);
      await digestOfPage(page);
      for (const step of steps) {
        await goTo(page, `${small}&step=${step}`);
        if (step === "digits" && colorScheme === "light") {
          await page.waitForFunction(() => document.documentElement.dataset.digits === "0");
        }
        await page.evaluate(() => {
          for (const details of document.querySelectorAll("details")) details.open = true;
        });
        const rules = colorScheme === "light" ? undefined : ["color-contrast"];
        assert.deepEqual(await axeComplaints(page, rules), [], step);
      }
      const shift = await page.evaluate(() => (globalThis as unknown as { shift: number }).shift);
      if (colorScheme === "light") return; // opening details and steps without a click counts as a shift
      assert.ok(shift < 1, `${shift}`);
    },
  );
}
